"""The methods of ``ctxbench_stats`` against figures that others published, and against what they must be by their definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from ctxbench import UsageError
from ctxbench.statistics import wilson
from ctxbench_stats.planning import plan_power
from ctxbench_stats.power import connor, detectable, needed, parse_points, power
from ctxbench_stats.proportions import Pairs, holm, mcnemar, paired_interval, square_and_add
from ctxbench_stats.resampling import bootstrap, clustered_mean, codes_of, permutation, sums


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(successes, n, low, high):
    """Examples of R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), 857-872; each
    bound solves (k/n - p)^2 = z^2 p (1 - p) / n."""
    for p in (low, high):
        spread = 1.959963984540054**2 * p * (1 - p) / n
        assert (successes / n - p) ** 2 == pytest.approx(spread, abs=1e-4 * max(0.01, abs(successes / n - p)))
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(float(successes), float(n)) == pytest.approx((low, high), abs=5e-5)  # sums of scores take another way


def test_wilson_of_one():
    """The bounds are 1 / (1 + z^2) and z^2 / (1 + z^2)."""
    assert wilson(1, 1) == pytest.approx((0.206549, 1.0), abs=1e-6)
    assert wilson(0, 1) == pytest.approx((0.0, 0.793451), abs=1e-6)


def test_wilson_reaches_its_ends_exactly():
    """None right is a lower bound of 0, and not of 1e-18, which a table would print and a plot would draw."""
    assert {wilson(0, n)[0] for n in range(1, 300)} == {0.0}
    assert {wilson(n, n)[1] for n in range(1, 300)} == {1.0}


def test_wilson_of_nothing_says_nothing():
    """No trial is no knowledge, not a rate of 0."""
    assert wilson(0, 0) == (0.0, 1.0)


def by_the_formula(pairs):
    """Method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, written out: e, f, g and h are the cells."""
    e, f, g, h = pairs.both, pairs.only_a, pairs.only_b, pairs.neither
    n, first, second = pairs.n, (e + f) / pairs.n, (e + g) / pairs.n
    (l1, u1), (l2, u2) = (proportion_confint(k, n, method="wilson") for k in (e + f, e + g))
    product, cross = (e + f) * (g + h) * (e + g) * (f + h), e * h - f * g
    phi = (cross - n / 2 if cross > n / 2 else min(cross, 0)) / math.sqrt(product) if product else 0
    below = math.sqrt((first - l1) ** 2 - 2 * phi * (first - l1) * (u2 - second) + (u2 - second) ** 2)
    above = math.sqrt((second - l2) ** 2 - 2 * phi * (second - l2) * (u1 - first) + (u1 - first) ** 2)
    return first - second - below, first - second + above


@pytest.mark.parametrize(
    ("pairs", "low", "high"),
    [
        # Airway hyper-responsiveness before and after transplantation (Bentur et al. 2009), in M. W. Fagerland, S. Lydersen and P. Laake,
        # Recommended tests and confidence intervals for paired binomial proportions, Statistics in Medicine 33 (2014), 2850-2875.
        (Pairs(1, 1, 7, 12), -0.507, -0.026),
        # Hardly a pair that both get wrong: a negative correlation, which is taken as it is.
        (Pairs(36, 12, 2, 0), 0.0569, 0.3404),
        # Thallium stress tests of D. G. Altman et al., Statistics with Confidence (2000), as the R package epiR works them out.
        (Pairs(14, 5, 0, 22), 0.011, 0.226),
    ],
)
def test_paired_interval(pairs, low, high):
    """Newcombe's square-and-add interval: one that forgets the correlation is wider, one with the sides exchanged has other bounds."""
    digits = 4 if abs(low - 0.0569) < 1e-9 else 3
    assert by_the_formula(pairs) == pytest.approx(paired_interval(pairs), abs=1e-12)
    assert tuple(round(bound, digits) for bound in paired_interval(pairs)) == (low, high)


def test_paired_interval_stays_within_its_scale():
    """All pairs alike leave a width; all of them one way do not leave [-1, 1]; nothing says nothing."""
    low, high = paired_interval(Pairs(5, 0, 0, 0))
    assert low < 0 < high
    assert paired_interval(Pairs(0, 40, 0, 0))[1] == 1.0
    assert paired_interval(Pairs(0, 0, 0, 0)) == (-1.0, 1.0)


