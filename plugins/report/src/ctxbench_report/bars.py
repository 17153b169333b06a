"""What became of the answers: a stacked bar for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, PercentFormatter

from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, NothingToPlot, codecs, left_out, levels, outcomes, shares
from ctxbench_report.style import count_range, panels, short

Bars = Sequence[tuple[Cell, dict[str, float]]]
MOST_BARS = 400
HEIGHT = 0.78

FATES: dict[str, tuple[str, str, str]] = {
    "correct": ("right", "#0072B2", ""),
    "in_spite_of_channel": ("right in spite of the channel", "#8CC4E8", "////"),
    "lost_in_reader": ("lost by the reader", "#E69F00", ""),
    "lost_in_channel": ("lost in the channel", "#8C4A00", ""),
    "unknown": ("not known", "#D9D9D9", ""),
    "errors": ("error", "#222222", ""),
}
"""Column of the view ``attribution``: its name in the legend, colour and hatch. Blue is right, orange wrong; the shades differ in
lightness, so that they stay apart in grey print."""

OUTCOMES: dict[str, tuple[str, str, str]] = {
    "correct": ("correct", "#0072B2", ""),
    "abstained": ("abstained", "#A6CEE3", ""),
    "confabulated": ("confabulated", "#D55E00", ""),
    "unparsable": ("unparsable", "#F2C08A", "////"),
    "looping": ("looping", "#CC79A7", ""),
    "truncated": ("truncated", "#E8C6D8", "...."),
    "unknown": ("not known", "#D9D9D9", ""),
    "error": ("error", "#222222", ""),
}
"""Outcome: its name in the legend, colour and hatch."""


def attribution(store: Store, filters: Filters) -> Figure:
    """Right, right in spite of the channel, lost by the reader, lost in the channel; a bar for each codec and augmentation."""
    found = [(cell, parts) for cell, parts in shares(store, filters) if cell.n]
    return _bars(store, found, FATES, "Where answers were lost", "the line is the 95 % Wilson interval of the right ones")


def outcome_shares(store: Store, filters: Filters) -> Figure:
    """How trials ended: correct, abstained, confabulated and so on; a bar for each codec and augmentation."""
    found = [(cell, parts) for cell, parts in outcomes(store, filters) if cell.n]
    return _bars(store, found, OUTCOMES, "How trials ended", "the line is the 95 % Wilson interval of the correct ones")


def _bars(store: Store, found: Bars, kinds: Mapping[str, tuple[str, str, str]], title: str, note: str) -> Figure:
    if not found:
        raise NothingToPlot(f"{store.path}: no trial has ended")
    if len(found) > MOST_BARS:
        raise NothingToPlot(f"{len(found):,} bars are too many to read; choose with --model, --task, --codec or --augment")
    order, strengths = codecs(store), levels([cell for cell, _ in found])
    readers = sorted({cell.model for cell, _ in found})
    groups = sorted({(cell.task, cell.bucket) for cell, _ in found})
    lines = sorted({(c.codec, c.augmentation) for c, _ in found}, key=lambda key: (order.index(key[0]), strengths.index(key[1])))
    heading = f"{title}\nn = {count_range([cell.n for cell, _ in found])} trials a bar; {note}{left_out(cell for cell, _ in found)}"
    names = [f"{task}, {bucket:,} tokens" for task, bucket in groups]
    figure, axes = panels(names, readers, heading, (3.1, max(1.5, 0.19 * len(lines) + 0.4)), same_axes=True)
    for i, group in enumerate(groups):
        for j, reader in enumerate(readers):
            inside = {(c.codec, c.augmentation): (c, parts) for c, parts in found if (c.task, c.bucket) == group and c.model == reader}
            _panel(axes[i][j], [inside.get(line) for line in lines], kinds)
            name_lines(axes[i][j], lines, j == 0)
    for panel in axes[-1]:
        panel.set_xlabel("share of trials")
    used = [kind for kind in kinds if any(parts.get(kind) for _, parts in found)]
    handles = [Patch(facecolor=kinds[kind][1], hatch=kinds[kind][2], edgecolor="white", linewidth=0) for kind in used]
    figure.legend(
        handles, [kinds[kind][0] for kind in used], loc="outside lower center", ncols=min(len(used), 3 if len(readers) < 2 else 4)
    )
    return figure


def _panel(axes: Axes, bars: Sequence[tuple[Cell, dict[str, float]] | None], kinds: Mapping[str, tuple[str, str, str]]) -> None:
    left = [0.0] * len(bars)
    for kind, (_, colour, hatch) in kinds.items():
        widths = {y: bar[1][kind] for y, bar in enumerate(bars) if bar is not None and bar[1].get(kind)}
        style: dict[str, Any] = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        for y, width in widths.items():
            # barh would ask each bar for its limits, which are known.
            axes.add_artist(Rectangle((left[y], y - HEIGHT / 2), width, HEIGHT, **style)).set_in_layout(False)
        for y, width in widths.items():
            left[y] += width
    bounds = {y: wilson(bar[0].correct, bar[0].n) for y, bar in enumerate(bars) if bar is not None}
    for colour, width, order in (("white", 3.4, 3), ("black", 1.5, 4)):
        lows, highs = [low for low, _ in bounds.values()], [high for _, high in bounds.values()]
        axes.hlines(list(bounds), lows, highs, color=colour, linewidth=width, zorder=order).set_in_layout(False)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def name_lines(axes: Axes, lines: Sequence[tuple[str, str]], labelled: bool) -> None:
    """Augmentations as ticks, each codec named once, before its first bar; a line between codecs."""
    axes.set_yticks(range(len(lines)) if labelled else (), _bar_names(lines) if labelled else ())
    axes.tick_params(axis="y", length=0, labelsize=7.5, labelleft=labelled)
    for y in range(1, len(lines)):
        if _first(lines, y):
            axes.axhline(y - 0.5, color="#999999", linewidth=0.6)


def _bar_names(lines: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{short(codec, 30)}  {short(level, 20)}" if _first(lines, y) else short(level, 20) for y, (codec, level) in enumerate(lines)]


def _first(lines: Sequence[tuple[str, str]], y: int) -> bool:
    return y == 0 or lines[y][0] != lines[y - 1][0]
