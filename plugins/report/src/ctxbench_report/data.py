"""What the plots show, asked of the store's views: cells with their counts, intervals, costs and depths."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ctxbench import CtxbenchError
from ctxbench.store import Store
from ctxbench_report.labels import COLUMNS, distinct_labels

KEYS = ("model", "adapter", "task", "bucket", "language", "codec", "augmentation", "variant")
"""What is unique in the views that hold one row for each cell."""

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

    def where(self) -> str:
        """The conditions as SQL; ``TRUE`` if there are none."""
        conditions = []
        for column, values in self.conditions().items():
            literals = ", ".join(str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'" for value in values)
            conditions.append(f"{column} IN ({literals})")
        return " AND ".join(conditions) or "TRUE"


@attrs.frozen
class Cell:
    """Trials that differ in their sample alone, which a plot treats as one point.

    Attributes:
        id: column ``cell`` of the store.
        model: with its adapter, if it has one. It and the labels of the other components tell cells apart: where two variants share
            all labels, what differs stands behind the label.
        n, correct: trials with a verdict, errors among them, and those with the right answer.
        tokens: mean carrier tokens after augmentation; ``None`` if no trial got that far.
        ratio: mean reference tokens / mean carrier tokens.
        ceiling: share of trials whose question the codec's own decoder answers, ``None`` where it was not asked.
        superseded: trials of older releases of its components, which are left out.
        depth: of the needle, from 0 to 1, or ``None``.
    """

    id: str
    model: str
    task: str
    bucket: int
    codec: str
    augmentation: str
    n: int
    correct: int
    tokens: float | None
    ratio: float | None
    ceiling: float | None = None
    superseded: int = 0
    depth: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.n


_SUMMARIES: weakref.WeakKeyDictionary[Store, list[dict[str, Any]]] = weakref.WeakKeyDictionary()
"""Every plot and table of a report asks for the same rows."""


def summary_rows(store: Store) -> list[dict[str, Any]]:
    """Every row of the view ``summary``, in its order, with what tells cells apart and ``labels``, made distinct over the whole store."""
    if store.read_only and store in _SUMMARIES:  # nobody can write while it is open
        return _SUMMARIES[store]
    told = ", ".join(f"any_value({name}) AS {name}" for name in COLUMNS if name != "seed")
    table = store.query(
        f"""SELECT s.*, t.* EXCLUDE (cell) FROM summary s JOIN (
            SELECT cell, {told}, count(correct) AS judged, count(*) FILTER (correct) AS right_answers,
                count(channel_correct) AS n_channel, count(*) FILTER (channel_correct) AS channel_answers
            FROM results GROUP BY cell
        ) t USING (cell) ORDER BY model, adapter, task, bucket, language, codec, augmentation, variant"""
    )
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for row, labels in zip(rows, distinct_labels(rows), strict=True):
        row["labels"] = labels
    _SUMMARIES[store] = rows
    return rows


def passing(rows: Iterable[dict[str, Any]], filters: Filters) -> list[dict[str, Any]]:
    """The rows that a filter lets pass."""
    wanted = filters.conditions()
    return [row for row in rows if all(row[column] in values for column, values in wanted.items())]


def cells(store: Store, filters: Filters, *, depth: bool = False, flagged: bool = True) -> list[Cell]:
    """The cells of an experiment, in a fixed order. Cells without a verdict are left out.

    Args:
        depth: only trials with a needle, split by its depth as well.
        flagged: also trials whose token count is flagged (page rescaled by the pixel budget, or counts that disagree).
    """
    found = []
    for row in passing(summary_rows(store), filters):
        cell = Cell(
            id=row["cell"],
            bucket=row["bucket"],
            n=row["judged"],
            correct=row["right_answers"],
            tokens=row["carrier_tokens"],
            ratio=row["compression_ratio"],
            ceiling=row["channel_correct"],
            superseded=row["n_superseded"],
            **row["labels"],
        )
        found.append(cell)
    if depth or not flagged:
        found = _split(store, found, depth=depth, flagged=flagged)
    return sorted((cell for cell in found if cell.n), key=_order)


def _split(store: Store, found: list[Cell], *, depth: bool, flagged: bool) -> list[Cell]:
    """The same cells with the counts of some of their trials only."""
    at = "CAST(json_extract(sample_metadata, '$.depth') AS DOUBLE)" if depth else "NULL::DOUBLE"
    where = ["correct IS NOT NULL"]
    where += ["json_extract(sample_metadata, '$.depth') IS NOT NULL"] if depth else []
    where += [] if flagged else ["token_flag IS NULL"]
    # A ratio of means, as in the view summary: the carrier's tokens weigh each trial's ratio.
    sql = f"""
        SELECT cell, {at} AS depth, count(*) AS n, count(*) FILTER (correct) AS correct, avg(carrier_tokens) AS tokens,
            sum(compression_ratio * carrier_tokens) / nullif(sum(carrier_tokens) FILTER (compression_ratio IS NOT NULL), 0) AS ratio
        FROM results WHERE {" AND ".join(where)} GROUP BY ALL ORDER BY ALL"""
    by_id = {cell.id: cell for cell in found}
    parts = [(by_id.get(row[0]), row) for row in store.query(sql).rows]
    return [attrs.evolve(cell, depth=row[1], n=row[2], correct=row[3], tokens=row[4], ratio=row[5]) for cell, row in parts if cell]


def _order(cell: Cell) -> tuple[Any, ...]:
    return cell.model, cell.task, cell.bucket, cell.codec, cell.augmentation, -1 if cell.depth is None else cell.depth, cell.id


def shares(store: Store, filters: Filters) -> list[tuple[Cell, dict[str, float]]]:
    """Each cell with the shares of the view ``attribution``, which sum to 1."""
    names = ("correct", "in_spite_of_channel", "lost_in_reader", "lost_in_channel", "unknown", "errors")
    table = store.query(f"SELECT {', '.join((*KEYS, *names))} FROM attribution")
    by_key = {row[: len(KEYS)]: dict(zip(names, row[len(KEYS) :], strict=True)) for row in table.rows}
    ids = {row["cell"]: by_key[tuple(row[key] for key in KEYS)] for row in summary_rows(store)}
    return [(cell, ids[cell.id]) for cell in cells(store, filters)]


def outcomes(store: Store, filters: Filters) -> list[tuple[Cell, dict[str, float]]]:
    """Each cell with the share of its trials of every outcome, ``error`` among them."""
    sql = "SELECT cell, CASE WHEN status = 'error' THEN 'error' ELSE outcome END AS ending, count(*) FROM results GROUP BY ALL"
    counts: dict[str, dict[str, int]] = {}
    for cell_id, ending, count in store.query(sql).rows:
        counts.setdefault(cell_id, {})[ending or "unknown"] = count
    whole = {cell_id: sum(endings.values()) for cell_id, endings in counts.items()}
    return [(c, {ending: count / whole[c.id] for ending, count in counts[c.id].items()}) for c in cells(store, filters)]


def frontier_ids(store: Store) -> set[str]:
    """Ids of the cells that the view ``frontier`` holds."""
    there = set(store.query(f"SELECT {', '.join(KEYS)} FROM frontier").rows)
    return {row["cell"] for row in summary_rows(store) if tuple(row[key] for key in KEYS) in there}


def check(store: Store, filters: Filters) -> None:
    """Refuse a filter that nothing in the store matches.

    Raises:
        NothingToPlot: the store is empty, or a filter's value is not in it; the message says which values are.
    """
    if store.query("SELECT count(*) FROM trials").rows == [(0,)]:
        raise NothingToPlot(f"{store.path}: the store is empty; run first: ctxbench run --store {store.path}")
    for column, values in filters.conditions().items():
        known = [value for (value,) in store.query(f"SELECT DISTINCT {column} FROM trials ORDER BY ALL").rows]
        if unknown := [value for value in values if value not in known]:
            raise NothingToPlot(f"{store.path}: no trial has {column} {unknown[0]!r}; there are: {', '.join(map(str, known))}")


def codecs(store: Store) -> list[str]:
    """All codecs of the store, ``text`` first: their places decide their colours, whatever is filtered."""
    found = {row["labels"]["codec"] for row in summary_rows(store)}
    return sorted(found, key=lambda codec: (codec.partition(" [")[0] != "text", codec))


def levels(found: Iterable[Cell]) -> list[str]:
    """The augmentations of some cells, weakest first."""
    known = {cell.augmentation for cell in found}
    return [level for level in LEVELS if level in known] + sorted(known - set(LEVELS))


def pooled(found: Sequence[Cell]) -> tuple[int, int]:
    """Right answers and trials of several cells together."""
    return sum(cell.correct for cell in found), sum(cell.n for cell in found)


def left_out(found: Iterable[Cell]) -> str:
    """A clause for a plot's note on trials that are not in it, or nothing."""
    count = sum({cell.id: cell.superseded for cell in found}.values())
    return f"; left out: {counted(count, 'trial')} of older releases" if count else ""


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