def test_uncorrelated_errors_are_the_widest():
    """``square_and_add`` without a correlation never narrows an interval."""
    a, b = (0.8, *wilson(32, 40)), (0.7, *wilson(28, 40))
    wide, narrow = square_and_add(a, b), square_and_add(a, b, 0.6)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("pairs", "p"),
    [
        # M. W. Fagerland, S. Lydersen and P. Laake, BMC Medical Research Methodology 13 (2013), 91: exact conditional test.
        (Pairs(1, 1, 7, 12), 0.070),
        # Two media for cultures: P. Armitage and G. Berry (1994), page 127, as in the help of StatsDirect.
        (Pairs(20, 12, 2, 16), 0.013),
        (Pairs(10, 0, 0, 10), 1.0),
    ],
)
def test_mcnemar(pairs, p):
    """The exact two-sided test depends on the pairs that differ alone."""
    assert round(mcnemar(pairs), 3) == p
    few, discordant = min(pairs.only_a, pairs.only_b), pairs.only_a + pairs.only_b
    tail = sum(math.comb(discordant, k) for k in range(few + 1)) / 2**discordant
    assert mcnemar(pairs) == pytest.approx(min(1, 2 * tail))
    assert mcnemar(pairs) == mcnemar(Pairs(99, pairs.only_a, pairs.only_b, 0))


def test_pairs_are_counted():
    """Each of the four cells, and what follows from them."""
    pairs = Pairs.count([True, True, False, False, True], [True, False, True, False, False])
    assert pairs == Pairs(1, 2, 1, 1)
    assert (pairs.n, pairs.difference, pairs.discordance) == (5, 0.2, 0.6)


