"""Means, ratios and their differences over items that may come in clusters: BCa bootstrap, clustered standard errors, permutation tests.

Every statistic here is a function of sums over items, so items that share a context are added up first and resampled together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ctxbench.statistics import LEVEL

Numbers = NDArray[np.float64]

RESAMPLES = 9_999
MOST_RESAMPLED = 2_000
"""Clusters up to which the bootstrap and permutations are drawn; beyond, the normal approximation is as good, and much faster."""

SEED = 20_240_229
"""The same data give the same interval."""


@attrs.frozen
class Interval:
    """Bounds of a 95 % interval and how they were found (``BCa bootstrap``, ``clustered t``, ``constant`` ...)."""

    low: float
    high: float
    method: str


@attrs.frozen
class Clustered:
    """A mean with its standard error over clusters; ``df`` is their number less one, ``p`` tests whether the mean is 0."""

    mean: float
    error: float
    df: int
    p: float
    low: float
    high: float


def codes_of(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    """Clusters numbered from 0 in order of appearance."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(cluster, len(seen)) for cluster in clusters], dtype=np.int64)


def sums(values: Sequence[float] | Numbers, codes: NDArray[np.int64]) -> Numbers:
    """The sum of the values of each cluster."""
    return np.asarray(np.bincount(codes, weights=np.asarray(values, dtype=float)), dtype=float)


def clustered_mean(values: Sequence[float] | Numbers, codes: NDArray[np.int64]) -> Clustered:
    """Mean with a standard error that allows items of one cluster to be alike (CR1), and t with clusters - 1 degrees of freedom.

    K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22; A. C. Cameron and D. L. Miller, Journal of Human Resources 50 (2015),
    317-372. With one item a cluster it is the usual standard error of a mean.

    Raises:
        ValueError: fewer than two clusters.
    """
    import statsmodels.api as sm

    y = np.asarray(values, dtype=float)
    groups = int(codes.max()) + 1 if len(codes) else 0
    if groups < 2:
        raise ValueError("a standard error needs at least two clusters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means without variance
        fit = sm.OLS(y, np.ones_like(y)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
        low, high = fit.conf_int(1 - LEVEL)[0]
    return Clustered(float(fit.params[0]), float(fit.bse[0]), groups - 1, float(fit.pvalues[0]), float(low), float(high))


def bootstrap(columns: Sequence[Numbers], statistic: Callable[..., Any], level: float = LEVEL) -> Interval | None:
    """BCa interval (B. Efron, JASA 82, 1987, 171-185) of a function of column sums, whole clusters resampled.

    Args:
        columns: for each cluster its sum of each column.
        statistic: takes the sums of the columns, as numbers or as arrays, and gives as many values.

    Returns:
        ``None`` for fewer than two clusters; an interval without width, ``constant``, if the statistic is the same in every resample.
    """
    from scipy import stats

    if len(columns[0]) < 2:
        return None
    point = float(statistic(*(column.sum() for column in columns)))

    def on(*parts: Numbers, axis: int = -1) -> Any:
        return statistic(*(part.sum(axis=axis) for part in parts))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            tuple(columns),
            on,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=_batch(len(columns[0])),
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(SEED),
        )
    drawn = found.bootstrap_distribution
    if np.allclose(drawn, point, rtol=1e-12, atol=1e-12):
        return Interval(point, point, "constant")
    low, high = float(found.confidence_interval.low), float(found.confidence_interval.high)
    if not (np.isfinite(low) and np.isfinite(high)):  # the acceleration of a near-constant statistic is not defined
        low, high = (float(value) for value in np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
        return Interval(low, high, "bootstrap percentile")
    return Interval(low, high, "BCa bootstrap")


def permutation(a: Numbers, b: Numbers, statistic: Callable[..., Any]) -> float:
    """Two-sided p of exchanging A and B within clusters, all ways where they are few (R. A. Fisher, The Design of Experiments, 1935).

    Args:
        a, b: for each cluster its sum in A and in B.
        statistic: takes the two totals, as numbers or as arrays; 0 where A and B do not differ.
    """
    from scipy import stats

    if np.array_equal(a, b):
        return 1.0

    def on(x: Numbers, y: Numbers, axis: int = -1) -> Any:
        return statistic(x.sum(axis=axis), y.sum(axis=axis))

    found = stats.permutation_test(
        (a, b),
        on,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_batch(len(a)),
        rng=np.random.default_rng(SEED),
    )
    return min(1.0, float(found.pvalue))


def _batch(n: int) -> int:
    """Resamples that are held at once: some tens of megabytes."""
    return max(1, 2_000_000 // max(1, n))
