"""Accuracy over cost, over compression ratio, and over the strength of the augmentation; and the cells that no other beats."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, NothingToPlot, cells, codecs, counted, frontier_ids, left_out, levels, pooled
from ctxbench_report.style import Look, accuracy_axis, axis_labels, count_range, log_axis, panels, short, wrapped

INTERVALS = "bars are 95 % Wilson intervals"
GREY = "#8A8A8A"


def cost_accuracy(store: Store, filters: Filters) -> Figure:
    """Accuracy over carrier tokens; a panel for each reader and task (rows) and augmentation (columns)."""
    return _over_cost(
        store,
        [cell for cell in cells(store, filters) if cell.tokens],
        "Accuracy over cost",
        "carrier tokens",
        lambda cell: cell.tokens or 0.0,
        _tokens,
    )


def ratio_accuracy(store: Store, filters: Filters) -> Figure:
    """Accuracy over compression ratio; trials with a flagged token count are left out, and the note says how many."""
    found = [cell for cell in cells(store, filters, flagged=False) if cell.ratio]
    whole = {cell.id: cell.n for cell in cells(store, filters) if cell.tokens}
    flagged = sum(whole.values()) - sum(cell.n for cell in found)
    figure = _over_cost(
        store,
        found,
        "Accuracy over compression ratio (reference tokens / carrier tokens)",
        "compression ratio",
        lambda cell: cell.ratio or 0.0,
        lambda value: f"{value:g}",
        f"; left out: {counted(flagged, 'trial')} whose token count is not sure" if flagged else "",
    )
    for axes in figure.axes:
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.8), max(high, 1.25))
        axes.axvline(1, color="#666666", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    return figure


def _tokens(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _over_cost(
    store: Store,
    found: list[Cell],
    title: str,
    label: str,
    x: Callable[[Cell], float],
    form: Callable[[float], str],
    note: str = "",
) -> Figure:
    if not found:
        raise NothingToPlot(f"{store.path}: no trial has a token count that this plot could use")
    rows = sorted({(cell.model, cell.task) for cell in found})
    columns = levels(found)
    buckets = sorted({cell.bucket for cell in found})
    lengths = ", ".join(f"{bucket:,}" for bucket in buckets)
    growing = f"; along a line the context grows: {lengths} tokens" if len(buckets) > 1 else f"; contexts of {lengths} tokens"
    note = f"n = {count_range([cell.n for cell in found])} trials a point; {INTERVALS}{growing}{note}{left_out(found)}"
    figure, axes = panels([f"{model}, {task}" for model, task in rows], columns, f"{title}\n{note}", (3.0, 2.2), same_axes=True)
    look = Look(codecs(store))
    for i, row in enumerate(rows):
        for j, level in enumerate(columns):
            inside = [cell for cell in found if (cell.model, cell.task) == row and cell.augmentation == level]
            for codec in sorted({cell.codec for cell in inside}, key=list(look.codecs).index):
                line = sorted((cell for cell in inside if cell.codec == codec), key=lambda cell: cell.bucket)
                _line(axes[i][j], [x(cell) for cell in line], [(cell.correct, cell.n) for cell in line], look, codec)
            accuracy_axis(axes[i][j])
            log_axis(axes[i][j], [x(cell) for cell in found], form)
    axis_labels(axes, label, "accuracy")
    look.legend(figure, [cell.codec for cell in found])
    return figure


def robustness(store: Store, filters: Filters) -> Figure:
    """Accuracy over augmentation levels, all lengths together; a panel for each reader (rows) and task (columns)."""
    found = cells(store, filters)
    if not found:
        raise NothingToPlot(f"{store.path}: no trial has ended")
    readers, tasks = sorted({cell.model for cell in found}), sorted({cell.task for cell in found})
    look, strengths = Look(codecs(store)), levels(found)
    shown = [codec for codec in look.codecs if any(cell.codec == codec for cell in found)]
    points: list[tuple[Axes, str, list[float], list[tuple[int, int]]]] = []
    size = (max(3.0, 0.95 * len(strengths) + 0.6), 2.6)
    counts = [pooled(group)[1] for group in _groups(found)]
    lengths = sorted({cell.bucket for cell in found})
    together = (
        f"context lengths {', '.join(f'{b:,}' for b in lengths)} together" if len(lengths) > 1 else f"contexts of {lengths[0]:,} tokens"
    )
    note = f"n = {count_range(counts)} trials a point, {together}; {INTERVALS}{left_out(found)}"
    figure, axes = panels(readers, tasks, f"Accuracy under augmentation\n{note}", size, same_axes=True)
    for i, reader in enumerate(readers):
        for j, task in enumerate(tasks):
            for place, codec in enumerate(shown):
                inside = [cell for cell in found if (cell.model, cell.task, cell.codec) == (reader, task, codec)]
                at = [level for level in strengths if any(cell.augmentation == level for cell in inside)]
                offset = (place - (len(shown) - 1) / 2) * min(0.15, 0.6 / len(shown))
                xs = [strengths.index(level) + offset for level in at]
                points.append((axes[i][j], codec, xs, [pooled([c for c in inside if c.augmentation == level]) for level in at]))
            accuracy_axis(axes[i][j])
            axes[i][j].set_xticks(range(len(strengths)), [wrapped(short(level), 14) for level in strengths])
            axes[i][j].set_xlim(-0.5, len(strengths) - 0.5)
    for panel, codec, xs, rates in points:
        _line(panel, xs, rates, look, codec)
    axis_labels(axes, "augmentation", "accuracy")
    look.legend(figure, shown)
    return figure


def frontier(store: Store, filters: Filters) -> Figure:
    """Accuracy over carrier tokens: the best that is reached for so many tokens, by the cells that no other beats (view ``frontier``).

    A panel for each reader, task and length (rows) and augmentation (columns): cells that compete with each other. Beaten cells are
    hollow. The dash above or below a point is the share of questions that the codec's own decoder answers from the same pixels.
    """
    found = [cell for cell in cells(store, filters) if cell.tokens]
    if not found:
        raise NothingToPlot(f"{store.path}: no trial has a token count, which the frontier needs")
    best = frontier_ids(store)
    rows, columns = sorted({(c.model, c.task, c.bucket) for c in found}), levels(found)
    names = [f"{model}, {task}, {bucket:,} tokens" for model, task, bucket in rows]
    note = f"n = {count_range([c.n for c in found])} trials a point; {INTERVALS}; hollow: a cheaper cell is shown to be at most 5"
    note += f" points worse; grey dash: what the codec's own decoder answers{left_out(found)}"
    figure, axes = panels(names, columns, f"Frontier: what is worth its tokens\n{note}", (3.0, 2.2), same_axes=True)
    look = Look(codecs(store))
    for i, row in enumerate(rows):
        for j, level in enumerate(columns):
            inside = [c for c in found if (c.model, c.task, c.bucket) == row and c.augmentation == level]
            _frontier_panel(axes[i][j], sorted(inside, key=lambda cell: cell.tokens or 0), best, look)
            accuracy_axis(axes[i][j])
            log_axis(axes[i][j], [cell.tokens or 0 for cell in found], _tokens)
    axis_labels(axes, "carrier tokens", "accuracy")
    extra = [
        Line2D([], [], color=GREY, linewidth=1.4),
        Line2D([], [], color=GREY, linewidth=0, marker="_", markersize=12, markeredgewidth=2),
    ]
    look.legend(figure, [cell.codec for cell in found], extra, ["most reached", "channel's ceiling"])
    return figure


def _frontier_panel(axes: Axes, line: Sequence[Cell], best: set[str], look: Look) -> None:
    kept = [cell for cell in line if cell.id in best]
    reached = list(itertools.accumulate((cell.accuracy for cell in kept), max))
    steps: dict[str, Any] = {"color": GREY, "linewidth": 1.4, "drawstyle": "steps-post", "zorder": 1.5}
    axes.plot([c.tokens or 0 for c in kept], reached, clip_on=False, **steps)[0].set_in_layout(False)
    asked = [(cell.tokens or 0, cell.ceiling) for cell in line if cell.ceiling is not None]
    dashes: dict[str, Any] = {"color": GREY, "linewidth": 0, "marker": "_", "markersize": 13, "markeredgewidth": 2, "zorder": 2.4}
    axes.plot([x for x, _ in asked], [y for _, y in asked], clip_on=False, **dashes)[0].set_in_layout(False)
    for codec in look.codecs:
        for beaten in (False, True):
            points = [cell for cell in line if cell.codec == codec and (cell.id not in best) == beaten]
            hollow: dict[str, Any] = (
                {"markerfacecolor": "white", "markeredgecolor": look.of(codec)["color"], "markeredgewidth": 1.2} if beaten else {}
            )
            rates = [(cell.correct, cell.n) for cell in points]
            _line(axes, [cell.tokens or 0 for cell in points], rates, look, codec, linewidth=0, **hollow)


def _groups(found: Sequence[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in found:
        groups.setdefault((cell.model, cell.task, cell.codec, cell.augmentation), []).append(cell)
    return list(groups.values())


def _line(axes: Axes, xs: list[float], rates: list[tuple[int, int]], look: Look, codec: str, **marker: Any) -> None:
    """Points with their intervals, joined by a line. The wider an interval, the fainter it is: at n = 4 the bars would drown the points."""
    if not xs:
        return
    accuracy = [correct / n for correct, n in rates]
    bounds = [wilson(correct, n) for correct, n in rates]
    style = {"markeredgecolor": "white", "markeredgewidth": 0.6, **look.of(codec), **marker}
    widest = max(high - low for low, high in bounds)
    alpha = 0.3 if widest > 0.3 else 0.5
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    intervals = axes.vlines(xs, lows, highs, color=style["color"], linewidth=4, alpha=alpha, zorder=2, capstyle="butt")
    (points,) = axes.plot(xs, accuracy, markersize=5.5, zorder=3, clip_on=False, **{"linewidth": 1.3, **style})
    for artist in (intervals, points):
        artist.set_in_layout(False)  # they lie inside their panel, and asking each where takes most of the time of a layout