def test_holm():
    """By hand: sorted, 0.005 x 4, 0.01 x 3, 0.03 x 2 and 0.04 x 1, none below the one before; the first and the last stay below 5 %."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


# B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), table 14.1: the scores A of 26 children.
SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]


def test_bca():
    """Their table 14.2: the variance is 171.5, its 90 % BCa interval (115.8, 259.6), where plain percentiles give (100.8, 233.9)."""
    a = np.array(SPATIAL, dtype=float)
    found = bootstrap([np.ones_like(a), a, a * a], lambda n, s, ss: ss / n - (s / n) ** 2, level=0.9)
    assert a.var() == pytest.approx(171.5, abs=0.05)
    assert found.method == "BCa bootstrap"
    assert found.low == pytest.approx(115.8, abs=4)  # theirs has 2,000 replicates
    assert found.high == pytest.approx(259.6, abs=6)
    assert found == bootstrap([np.ones_like(a), a, a * a], lambda n, s, ss: ss / n - (s / n) ** 2, level=0.9)


def test_what_does_not_vary_has_no_made_up_interval():
    """A statistic that is the same in every resample is called constant; a single cluster has no interval."""
    ones = np.ones(8)
    found = bootstrap([3 * ones, ones], lambda s, n: s / n)
    assert (found.low, found.high, found.method) == (3.0, 3.0, "constant")
    assert bootstrap([ones[:1], ones[:1]], lambda s, n: s / n) is None


def test_clustered_error_of_single_items_is_the_usual_one():
    """With one item a cluster it is s / sqrt(n); items that are copies of each other add nothing."""
    a = np.array(SPATIAL, dtype=float)
    single = clustered_mean(a, np.arange(len(a)))
    assert single.error == pytest.approx(a.std(ddof=1) / math.sqrt(len(a)), rel=1e-9)
    copies = clustered_mean(np.repeat(a, 3), np.repeat(np.arange(len(a)), 3))
    assert copies.error == pytest.approx(single.error, rel=1e-9)
    assert copies.df == single.df == 25
    assert np.repeat(a, 3).std(ddof=1) / math.sqrt(78) < 0.6 * copies.error  # what ignoring the clusters would claim


def test_clustered_error_by_hand():
    """Clusters (1, 0), (1, 1), (0, 0): residual sums 0, 1, -1 of mean 1/2; CR1 = 3/2 * 5/5 * 2 / 36."""
    found = clustered_mean([1, 0, 1, 1, 0, 0], np.array([0, 0, 1, 1, 2, 2]))
    assert found.error == pytest.approx(math.sqrt(1.5 * 2 / 36))
    with pytest.raises(ValueError, match="two clusters"):
        clustered_mean([1, 0], np.array([0, 0]))


def test_clusters_are_added_up():
    """Codes go by first appearance, sums by code."""
    codes = codes_of(["b", "a", "b", "c"])
    assert codes.tolist() == [0, 1, 0, 2]
    assert sums([1, 2, 3, 4], codes).tolist() == [4, 2, 4]


def test_permutation_of_all_signs():
    """C. Darwin's 15 pairs of maize in R. A. Fisher, The Design of Experiments (1935), section 21: of 32,768 ways of exchanging them, 1,726
    give a difference as large in either direction, 5.267 %: all of them are counted here, and then drawn at random."""
    darwin = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    ways = np.array(list(itertools.product((1, -1), repeat=15))) @ darwin
    assert (np.abs(ways) >= darwin.sum()).sum() == 1726
    p = permutation(darwin, np.zeros(15), lambda s, t: s - t)
    assert p == pytest.approx(0.05267, abs=0.007)
    few = permutation(np.array([1.0, 2.0, 3.0]), np.zeros(3), lambda s, t: s - t)
    assert few == pytest.approx(2 / 8)
    assert permutation(np.ones(4), np.ones(4), lambda s, t: s - t) == 1.0


def test_connor():
    """R. J. Connor, Biometrics 43 (1987), 207-211, as worked on powerandsamplesize.com: p01 = 0.45 and p10 = 0.05 need 23 pairs; and by the
    formula, (1.96 sqrt(0.5) + 0.8416 sqrt(0.5 - 0.16))^2 / 0.16 = 22.01."""
    assert connor(0.4, 0.5) == pytest.approx(22.0113, abs=5e-5)
    assert math.ceil(connor(0.4, 0.5)) == 23


def test_power_is_what_enumeration_gives():
    """Every table of nine pairs by its trinomial probability, those that the exact test rejects added up."""
    n, p_a, p_b = 9, 0.6, 0.1
    total = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        if a + b > n:
            continue
        ways = math.comb(n, a) * math.comb(n - a, b)
        if a + b and binomtest(a, a + b).pvalue <= 0.05:
            total += ways * p_a**a * p_b**b * (1 - p_a - p_b) ** (n - a - b)
    assert power(n, p_a - p_b, p_a + p_b) == pytest.approx(total, abs=1e-9)
    assert power(n, p_b - p_a, p_a + p_b) == pytest.approx(total, abs=1e-9)


def test_needed_is_the_first_that_is_enough():
    """The number has the power, the one before has it not for good; and it is beyond what the normal approximation promises."""
    n = needed(0.1, 0.3)
    assert n > connor(0.1, 0.3)
    assert all(power(more, 0.1, 0.3) >= 0.8 for more in range(n, n + 10))
    assert any(power(more, 0.1, 0.3) < 0.8 for more in range(n - 1, n + 9))
    assert needed(0.0001, 0.5) is None
    assert needed(0.0, 0.5) is None


def test_detectable_is_the_inverse():
    """What n pairs can just show needs about n pairs; five pairs can show nothing, since 2 / 2^5 is above 5 %."""
    least = detectable(200, 0.3)
    assert power(200, least, 0.3) == pytest.approx(0.8, abs=0.01)
    assert power(200, least - 0.01, 0.3) < 0.8
    assert detectable(5, 0.5) is None
    assert detectable(6, 1.0) == pytest.approx(2 * 0.8 ** (1 / 6) - 1)  # six of six one way, with a chance of 80 %
    one_way = detectable(40, 0.0)  # no pair differs so far: all that would differ go one way
    assert power(40, one_way, one_way) == pytest.approx(0.8, abs=0.01)
    with pytest.raises(ValueError, match=r"at least 0\.4"):
        power(10, 0.4, 0.3)


@pytest.mark.parametrize(("text", "value"), [("5pp", 0.05), ("5 pp", 0.05), ("12.5%", 0.125), ("0.05", 0.05)])
def test_points(text, value):
    """Points, per cent and shares."""
    assert parse_points(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5", "0", "-1pp", "100%", "five", "", "nan"])
def test_points_that_are_none(text):
    """``5`` could be 5 points or 500 %; it is refused."""
    with pytest.raises(UsageError, match="5pp"):
        parse_points(text)


def test_plan_power_says_whether_n_is_enough():
    """The numbers are those of ``needed`` and ``detectable``; the verdict follows from them."""
    few = list(plan_power("5pp", 40))
    assert f"n = {needed(0.05, 0.5):,}; -n 40 shows {100 * detectable(40, 0.5):.3g} points" in few[1]
    assert few[-2] == f"-n 40 is too small for 5 points, whatever the cells; it takes -n {needed(0.05, 0.1)} at least"
    assert list(plan_power("5pp", 400))[-2] == "-n 400 is too small for 5 points unless the cells mostly agree"
    assert list(plan_power("20pp", 400))[-2] == "-n 400 is enough for 20 points"
    assert "60 %: n = " in list(plan_power("60pp", 40))[1]
