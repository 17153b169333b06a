"""Accuracy over where the needle stands and how long the context is."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, NothingToPlot, cells, codecs, levels, pooled, wilson
from ctxbench_report.style import axis_labels, count_range, panels

MAX_DEPTHS = 11
COLOUR_MAP = "cividis"


def depth_length(store: Store, filters: Filters) -> Figure:
    """Needle depth (down) by context length (across); a panel for each reader, task and augmentation (rows) and codec (columns)."""
    found = cells(store, filters, depth=True)
    if not found:
        raise NothingToPlot(
            f"{store.path}: no trial has a needle depth; run a task that hides one: ctxbench run -t needle --store {store.path}"
        )
    order = levels(found)
    rows = sorted({(c.model, c.task, c.augmentation) for c in found}, key=lambda row: (row[0], row[1], order.index(row[2])))
    columns = [codec for codec in codecs(store) if any(cell.codec == codec for cell in found)]
    buckets = sorted({cell.bucket for cell in found})
    bands = _bands(found)
    squares = {
        (row, codec, bucket, band): pooled(inside)
        for row in rows
        for codec in columns
        for bucket in buckets
        for band in bands
        if (inside := [c for c in found if _is_in(c, row, codec, bucket, band)])
    }
    counts = count_range([n for _, n in squares.values()])
    note = f"n = {counts} trials a square; in each its accuracy in % and 95 % Wilson interval; depth 0 is the start"
    size = (max(1.9, 0.75 * len(buckets) + 0.5), max(1.5, 0.36 * len(bands) + 0.5))
    figure, axes = panels([", ".join(row) for row in rows], columns, f"Accuracy by needle depth and context length\n{note}", size)
    for i, row in enumerate(rows):
        for j, codec in enumerate(columns):
            values = [[squares.get((row, codec, bucket, band)) for bucket in buckets] for band in bands]
            _squares(axes[i][j], values)
            axes[i][j].set_xticks(range(len(buckets)), [f"{bucket:,}" for bucket in buckets] if i == len(rows) - 1 else [""] * len(buckets))
            axes[i][j].set_yticks(range(len(bands)), [_name(band) for band in bands] if j == 0 else [""] * len(bands))
    axis_labels(axes, "context length (tokens)", "needle depth (%)")
    return figure


def _bands(found: list[Cell]) -> list[tuple[float, float]]:
    """The depths as they are if they are few, or else tenths; each a closed lower and an open upper bound."""
    depths = sorted({cell.depth for cell in found if cell.depth is not None})
    if len(depths) <= MAX_DEPTHS:
        return [(depth, math.nextafter(depth, math.inf)) for depth in depths]
    tenths = [(i / 10, (i + 1) / 10 if i < 9 else 1.0 + 1e-9) for i in range(10)]
    return [band for band in tenths if any(band[0] <= depth < band[1] for depth in depths)]


def _is_in(cell: Cell, row: tuple[str, str, str], codec: str, bucket: int, band: tuple[float, float]) -> bool:
    if (cell.model, cell.task, cell.augmentation) != row or (cell.codec, cell.bucket) != (codec, bucket):
        return False
    return cell.depth is not None and band[0] <= cell.depth < band[1]


def _name(band: tuple[float, float]) -> str:
    low, high = band
    if high - low < 0.01:
        return f"{100 * low:.3g}"
    return f"{100 * low:.0f}-{100 * min(high, 1):.0f}"


def _squares(axes: Axes, values: list[list[tuple[int, int] | None]]) -> None:
    """The heat map with its numbers; a square without trials stays grey."""
    shares = [[math.nan if rate is None else 100 * rate[0] / rate[1] for rate in line] for line in values]
    axes.set_facecolor("#D9D9D9")
    axes.imshow(shares, cmap=COLOUR_MAP, vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for y, line in enumerate(values):
        for x, rate in enumerate(line):
            if rate is None:
                continue
            low, high = wilson(*rate)
            style: Any = {"textcoords": "offset points", "ha": "center", "va": "center", "color": "black" if shares[y][x] > 55 else "white"}
            axes.annotate(f"{shares[y][x]:.0f}", (x, y), (0, 3), fontsize=8, **style)
            axes.annotate(f"{100 * low:.0f}-{100 * high:.0f}", (x, y), (0, -6), fontsize=6, **style)
