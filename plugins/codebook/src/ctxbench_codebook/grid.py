"""The cells of a page's grid: their colours, sampled through a view of it, and the first decisions on them."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook import equalise, rectify
from ctxbench_codebook.classify import channels_of, classify, nearest, palette
from ctxbench_codebook.equalise import Windows
from ctxbench_codebook.layout import BAND_CELL, EDGE, Band, Layout, Symbols, pilots
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


@attrs.frozen(eq=False)
class Grid:
    """A page's cells as they were seen.

    Attributes:
        layout: of the page.
        cells: colours with a margin.
        known: which cells are pilots, (cells,).
        truth: the pilots' symbols, (cells,).
        first: each cell's nearest symbol, (cells,), that of pilots known.
    """

    layout: Layout
    cells: Samples
    known: npt.NDArray[np.bool_]
    truth: Symbols
    first: Symbols

    @classmethod
    def of(cls, picture: Picture, view: View, layout: Layout) -> Grid:
        """The cells of the page that this view shows."""
        mask, values = pilots(layout)
        known, truth = mask.ravel(), values.ravel()
        cells = cells_of(picture, view, layout)
        inner = normalised(picture, view, cells[MARGIN:-MARGIN, MARGIN:-MARGIN])
        return cls(layout, cells, known, truth, keep(nearest(inner.reshape(len(truth), -1), layout.colors), known, truth))

    def by_pilots(self) -> Symbols | None:
        """Decisions through an equaliser that the pilots train; ``None`` if they are too few."""
        channels, places = self.cells.shape[2], np.flatnonzero(self.known)
        if len(places) < 5 * (channels + 1):
            return None
        windows = windows_of(self.cells, equalise.radius_for(len(places), channels))
        weights = equalise.least_squares(windows, places, palette(self.layout.colors)[self.truth[places]], 1e-4)
        return keep(classify(windows.times(weights), self.truth, self.layout.colors, self.known), self.known, self.truth)

    def equalised(self, decided: Symbols | None) -> tuple[Windows, Samples]:
        """(windows of the widest equaliser that decisions on all cells can train, the colours that it estimates); ``None`` for the first
        decisions."""
        symbols = self.first if decided is None else decided
        windows = windows_of(self.cells, equalise.radius_for(len(symbols), self.cells.shape[2]))
        weights = equalise.least_squares(windows, np.arange(len(symbols)), palette(self.layout.colors)[symbols], 1e-5)
        return windows, windows.times(weights)


def keep(symbols: Symbols, known: npt.NDArray[np.bool_], truth: Symbols) -> Symbols:
    """The symbols, changed in place to the truth where it is known."""
    symbols[known] = truth[known]
    return symbols
