"""What the plots show, asked of the store: cells of trials with their counts, costs and depths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs

from ctxbench import CtxbenchError
from ctxbench.store import Store

Z = 1.959963984540054
"""The standard normal distribution's 97.5 % quantile: intervals are 95 % intervals."""

LEVELS = ("clean", "light", "heavy")
"""Augmentations in order of strength; others follow by name."""


class NothingToPlot(CtxbenchError):  # noqa: N818 - it reads as what it says
    """The store has no rows that a plot could show."""


@attrs.frozen
class Filters:
    """Which trials to draw: those whose value is among the ones given; an empty tuple lets all pass."""

    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    augmentations: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()

    def conditions(self) -> dict[str, tuple[str | int, ...]]:
        """Column of ``results`` to wanted values, for what is filtered at all."""
        wanted: dict[str, tuple[str | int, ...]] = {
            "model": self.models,
            "task": self.tasks,
            "codec": self.codecs,
            "augmentation": self.augmentations,
            "bucket": self.buckets,
        }
        return {column: values for column, values in wanted.items() if values}


@attrs.frozen
class Cell:
    """Trials that a plot treats as one point.

    Attributes:
        model: with its adapter, if it has one.
        n, correct: trials that ended, errors among them, and those with the right answer.
        tokens: mean carrier tokens after augmentation; ``None`` if no trial got that far.
        ratio: mean compression ratio.
        depth: of the needle, from 0 to 1, or ``None``.
    """

    model: str
    task: str
    bucket: int
    codec: str
    augmentation: str
    n: int
    correct: int
    tokens: float | None
    ratio: float | None
    depth: float | None

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.n


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The Wilson score interval, 95 %, of ``correct`` successes in ``n`` > 0 trials (E. B. Wilson, JASA 22, 1927, 209-212)."""
    centre = (correct + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * math.sqrt(correct * (n - correct) / n + Z * Z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def cells(store: Store, filters: Filters, *, depth: bool = False, flagged: bool = True) -> list[Cell]:
    """The cells of an experiment, in a fixed order.

    Args:
        depth: only trials with a needle, split by its depth as well.
        flagged: also trials whose token count is flagged (page rescaled by the pixel budget, or counts that disagree).
    """
    where = ["correct IS NOT NULL", *_where(filters)]
    where += ["json_extract(sample_metadata, '$.depth') IS NOT NULL"] if depth else []
    where += [] if flagged else ["token_flag IS NULL"]
    sql = f"""
        SELECT CASE WHEN adapter IS NULL THEN model ELSE model || ' + ' || adapter END AS reader, task, bucket, codec, augmentation,
            count(*) AS n, count(*) FILTER (correct) AS correct, avg(carrier_tokens) AS tokens, avg(compression_ratio) AS ratio,
            {"CAST(json_extract(sample_metadata, '$.depth') AS DOUBLE)" if depth else "NULL::DOUBLE"} AS depth
        FROM results WHERE {" AND ".join(where)}
        GROUP BY reader, task, bucket, codec, augmentation, depth ORDER BY ALL"""
    return [Cell(*row) for row in store.query(sql).rows]


def check(store: Store, filters: Filters) -> None:
    """Refuse a filter that nothing in the store matches.

    Raises:
        NothingToPlot: the store is empty, or a filter's value is not in it; the message says which values are.
    """
    if store.query("SELECT count(*) FROM trials").rows == [(0,)]:
        raise NothingToPlot(f"{store.path}: the store is empty; run first: ctxbench run --store {store.path}")
    for column, values in filters.conditions().items():
        known = [value for (value,) in store.query(f"SELECT DISTINCT {column} FROM results ORDER BY ALL").rows]
        if unknown := [value for value in values if value not in known]:
            raise NothingToPlot(f"{store.path}: no trial has {column} {unknown[0]!r}; there are: {', '.join(map(str, known))}")


def codecs(store: Store) -> list[str]:
    """All codecs of the store, ``text`` first: their places decide their colours, whatever is filtered."""
    found = [str(codec) for (codec,) in store.query("SELECT DISTINCT codec FROM results ORDER BY ALL").rows]
    return sorted(found, key=lambda codec: (codec != "text", codec))


def levels(found: Iterable[Cell]) -> list[str]:
    """The augmentations of some cells, weakest first."""
    known = {cell.augmentation for cell in found}
    return [level for level in LEVELS if level in known] + sorted(known - set(LEVELS))


def pooled(found: Sequence[Cell]) -> tuple[int, int]:
    """Right answers and trials of several cells together."""
    return sum(cell.correct for cell in found), sum(cell.n for cell in found)


def _where(filters: Filters) -> list[str]:
    conditions = []
    for column, values in filters.conditions().items():
        literals = ", ".join(str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'" for value in values)
        conditions.append(f"{column} IN ({literals})")
    return conditions
