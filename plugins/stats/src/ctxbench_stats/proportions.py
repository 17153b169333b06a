"""Rates and their differences: Wilson's interval, Newcombe's interval of a paired difference, McNemar's exact test, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from ctxbench.statistics import LEVEL, wilson

ALPHA = 0.05
"""Level of every test."""


@attrs.frozen
class Pairs:
    """Binary outcomes of A and B on the same items, counted.

    Attributes:
        both, only_a, only_b, neither: items that both, A alone, B alone or neither got right.
    """

    both: int
    only_a: int
    only_b: int
    neither: int

    @classmethod
    def count(cls, a: Sequence[bool], b: Sequence[bool]) -> Pairs:
        """The pairs of two lists of equal length."""
        found = [0, 0, 0, 0]
        for x, y in zip(a, b, strict=True):
            found[0 if x and y else 1 if x else 2 if y else 3] += 1
        return cls(*found)

    @property
    def n(self) -> int:
        """The number of items."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def difference(self) -> float:
        """Rate of A less rate of B; 0 without items."""
        return (self.only_a - self.only_b) / self.n if self.n else 0.0

    @property
    def discordance(self) -> float:
        """Share of items that one got right and the other did not; 0 without items."""
        return (self.only_a + self.only_b) / self.n if self.n else 0.0


def paired_interval(pairs: Pairs, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the difference of two paired rates, within [-1, 1] and not empty when all pairs agree.

    Method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650: the Wilson intervals of both rates, squared and added, with
    their correlation phi taken into account (continuity corrected where it is positive).
    """
    n = pairs.n
    if not n:
        return -1.0, 1.0
    row, column = pairs.both + pairs.only_a, pairs.both + pairs.only_b
    product = row * (n - row) * column * (n - column)
    cross = pairs.both * pairs.neither - pairs.only_a * pairs.only_b
    excess = max(cross - n / 2, 0.0) if cross > 0 else float(cross)
    phi = excess / math.sqrt(product) if product else 0.0
    return square_and_add((row / n, *wilson(row, n, level)), (column / n, *wilson(column, n, level)), phi)


def square_and_add(a: tuple[float, float, float], b: tuple[float, float, float], phi: float = 0.0) -> tuple[float, float]:
    """Interval of the difference A - B from (estimate, low, high) of each and the correlation of their errors; 0 never narrows it."""
    (p, low, high), (q, other_low, other_high) = a, b
    down, up, other_down, other_up = p - low, high - p, q - other_low, other_high - q
    below = down**2 - 2 * phi * down * other_up + other_up**2
    above = up**2 - 2 * phi * up * other_down + other_down**2
    return max(-1.0, p - q - math.sqrt(max(0.0, below))), min(1.0, p - q + math.sqrt(max(0.0, above)))


def mcnemar(pairs: Pairs) -> float:
    """Two-sided p of McNemar's exact test: given the pairs that differ, are A and B equally often the better one? 1 if none differs."""
    from statsmodels.stats.contingency_tables import mcnemar as exact_test

    if pairs.only_a + pairs.only_b == 0:
        return 1.0
    table = [[pairs.both, pairs.only_a], [pairs.only_b, pairs.neither]]
    return min(1.0, float(exact_test(table, exact=True).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for that many tests: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]
