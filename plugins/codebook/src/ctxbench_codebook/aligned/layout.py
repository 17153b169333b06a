"""Where everything stands on an aligned page, and its colours.

A page is a rectangle of squares of 28 x 28 px, each a grid of cells. All cells form one sequence: square by square in reading order, and
row by row in a square. The payload fills whole squares from the first on; parity follows it; the header is the sequence's end.
"""

from __future__ import annotations

import functools

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook.palette import levels

SQUARE = 28  # px, one visual token
CELLS = (2, 4, 7, 14)  # px
COLORS = (2, 4, 8, 16)
HEADER_BYTES = 24  # parity of its own included
MAX_CHECK = 128  # parity bytes in a block; more would not be useful

Symbols = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]


@functools.lru_cache(maxsize=8)
def palette(colors: int) -> Pixels:
    """RGB of the colours, (colors, 3): pure ones up to 8, as far from each other as they go; then the codebook's own."""
    if colors == 2:
        rows = [(0, 0, 0), (255, 255, 255)]
    elif colors in (4, 8):
        rows = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (255, 255, 255)][:colors]
    else:
        return np.asarray(np.rint(levels(colors) * 255), np.uint8)
    return np.array(rows, np.uint8)


@attrs.frozen
class Modulation:
    """How bits become cells: the cell's side in px and the number of colours."""

    cell: int
    colors: int

    @property
    def bits(self) -> int:
        """Bits in a cell."""
        return self.colors.bit_length() - 1

    @property
    def cells(self) -> int:
        """Cells in a square."""
        return (SQUARE // self.cell) ** 2

    @property
    def header_cells(self) -> int:
        """Cells at the page's end that hold the header; every number of bits divides the header's."""
        return HEADER_BYTES * 8 // self.bits

    def codes(self, width: int) -> int:
        """Codes of ``width`` bits that fit whole into a square."""
        return self.cells * self.bits // width


@attrs.frozen
class Shares:
    """What the squares of a page are used for.

    ``data`` payload bytes (the bits of all cells of the payload's squares) in ``blocks`` interleaved Reed-Solomon blocks of ``size`` data
    and ``check`` parity bytes each.
    """

    data: int
    blocks: int
    size: int
    check: int


def shares(modulation: Modulation, squares: int, payload: int) -> Shares | None:
    """The use of a page of ``squares`` squares, the first ``payload`` of which are payload; ``None`` if there is no room for it.

    All cells between payload and header are parity: the smallest number of blocks is taken that lets a block fit into 255 bytes.
    """
    cells = (squares - payload) * modulation.cells - modulation.header_cells
    if cells < 0:
        return None
    data, room = -(-payload * modulation.cells * modulation.bits // 8), cells * modulation.bits // 8
    if not data:
        return Shares(0, 0, 0, 0)
    for blocks in range(-(-data // 253), data + 1):
        check, size = min(MAX_CHECK, room // blocks // 2 * 2), -(-data // blocks)
        if check < 2:
            return None
        if size + check <= 255:
            return Shares(data, blocks, size, check)
    return None


def enough(found: Shares | None, parity: int) -> bool:
    """Whether there are ``parity`` bytes in each 255, and at least four in a block."""
    return found is not None and (not found.data or (found.check >= 4 and found.check * 255 >= parity * (found.size + found.check)))


def draw(modulation: Modulation, columns: int, symbols: Symbols) -> Pixels:
    """The page's pixels, (height, width, 3), of the symbols of all its cells in sequence."""
    side = SQUARE // modulation.cell
    grid = symbols.reshape(-1, columns, side, side).transpose(0, 2, 1, 3).reshape(-1, columns * side)
    return np.ascontiguousarray(palette(modulation.colors)[grid].repeat(modulation.cell, 0).repeat(modulation.cell, 1))


def look(modulation: Modulation, pixels: Pixels) -> Symbols:
    """The nearest colour of each cell of a strip of whole squares, (height, width, 3), in sequence."""
    cell, side = modulation.cell, SQUARE // modulation.cell
    height, width = pixels.shape[:2]
    edge = cell // 4  # px of a cell next to its neighbours, into which blur carries their colours
    inner = pixels.reshape(height // cell, cell, width // cell, cell, 3)[:, edge : cell - edge, :, edge : cell - edge]
    mean = inner.mean((1, 3), dtype=np.float32)
    table = palette(modulation.colors).astype(np.float32)
    found = np.asarray((mean @ table.T - 0.5 * (table * table).sum(1)).argmax(2), np.uint8)
    return found.reshape(height // SQUARE, side, width // SQUARE, side).transpose(0, 2, 1, 3).ravel()
