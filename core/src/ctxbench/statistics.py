"""Wilson's score interval of a rate, in Python and in SQL.

E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212.
"""

from __future__ import annotations

import functools
import math

LEVEL = 0.95
"""Confidence of every interval."""


@functools.cache
def normal_quantile(level: float = LEVEL) -> float:
    """How many standard deviations on either side of the mean hold a share ``level`` of a normal distribution: 1.96 for 0.95."""
    from statistics import NormalDist  # which brings decimals and fractions along

    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a rate of k ``successes`` in ``n``.

    Its centre is (k + z^2/2) / (n + z^2), its half width z / (n + z^2) * sqrt(k (n - k) / n + z^2/4).
    ``successes`` may be a sum of scores from 0 to 1, which vary no more than a rate of the same mean does: the interval is then rather
    too wide than too narrow. Without items it is (0, 1).
    """
    if n <= 0:
        return 0.0, 1.0
    z = normal_quantile(level)
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(max(0.0, successes * (n - successes)) / n + z * z / 4)
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    return low, 1.0 if successes >= n else min(1.0, centre + half)


def wilson_sql(successes: str, n: str) -> tuple[str, str]:
    """SQL of the same bounds at 95 %, NULL where ``n`` is 0; the arguments are SQL expressions."""
    z = normal_quantile()
    centre = f"({successes} + {z * z / 2}) / ({n} + {z * z})"
    half = f"{z} / ({n} + {z * z}) * sqrt(greatest(0, {successes} * ({n} - {successes})) / {n} + {z * z / 4})"
    low = f"CASE WHEN {successes} <= 0 THEN 0 ELSE greatest(0, {centre} - {half}) END"
    high = f"CASE WHEN {successes} >= {n} THEN 1 ELSE least(1, {centre} + {half}) END"
    return f"CASE WHEN {n} > 0 THEN {low} END", f"CASE WHEN {n} > 0 THEN {high} END"


__all__ = ["LEVEL", "normal_quantile", "wilson", "wilson_sql"]
