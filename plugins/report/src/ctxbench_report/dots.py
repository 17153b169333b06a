"""Points with intervals, one line for each codec and augmentation: trust, cost, and what is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, PercentFormatter

from ctxbench.store import Store
from ctxbench_report.bars import name_lines
from ctxbench_report.data import Cell, Filters, NothingToPlot, cells, codecs, left_out, levels, passing, summary_rows
from ctxbench_report.style import COLOURS, count_range, panels

LEAST = 5
"""Trials from which on a rate is drawn; its interval leaves half of the scale open below."""


@attrs.frozen
class Point:
    """A mean with its interval, which may not be known."""

    value: float
    low: float | None
    high: float | None
    n: int


@attrs.frozen
class Measure:
    """A column of panels: its heading, the columns of the view, whether it is a share of 1, and the least n to draw."""

    heading: str
    columns: tuple[str, str, str, str]
    share: bool
    least: int


TRUST = (
    Measure("says so when the answer is not there", ("absent_accuracy", "absent_low", "absent_high", "n_absent"), True, LEAST),
    Measure("right when it is there", ("present_accuracy", "present_low", "present_high", "n_present"), True, LEAST),
    Measure("identifiers said that are exact", ("identifier_precision", "identifier_low", "identifier_high", "n_identifiers"), True, LEAST),
)
COSTS = (
    Measure("seconds of reading", ("read_seconds", "read_seconds_low", "read_seconds_high", "n_timed"), False, 1),
    Measure("US dollars", ("cost_usd", "cost_usd_low", "cost_usd_high", "n_priced"), False, 1),
)


def trust(store: Store, filters: Filters) -> Figure:
    """Questions whose answer is not there, questions whose answer is, and exact identifiers (view ``trust``)."""
    found = _points(store, filters, "trust", TRUST)
    asked = [measure for measure in TRUST if measure is not TRUST[1] and any(measure.heading in points for _, points in found)]
    if not asked:
        most = max((row[0] for row in store.query("SELECT n_absent FROM trust UNION ALL SELECT n_identifiers FROM trust").rows), default=0)
        raise NothingToPlot(
            f"{store.path}: {most} trials of a cell at most ask for what is not there or have scores of identifiers ({LEAST} are the"
            " least); run a task with such questions (needle with absent: 0.3), or score stored answers: ctxbench run --metric identifiers"
        )
    shown = [measure for measure in TRUST if measure in asked or measure is TRUST[1]]
    special = {measure.heading for measure in asked}
    rows = {_row(cell) for cell, points in found if special & points.keys()}  # accuracy alone is in other plots
    found = [(cell, points) for cell, points in found if _row(cell) in rows]
    note = f"bars are 95 % intervals; cells of fewer than {LEAST} such trials are left out"
    return _dots(store, found, shown, "What a reader can be trusted with", note)


def costs(store: Store, filters: Filters) -> Figure:
    """Seconds and US dollars a trial (view ``costs``)."""
    found = _points(store, filters, "costs", COSTS)
    shown = [measure for measure in COSTS if any(measure.heading in points for _, points in found)]
    if not shown:
        raise NothingToPlot(f"{store.path}: no trial has a time or a price")
    note = "bars are 95 % intervals of the mean, of seconds clustered by batch; hollow: one observation, which has no interval"
    return _dots(store, found, shown, "What a trial takes", note)


def _points(store: Store, filters: Filters, view: str, measures: Sequence[Measure]) -> list[tuple[Cell, dict[str, Point]]]:
    """Each cell with its points by their headings; those of too few trials are not there."""
    names = [column for measure in measures for column in measure.columns]
    by_id = {row[0]: dict(zip(names, row[1:], strict=True)) for row in store.query(f"SELECT cell, {', '.join(names)} FROM {view}").rows}
    found = []
    for cell in cells(store, filters):
        values = by_id[cell.id]
        points = {}
        for measure in measures:
            value, low, high, n = (values[name] for name in measure.columns)
            if value is not None and n >= measure.least:
                points[measure.heading] = Point(value, low, high, n)
        found.append((cell, points))
    return [(cell, points) for cell, points in found if points]


def _row(cell: Cell) -> tuple[str, str, int]:
    return cell.model, cell.task, cell.bucket


def _dots(store: Store, found: Sequence[tuple[Cell, dict[str, Point]]], shown: Sequence[Measure], title: str, note: str) -> Figure:
    order, strengths = codecs(store), levels([cell for cell, _ in found])
    rows = sorted({_row(cell) for cell, _ in found})
    lines = sorted({(c.codec, c.augmentation) for c, _ in found}, key=lambda line: (order.index(line[0]), strengths.index(line[1])))
    counts = [point.n for _, points in found for measure in shown if (point := points.get(measure.heading))]
    heading = f"{title}\nn = {count_range(counts)} trials a point; {note}{left_out(cell for cell, _ in found)}"
    names = [f"{model}, {task}, {bucket:,} tokens" for model, task, bucket in rows]
    headings = [measure.heading for measure in shown]
    figure, axes = panels(names, headings, heading, (3.0, max(1.4, 0.19 * len(lines) + 0.4)))
    for i, row in enumerate(rows):
        inside = {(c.codec, c.augmentation): points for c, points in found if _row(c) == row}
        for j, measure in enumerate(shown):
            panel = axes[i][j]
            here = {y: points[measure.heading] for y, line in enumerate(lines) if measure.heading in (points := inside.get(line, {}))}
            colours = {y: COLOURS[order.index(lines[y][0]) % len(COLOURS)] for y in here}
            _panel(panel, here, colours)
            _scale(panel, [points[measure.heading] for _, points in found if measure.heading in points], measure.share)
            panel.set_ylim(len(lines) - 0.5, -0.5)
            name_lines(panel, lines, j == 0)
    return figure


def _panel(axes: Axes, points: Mapping[int, Point], colours: Mapping[int, str]) -> None:
    """All points of a panel in two calls: matplotlib takes a while for each."""
    axes.grid(visible=False, axis="y")
    if not points:
        return
    known = {y: (p.low, p.high) for y, p in points.items() if p.low is not None and p.high is not None}
    lows, highs = [low for low, _ in known.values()], [high for _, high in known.values()]
    axes.hlines(list(known), lows, highs, colors=[colours[y] for y in known], linewidth=1.6)
    style: dict[str, Any] = {"s": 25, "edgecolors": list(colours.values()), "zorder": 3, "clip_on": False}
    axes.scatter([p.value for p in points.values()], list(points), c=[colours[y] if y in known else "white" for y in points], **style)


def _scale(axes: Axes, points: Sequence[Point], share: bool) -> None:
    """The same axis from 0 for all panels of a measure."""
    if share:
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    else:
        axes.set_xlim(0, 1.06 * max([1e-9, *(max(p.value, p.high or 0) for p in points)]))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def prior_gap(store: Store, filters: Filters) -> Figure:
    """Accuracy on a payload that can be guessed and on one that must be read (view ``prior_gap``): a line for each codec.

    A panel for each reader, length and pair of payloads (rows) and augmentation (columns).
    """
    labels = {row["cell"]: row["labels"] for row in passing(summary_rows(store), attrs.evolve(filters, tasks=()))}
    table = store.query("FROM prior_gap")
    pairs = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    pairs = [pair for pair in pairs if pair["natural_cell"] in labels and pair["random_cell"] in labels]
    if filters.tasks:
        pairs = [pair for pair in pairs if {pair["natural_task"], pair["random_task"]} & set(filters.tasks)]
    enough = [pair for pair in pairs if min(pair["natural_n"], pair["random_n"]) >= LEAST]
    if not enough:
        raise NothingToPlot(f"{store.path}: {_no_gap(pairs)}")
    order, strengths = codecs(store), levels(cells(store, attrs.evolve(filters, tasks=())))
    keyed = [(_gap_row(pair, labels), labels[pair["natural_cell"]], pair) for pair in enough]
    rows = sorted({row for row, _, _ in keyed})
    columns = [level for level in strengths if any(told["augmentation"] == level for _, told, _ in keyed)]
    lines = [codec for codec in order if any(told["codec"] == codec for _, told, _ in keyed)]
    counts = [pair[f"{side}_n"] for pair in enough for side in ("natural", "random")]
    note = f"n = {count_range(counts)} trials a point; bars are 95 % Wilson intervals; at the right the gap in points and its 95 % interval"
    note += f"; pairs of fewer than {LEAST} trials are left out" if len(enough) < len(pairs) else ""
    figure, axes = panels(
        rows, columns, f"Prior gap: what can be guessed against what must be read\n{note}", (3.3, max(1.5, 0.42 * len(lines) + 0.5))
    )
    for i, row in enumerate(rows):
        for j, level in enumerate(columns):
            here = {lines.index(told["codec"]): pair for key, told, pair in keyed if key == row and told["augmentation"] == level}
            _gap_panel(axes[i][j], here)
            axes[i][j].set_ylim(len(lines) - 0.5, -0.5)
            axes[i][j].set_yticks(range(len(lines)) if j == 0 else (), lines if j == 0 else ())
    for panel in axes[-1]:
        panel.set_xlabel("accuracy")
    handles = [Line2D([], [], linewidth=1.6, marker=marker, color=colour, markersize=5) for marker, colour in _SIDES.values()]
    figure.legend(handles, ["natural payload", "random payload"], loc="outside lower center", ncols=2)
    return figure


_SIDES = {"natural": ("o", COLOURS[1]), "random": ("s", COLOURS[2])}


def _gap_row(pair: Mapping[str, Any], labels: Mapping[str, Mapping[str, str]]) -> str:
    told = f"{labels[pair['natural_cell']]['model']}, {pair['bucket']:,} tokens, {pair['natural_payload']} against {pair['random_payload']}"
    tasks = [labels[pair[f"{side}_cell"]]["task"] for side in ("natural", "random")]
    return f"{told} ({', '.join(dict.fromkeys(tasks))})"


def _no_gap(pairs: Sequence[Mapping[str, Any]]) -> str:
    if not pairs:
        return (
            "no two cells differ in their payload alone; run a task with natural and with random content, such as json_restore with"
            " entropy: realistic and with entropy: random, each with a label of its own"
        )
    most = max(min(pair["natural_n"], pair["random_n"]) for pair in pairs)
    return f"{most} trials of a payload at most, too few to say anything ({LEAST} are the least)"


def _gap_panel(axes: Axes, pairs: Mapping[int, Mapping[str, Any]]) -> None:
    for y, pair in pairs.items():
        for side, shift in (("natural", -0.14), ("random", 0.14)):
            marker, colour = _SIDES[side]
            axes.plot([pair[f"{side}_accuracy_low"], pair[f"{side}_accuracy_high"]], [y + shift] * 2, color=colour, linewidth=1.6)
            axes.plot([pair[f"{side}_accuracy"]], [y + shift], marker=marker, markersize=5, color=colour, clip_on=False)
        told = f"{100 * pair['gap']:+.0f} [{100 * pair['gap_low']:+.0f}, {100 * pair['gap_high']:+.0f}]"
        axes.annotate(told, (1.04, y), fontsize=7, va="center", annotation_clip=False)
    axes.set_xlim(0, 1.45)
    axes.spines["bottom"].set_bounds(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(visible=False, axis="y")
