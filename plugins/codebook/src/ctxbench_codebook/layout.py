"""Where everything is on a page. All lengths in px of the page as encoded; every other file asks this one.

From outside in: a white quiet zone, a black frame, and inside it a band and the grid. The band's first row is a timing row of alternating
cells, from which a reader counts the page's width; the rows below it hold the header, one bit a cell, every fourth cell known. The grid's
cells hold the payload in row-major order; every fifth cell of every fifth row is a *pilot* of known colour, from which a reader learns
what the channel did to the colours. What the cells leave over is black.
"""

from __future__ import annotations

import functools

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook.palette import levels

GRID = 28  # px; pages are whole visual tokens of Qwen2-VL
QUIET = 6
FRAME = 6
EDGE = QUIET + FRAME
BAND_CELL = 4  # divides 28, so that the number of band cells in a row follows from the width and the other way round
HEADER_BYTES = 32  # with parity
PILOT_STEP = 5
SMALLEST = 112  # px a side: header and a few rows of payload
LARGEST = 3584

Symbols = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's output function (Steele, Lea and Flood, 2014): fixed pseudo-random numbers for pilots."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@attrs.frozen
class Band:
    """The timing row and the header below it, in cells of 4 px."""

    width: int

    @property
    def columns(self) -> int:
        """Band cells in a row."""
        return self.width // BAND_CELL - 2 * EDGE // BAND_CELL

    @property
    def rows(self) -> int:
        """Rows of the band, the timing row included."""
        return 1 + -(-HEADER_BYTES * 8 * 4 // 3 // self.columns)

    @property
    def height(self) -> int:
        """Height in px."""
        return self.rows * BAND_CELL

    def known(self) -> tuple[Mask, Symbols]:
        """(which header cells are known, their values), (rows - 1, columns); 1 is white."""
        index = np.arange((self.rows - 1) * self.columns)
        mask = index % 4 == 3
        value = (mix(index.astype(np.uint64)) & np.uint64(1)).astype(np.uint8)
        shape = (self.rows - 1, self.columns)
        return mask.reshape(shape), value.reshape(shape)


@attrs.frozen
class Layout:
    """One page: its size in px, and the side and number of colours of its cells."""

    width: int
    height: int
    cell: int
    colors: int

    @property
    def band(self) -> Band:
        """The band of a page of this width."""
        return Band(self.width)

    @property
    def columns(self) -> int:
        """Payload cells in a row."""
        return (self.width - 2 * EDGE) // self.cell

    @property
    def rows(self) -> int:
        """Rows of payload cells."""
        return max(0, (self.height - 2 * EDGE - self.band.height) // self.cell)

    @property
    def top(self) -> int:
        """Upper edge of the grid in px."""
        return EDGE + self.band.height

    @property
    def bits(self) -> int:
        """Bits in a cell."""
        return self.colors.bit_length() - 1

    @property
    def data_cells(self) -> int:
        """Cells that hold payload."""
        pilots = len(range(PILOT_STEP // 2, self.rows, PILOT_STEP)) * len(range(PILOT_STEP // 2, self.columns, PILOT_STEP))
        return self.rows * self.columns - pilots

    @property
    def raw_bytes(self) -> int:
        """Whole bytes that the data cells hold, parity included."""
        return self.data_cells * self.bits // 8


@functools.lru_cache(maxsize=16)
def pilots(layout: Layout) -> tuple[Mask, Symbols]:
    """(which grid cells are pilots, the symbol that each of them holds, 0 elsewhere), (rows, columns)."""
    mask = np.zeros((layout.rows, layout.columns), np.bool_)
    mask[PILOT_STEP // 2 :: PILOT_STEP, PILOT_STEP // 2 :: PILOT_STEP] = True
    y, x = (place.astype(np.uint64) for place in np.nonzero(mask))
    values = np.zeros(mask.shape, np.uint8)
    values[mask] = (mix(y * np.uint64(65536) + x) % np.uint64(layout.colors)).astype(np.uint8)
    mask.flags.writeable = values.flags.writeable = False
    return mask, values


def draw(layout: Layout, header_bits: Symbols, symbols: Symbols) -> npt.NDArray[np.uint8]:
    """The page, (height, width, 3) RGB; ``header_bits`` and ``symbols`` fill the free cells of band and grid in row-major order."""
    page = np.full((layout.height, layout.width, 3), 255, np.uint8)
    page[QUIET:-QUIET, QUIET:-QUIET] = 0
    _draw_band(page, layout.band, header_bits)
    mask, grid = pilots(layout)
    grid = grid.copy()
    grid[~mask] = symbols
    colors = np.rint(255 * levels(layout.colors)).astype(np.uint8)
    drawn = colors[grid].repeat(layout.cell, 0).repeat(layout.cell, 1)
    page[layout.top : layout.top + drawn.shape[0], EDGE : EDGE + drawn.shape[1]] = drawn
    return page


def _draw_band(page: npt.NDArray[np.uint8], band: Band, header_bits: Symbols) -> None:
    mask, cells = band.known()
    cells = cells.copy()
    free = np.zeros(int((~mask).sum()), np.uint8)
    free[: len(header_bits)] = header_bits
    cells[~mask] = free
    timing = (np.arange(band.columns) % 2 == 0).astype(np.uint8)
    drawn = (255 * np.vstack([timing, cells])).astype(np.uint8).repeat(BAND_CELL, 0).repeat(BAND_CELL, 1)
    page[EDGE : EDGE + band.height, EDGE : EDGE + drawn.shape[1]] = drawn[:, :, None]
