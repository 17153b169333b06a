"""The colours of a page's cells, sampled through a view of it."""

from __future__ import annotations

import numpy as np

from ctxbench_codebook import rectify
from ctxbench_codebook.classify import channels_of
from ctxbench_codebook.equalise import Windows
from ctxbench_codebook.layout import BAND_CELL, EDGE, Band, Layout
from ctxbench_codebook.picture import Picture
from ctxbench_codebook.rectify import Samples, View

MARGIN = 2  # cells sampled around the grid, for the equaliser
_STRIP = 1 << 20  # samples taken at once


def cells_of(picture: Picture, view: View, layout: Layout) -> Samples:
    """Mean colour of each cell with a margin of cells around the grid, (rows + 4, columns + 4, channels)."""
    source = picture.colors if channels_of(layout.colors) == 3 else picture.grey
    size = view.scale * layout.cell
    k = 1 if size < 1.5 else 2 if size < 4.2 else 3 if size < 7 else 4
    offsets = (np.arange(k) + 0.5) / k
    rows, columns = layout.rows + 2 * MARGIN, layout.columns + 2 * MARGIN
    xs = EDGE + (np.arange(-MARGIN, layout.columns + MARGIN)[:, None] + offsets).ravel() * layout.cell
    made = np.empty((rows, columns, channels_of(layout.colors)), np.float32)
    step = max(1, _STRIP // (columns * k * k))
    for first in range(0, rows, step):
        count = min(step, rows - first)
        ys = layout.top + (np.arange(first - MARGIN, first - MARGIN + count)[:, None] + offsets).ravel() * layout.cell
        found = rectify.sample(source, view.matrix, xs, ys)
        made[first : first + count] = sum(found[i::k, j::k] for i in range(k) for j in range(k)) / np.float32(k * k)
    return made


def windows_of(cells: Samples, radius: int) -> Windows:
    """The windows of the grid's cells; ``cells`` have the margin that ``cells_of`` leaves."""
    cut = MARGIN - radius
    return Windows(cells[cut : cells.shape[0] - cut, cut : cells.shape[1] - cut], radius)


def normalised(picture: Picture, view: View, seen: Samples) -> Samples:
    """Colours scaled so that the header's known black and white cells are 0 and 1, channel by channel."""
    white, black = white_and_black(picture, view)
    if seen.shape[-1] == 1:
        white, black = white.mean(keepdims=True), black.mean(keepdims=True)
    made: Samples = np.subtract(seen, black, dtype=np.float32)
    made /= np.maximum(white - black, 0.05)
    return made


def white_and_black(picture: Picture, view: View) -> tuple[Samples, Samples]:
    """The mean colours, (3) each, of the header's cells that are known to be white and black."""
    band = Band(view.width)
    xs = EDGE + (np.arange(band.columns) + 0.5) * BAND_CELL
    ys = EDGE + BAND_CELL + (np.arange(band.rows - 1) + 0.5) * BAND_CELL
    cells = rectify.sample(picture.colors, view.matrix, xs, ys)
    mask, values = band.known()
    return cells[mask & (values == 1)].mean(0), cells[mask & (values == 0)].mean(0)
