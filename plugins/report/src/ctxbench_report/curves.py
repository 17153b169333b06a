"""Accuracy over cost, over compression ratio, and over the strength of the augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, NothingToPlot, cells, codecs, levels, pooled, wilson
from ctxbench_report.style import Look, accuracy_axis, axis_labels, count_range, log_axis, panels, wrapped

INTERVALS = "bars are 95 % Wilson intervals"


def cost_accuracy(store: Store, filters: Filters) -> Figure:
    """Accuracy over carrier tokens; a panel for each reader and task (rows) and augmentation (columns)."""
    return _over_cost(
        store,
        [cell for cell in cells(store, filters) if cell.tokens],
        "Accuracy over cost",
        "carrier tokens",
        lambda cell: cell.tokens or 0.0,
        lambda value: f"{value:,.0f}" if value >= 1 else f"{value:g}",
    )


def ratio_accuracy(store: Store, filters: Filters) -> Figure:
    """Accuracy over compression ratio; trials with a flagged token count are left out."""
    figure = _over_cost(
        store,
        [cell for cell in cells(store, filters, flagged=False) if cell.ratio],
        "Accuracy over compression ratio (reference tokens / carrier tokens)",
        "compression ratio",
        lambda cell: cell.ratio or 0.0,
        lambda value: f"{value:g}",
    )
    for axes in figure.axes:
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.8), max(high, 1.25))
        axes.axvline(1, color="#666666", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    return figure


def _over_cost(store: Store, found: list[Cell], title: str, label: str, x: Callable[[Cell], float], form: Callable[[float], str]) -> Figure:
    if not found:
        raise NothingToPlot(f"{store.path}: no trial has a token count that this plot could use")
    rows = sorted({(cell.model, cell.task) for cell in found})
    columns = levels(found)
    buckets = sorted({cell.bucket for cell in found})
    lengths = ", ".join(f"{bucket:,}" for bucket in buckets)
    growing = f"; along a line the context grows: {lengths} tokens" if len(buckets) > 1 else f"; contexts of {lengths} tokens"
    note = f"n = {count_range([cell.n for cell in found])} trials a point; {INTERVALS}{growing}"
    figure, axes = panels([f"{model}, {task}" for model, task in rows], columns, f"{title}\n{note}", (3.0, 2.4), sharex=True, sharey=True)
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
    note = f"n = {count_range(counts)} trials a point, all context lengths together; {INTERVALS}"
    figure, axes = panels(readers, tasks, f"Accuracy under augmentation\n{note}", size, sharex=True, sharey=True)
    for i, reader in enumerate(readers):
        for j, task in enumerate(tasks):
            for place, codec in enumerate(shown):
                inside = [cell for cell in found if (cell.model, cell.task, cell.codec) == (reader, task, codec)]
                at = [level for level in strengths if any(cell.augmentation == level for cell in inside)]
                offset = (place - (len(shown) - 1) / 2) * min(0.12, 0.6 / len(shown))
                xs = [strengths.index(level) + offset for level in at]
                points.append((axes[i][j], codec, xs, [pooled([c for c in inside if c.augmentation == level]) for level in at]))
            accuracy_axis(axes[i][j])
            axes[i][j].set_xticks(range(len(strengths)), [wrapped(level, 14) for level in strengths])
            axes[i][j].set_xlim(-0.5, len(strengths) - 0.5)
    for panel, codec, xs, rates in points:
        _line(panel, xs, rates, look, codec)
    axis_labels(axes, "augmentation", "accuracy")
    look.legend(figure, shown)
    return figure


def _groups(found: Sequence[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in found:
        groups.setdefault((cell.model, cell.task, cell.codec, cell.augmentation), []).append(cell)
    return list(groups.values())


def _line(axes: Axes, xs: list[float], rates: list[tuple[int, int]], look: Look, codec: str) -> None:
    """Points with their intervals, joined by a line."""
    if not xs:
        return
    accuracy = [correct / n for correct, n in rates]
    bounds = [wilson(correct, n) for correct, n in rates]
    errors = [
        [value - low for value, (low, _) in zip(accuracy, bounds, strict=True)],
        [high - value for value, (_, high) in zip(accuracy, bounds, strict=True)],
    ]
    shown = [[max(0.0, error) for error in side] for side in errors]  # rounding may leave -1e-17 at 0 and at 1
    style = look.of(codec)
    axes.errorbar(xs, accuracy, yerr=shown, fmt="none", ecolor=style["color"], elinewidth=1, capsize=2.5, alpha=0.55, zorder=2)
    axes.plot(xs, accuracy, markersize=5.5, linewidth=1.3, markeredgecolor="white", markeredgewidth=0.6, zorder=3, clip_on=False, **style)
