"""How many samples show a difference, and what difference the samples at hand can show: exact, for McNemar's exact test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctxbench import UsageError
from ctxbench_stats.proportions import ALPHA

POWER = 0.8
"""Chance to show a difference that is there, unless another is asked for."""

MOST = 1_000_000
"""Pairs beyond which nothing is searched."""


def power(n: int, difference: float, discordance: float, alpha: float = ALPHA) -> float:
    """Chance that McNemar's exact test on ``n`` pairs finds two rates different.

    The number of pairs that differ is binomial, and given it the number in which A is the better one is. Summed over both (S. W. Duffy,
    Biometrics 40, 1984, 1005-1015).

    Args:
        difference: true rate of A less that of B.
        discordance: true share of pairs in which they differ, at least ``abs(difference)``.

    Raises:
        ValueError: figures that cannot be.
    """
    from scipy.stats import binom

    _check(difference, discordance)
    if n < 1 or not discordance:
        return 0.0
    low, high = (int(bound) for bound in binom.interval(1 - 1e-12, n, discordance))
    m = np.arange(max(low, 1), high + 1)
    critical = _critical(m, alpha)
    share = (discordance + abs(difference)) / 2 / discordance
    rejects = binom.cdf(critical, m, share) + binom.cdf(critical, m, 1 - share)
    return float(np.sum(binom.pmf(m, n, discordance) * rejects))


def _critical(m: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """For each number of differing pairs: the largest count of the rarer kind that the two-sided test calls significant, or -1."""
    from scipy.stats import binom

    found = binom.ppf(alpha / 2, m, 0.5)
    return np.asarray(np.where(binom.cdf(found, m, 0.5) > alpha / 2, found - 1, found), dtype=float)


def connor(difference: float, discordance: float, alpha: float = ALPHA, wanted: float = POWER) -> float:
    """Pairs needed by the normal approximation of R. J. Connor, Biometrics 43 (1987), 207-211: where the exact search begins."""
    from scipy.stats import norm

    _check(difference, discordance)
    za, zb = float(norm.isf(alpha / 2)), float(norm.ppf(wanted))
    return float(((za * discordance**0.5 + zb * (discordance - difference**2) ** 0.5) / difference) ** 2)


def needed(difference: float, discordance: float, alpha: float = ALPHA, wanted: float = POWER) -> int | None:
    """The fewest pairs from which on the exact test finds the difference with the wanted power.

    Power rises with n in small steps back and forth; the number given is the first from which the next ten all have it. ``None`` if it is
    beyond :data:`MOST`.
    """
    if not difference:
        return None
    start = connor(difference, discordance, alpha, wanted)
    if start > MOST / 2:
        return None
    low, high = 1, max(8, int(start))
    while power(high, difference, discordance, alpha) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _holds(middle, difference, discordance, alpha, wanted):
            high = middle
        else:
            low = middle
    return high


def _holds(n: int, difference: float, discordance: float, alpha: float, wanted: float) -> bool:
    steps = 10 if n < 2_000 else 1  # the steps are too small to matter beyond
    return all(power(n + step, difference, discordance, alpha) >= wanted for step in range(steps))


def detectable(n: int, discordance: float, alpha: float = ALPHA, wanted: float = POWER) -> float | None:
    """The smallest difference of two rates that the test finds with the wanted power, if so large a share of pairs differs.

    Where a share that small shows nothing, all differing pairs are taken to go one way, and to be as many as it takes. ``None`` if
    even pairs that all differ are too few (fewer than six).
    """
    if power(n, 1.0, 1.0, alpha) < wanted:
        return None
    low, high = 0.0, discordance
    one_way = power(n, discordance, discordance, alpha) < wanted
    if one_way:
        low, high = discordance, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if power(n, middle, middle if one_way else discordance, alpha) >= wanted:
            high = middle
        else:
            low = middle
    return high


def parse_points(text: str) -> float:
    """``5pp``, ``5%`` or ``0.05``: a difference of rates.

    Raises:
        UsageError: none of these, or not between 0 and 1.
    """
    bare = text.strip().lower()
    scale = 1.0
    for ending in ("pp", "%"):
        if bare.endswith(ending):
            bare, scale = bare.removesuffix(ending).strip(), 0.01
    try:
        value = float(bare) * scale
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise UsageError(f"{text!r}: expected a difference between 0 and 100 percentage points, such as 5pp, 5% or 0.05")
    return value


def _check(difference: float, discordance: float) -> None:
    if not abs(difference) <= discordance + 1e-12 or not 0 <= discordance <= 1:
        raise ValueError(f"rates that differ by {difference} do so in at least {abs(difference)} of all pairs, got {discordance}")
