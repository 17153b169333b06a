"""Accuracy over where the needle stands and how long the context is."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, NothingToPlot, cells, codecs, left_out, levels, pooled
from ctxbench_report.style import axis_labels, count_range, panels

MAX_DEPTHS = 11
COLOUR_MAP = "cividis"

LEAST = 5
"""Trials from which on a square is drawn: of fewer, even if all are right, the interval leaves half of the scale open (4 of 4: 51 to
100 %, 1 of 1: 21 to 100 %)."""

MOST_NUMBERS = 300
"""Squares up to which each tells its number; with more of them nobody could read it, and a scale of colours stands beside them."""

Band = tuple[float, float]
Squares = dict[tuple[tuple[str, str, str], str, int, Band], tuple[int, int]]


def depth_length(store: Store, filters: Filters) -> Figure:
    """Needle depth (down) by context length (across); a panel for each reader, task and augmentation (rows) and codec (columns).

    The depths are put into as many bands as the trials can fill with :data:`LEAST` a square: the depths as they are, tenths, fifths or
    thirds. A square with fewer trials is hatched and tells their number alone.
    """
    found = cells(store, filters, depth=True)
    if not found:
        raise NothingToPlot(
            f"{store.path}: no trial has a needle depth; run a task that hides one: ctxbench run -t needle --store {store.path}"
        )
    order = levels(found)
    rows = sorted({(c.model, c.task, c.augmentation) for c in found}, key=lambda row: (row[0], row[1], order.index(row[2])))
    columns = [codec for codec in codecs(store) if any(cell.codec == codec for cell in found)]
    buckets = sorted({cell.bucket for cell in found})
    bands, squares = _filled(store, found)
    enough = [n for _, n in squares.values() if n >= LEAST]
    few = len(squares) - len(enough)
    numbered = len(squares) <= MOST_NUMBERS
    told = "; in each its accuracy in % and 95 % Wilson interval" if numbered else f", whose 95 % interval is {_widths(squares)}"
    note = f"n = {count_range(enough)} trials a square{told}; depth 0 is the start"
    note += f"; hatched: fewer than {LEAST} trials, which say too little" if few else ""
    size = (max(1.9, 0.75 * len(buckets) + 0.5), max(1.1, 0.36 * len(bands) + 0.3))
    heading = f"Accuracy by needle depth and context length\n{note}{left_out(found)}"
    figure, axes = panels([", ".join(row) for row in rows], columns, heading, size)
    for i, row in enumerate(rows):
        for j, codec in enumerate(columns):
            values = [[squares.get((row, codec, bucket, band)) for bucket in buckets] for band in bands]
            image = _squares(axes[i][j], values, numbered)
            _ticks(axes[i][j].xaxis, [f"{bucket:,}" for bucket in buckets] if i == len(rows) - 1 else [])
            _ticks(axes[i][j].yaxis, [_name(band) for band in bands] if j == 0 else [])
    if not numbered:
        figure.colorbar(image, ax=[panel for row in axes for panel in row], location="bottom", label="accuracy (%)", aspect=50, pad=0.02)
    axis_labels(axes, "context length (tokens)", "needle depth (%)")
    return figure


def _ticks(axis: Axis, names: list[str]) -> None:
    axis.set_ticks(range(len(names)), names)


def _widths(squares: Squares) -> str:
    """How wide the intervals are: from the narrowest to the widest half of one, in points."""
    halves = [50 * (high - low) for low, high in (wilson(*rate) for rate in squares.values() if rate[1] >= LEAST)]
    return f"±{min(halves):.0f} to ±{max(halves):.0f} points"


def _filled(store: Store, found: list[Cell]) -> tuple[list[Band], Squares]:
    """The narrowest bands of depth with :data:`LEAST` trials in at least half of the squares, or else the widest, and their squares."""
    candidates = _bands(found)
    for bands in candidates:
        squares = _pooled(found, bands)
        if 2 * sum(n >= LEAST for _, n in squares.values()) >= len(squares):
            return bands, squares
    most = max(n for _, n in squares.values())
    if most < LEAST:
        raise NothingToPlot(
            f"{store.path}: {most} trial{'s' * (most > 1)} a square of depth and length at most, too few to say anything ({LEAST} are"
            f" the least); run about {3 * LEAST} samples a cell: ctxbench run -n {3 * LEAST}"
        )
    return bands, squares


def _pooled(found: list[Cell], bands: list[Band]) -> Squares:
    inside: dict[Any, list[Cell]] = {}
    for c in found:
        band = next(band for band in bands if c.depth is not None and band[0] <= c.depth < band[1])
        inside.setdefault(((c.model, c.task, c.augmentation), c.codec, c.bucket, band), []).append(c)
    return {square: pooled(group) for square, group in inside.items()}


def _bands(found: list[Cell]) -> list[list[Band]]:
    """Ways to divide the depths, the finest first; each band a closed lower and an open upper bound."""
    depths = sorted({cell.depth for cell in found if cell.depth is not None})
    ways = [[(depth, math.nextafter(depth, math.inf)) for depth in depths]] if len(depths) <= MAX_DEPTHS else []
    for parts in (10, 5, 3):
        bounds = [(i / parts, (i + 1) / parts) for i in range(parts)]
        bounds[0], bounds[-1] = (-math.inf, bounds[0][1]), (bounds[-1][0], math.inf)
        if len(used := [band for band in bounds if any(band[0] <= depth < band[1] for depth in depths)]) < len(depths):
            ways.append(used)
    return ways


def _name(band: tuple[float, float]) -> str:
    low, high = band
    if high - low < 0.01:
        return f"{100 * low:.3g}"
    return f"{100 * max(low, 0):.0f}-{100 * min(high, 1):.0f}"


def _squares(axes: Axes, values: list[list[tuple[int, int] | None]], numbered: bool) -> AxesImage:
    """The heat map with its numbers, if it is to have them; a square without trials stays grey, one with too few is hatched."""
    shares = [[math.nan if rate is None or rate[1] < LEAST else 100 * rate[0] / rate[1] for rate in line] for line in values]
    axes.set_facecolor("#EDEDED")
    image = axes.imshow(shares, cmap=COLOUR_MAP, vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for y, line in enumerate(values):
        for x, rate in enumerate(line):
            if rate is None:
                continue
            style: Any = {"textcoords": "offset points", "ha": "center", "va": "center", "in_layout": False}
            if rate[1] < LEAST:
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="#EDEDED", edgecolor="#C4C4C4", hatch="////", linewidth=0))
                axes.annotate(f"n = {rate[1]}", (x, y), (0, 0), fontsize=6.5, color="#444444", backgroundcolor="#EDEDED", **style)
                continue
            if not numbered:
                continue
            low, high = wilson(*rate)
            style["color"] = "black" if shares[y][x] > 55 else "white"
            axes.annotate(f"{shares[y][x]:.0f}", (x, y), (0, 3), fontsize=8, **style)
            axes.annotate(f"{100 * low:.0f}-{100 * high:.0f}", (x, y), (0, -6), fontsize=6, **style)
    return image
