"""The tables of a report: what it says first, one row for each cell, and the runs behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_report.data import KEYS, LEVELS, Filters, counted, passing, summary_rows

MOST_CELLS = 10_000
MOST_HEADLINES = 300
MOST_RUNS = 20
MOST_BOOTSTRAPPED = 20_000
"""Trials up to which a report asks for the intervals of ratios, whose bootstrap takes a while."""

CELL_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("model", "model", "choice"),
    ("task", "task", "choice"),
    ("bucket", "length", "choice"),
    ("codec", "codec", "choice"),
    ("augmentation", "augmentation", "choice"),
    ("n", "n", "count"),
    ("errors", "errors", "count"),
    ("accuracy", "accuracy", "share"),
    ("score", "score", "value"),
    ("carrier_tokens", "tokens", "tokens"),
    ("compression_ratio", "ratio", "value"),
    ("channel_correct", "channel", "share"),
    ("read_seconds", "read, s", "amount"),
    ("cost_usd", "US dollars", "amount"),
    ("remark", "remarks", "text"),
)
"""Name, heading and kind of the columns of the table of cells. A ``share``, ``value`` or ``amount`` is a list of a
figure and its interval's bounds."""


_COST_BOUNDS = ("read_seconds_low", "read_seconds_high", "cost_usd_low", "cost_usd_high")


@attrs.frozen
class Cells:
    """Rows by :data:`CELL_COLUMNS`, the place of each by the cell's id, and how many there were."""

    rows: list[list[Any]]
    places: dict[str, int]
    total: int
    has_ratio_bounds: bool


def cells_table(store: Store, filters: Filters) -> Cells:
    """The cells of the view ``summary``, with what a reader has to know about them as ``remark``."""
    found = sorted(passing(summary_rows(store), filters), key=_place)
    bounds: dict[tuple[Any, ...], tuple[Any, Any]] = {}
    if has_bounds := sum(row["n"] for row in found) <= MOST_BOOTSTRAPPED:
        for told in store.query(f"SELECT {', '.join(KEYS)}, compression_ratio_low, compression_ratio_high FROM ratios").rows:
            bounds[told[:-2]] = told[-2:]
    taken = {row[0]: row[1:] for row in store.query(f"SELECT cell, {', '.join(_COST_BOUNDS)} FROM costs").rows}
    rows: list[list[Any]] = []
    places: dict[str, int] = {}
    for row in found[:MOST_CELLS]:
        values = {**row, **row["labels"], "remark": remark(row)}
        values["accuracy"] = _bounded(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        values["score"] = _bounded(row["score"], row["score_low"], row["score_high"])
        values["compression_ratio"] = _bounded(row["compression_ratio"], *bounds.get(tuple(row[name] for name in KEYS), (None, None)))
        values["read_seconds"] = _bounded(row["read_seconds"], *taken[row["cell"]][:2])
        values["cost_usd"] = _bounded(row["cost_usd"], *taken[row["cell"]][2:])
        if row["n_channel"]:
            values["channel_correct"] = _bounded(row["channel_correct"], *wilson(row["channel_answers"], row["n_channel"]))
        places[row["cell"]] = len(rows)
        rows.append([values[name] for name, _, _ in CELL_COLUMNS])
    return Cells(rows, places, len(found), has_bounds)


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Readers, tasks and lengths as they come, text before other codecs, and augmentations by their strength."""
    labels, level = row["labels"], row["augmentation"]
    strength = LEVELS.index(level) if level in LEVELS else len(LEVELS)
    return labels["model"], labels["task"], row["bucket"], row["codec"] != "text", labels["codec"], strength, labels["augmentation"]


def remark(row: dict[str, Any]) -> str:
    """What stands behind a cell's figures: other variants of its labels, older releases, flagged counts, training overlap."""
    told = []
    if row["n_variants"] > 1:
        told.append(f"one of {row['n_variants']} variants of these labels")
    if row["n_superseded"]:
        told.append(f"{counted(row['n_superseded'], 'trial')} of older releases left out")
    if row["n_flagged"]:
        told.append(f"{row['n_flagged']:,} of {row['n']:,} token counts flagged")
    if row["training_overlap"]:
        told.append(f"up to {100 * row['training_overlap']:.0f} % of a context in the training data")
    return "; ".join(told)


def _bounded(value: float | None, low: float | None, high: float | None) -> list[float | None] | None:
    return None if value is None else [_rounded(value), _rounded(low), _rounded(high)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


@attrs.frozen
class Headline:
    """One group of rows for each reader, task and length, a row for each codec, and a column for each augmentation.

    Attributes:
        levels: headings of these columns.
        groups: (title, rows); a row has ``codec``, ``tokens``, ``ratio`` and ``cells``, which holds a row of ``summary`` or ``None``.
        shown, total: rows in it, and rows that there were.
    """

    levels: Sequence[str]
    groups: list[tuple[str, list[dict[str, Any]]]]
    shown: int
    total: int


def headline(store: Store, filters: Filters) -> Headline:
    """What ``ctxbench run`` prints, with intervals and counts: tokens and ratio are of the carrier as encoded, before damage."""
    found = sorted(passing(summary_rows(store), filters), key=_place)
    names = {row["labels"]["augmentation"] for row in found}
    levels = [level for level in LEVELS if level in names] + sorted(names - set(LEVELS))
    lines: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in found:
        labels = row["labels"]
        title = f"{labels['model']}, {labels['task']}, {row['bucket']:,} tokens"
        lines.setdefault((title, labels["codec"]), {})[labels["augmentation"]] = row
    groups: dict[str, list[dict[str, Any]]] = {}
    for (title, codec), by_level in list(lines.items())[:MOST_HEADLINES]:
        first = next(by_level[level] for level in levels if level in by_level)
        line = {"codec": codec, "tokens": first["encoded_tokens"], "ratio": first["encoded_ratio"]}
        groups.setdefault(title, []).append({**line, "cells": [by_level.get(level) for level in levels]})
    return Headline(levels, list(groups.items()), min(len(lines), MOST_HEADLINES), len(lines))


def totals(store: Store, filters: Filters) -> dict[str, Any]:
    """Counts of what the filter lets pass, and when the last of it was stored."""
    table = store.query(
        f"""SELECT count(*) AS trials, count(*) FILTER (status = 'error') AS errors, count(DISTINCT codec) AS codecs,
            count(DISTINCT (model, adapter)) AS readers, count(DISTINCT task) AS tasks, max(created_at) AS newest
        FROM trials WHERE {filters.where()}"""
    )
    return dict(zip(table.columns, table.rows[0], strict=True))


def runs(store: Store) -> tuple[list[dict[str, Any]], int]:
    """The newest runs, each with its JSON columns as indented text, and how many there were."""
    table = store.query("SELECT * FROM runs ORDER BY started_at DESC, run_id")
    found = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for run in found[:MOST_RUNS]:
        for name in ("config", "versions", "environment"):
            run[name] = json.dumps(json.loads(run[name] or "{}"), indent=2, ensure_ascii=False)
    return found[:MOST_RUNS], len(found)
