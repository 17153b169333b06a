"""Aligned pages, for models: fixed-length codes, a whole number of them in each square of 28 x 28 px, in reading order."""

from __future__ import annotations

import functools
import zlib

import attrs
import numpy as np
from PIL import Image

from ctxbench import CapacityError, Carrier
from ctxbench_codebook import symbols
from ctxbench_codebook.aligned.header import Header
from ctxbench_codebook.aligned.layout import CELLS, COLORS, SQUARE, Modulation, draw, enough, shares
from ctxbench_codebook.aligned.parity import parity
from ctxbench_codebook.symbol_bits import pack
from ctxbench_codebook.symbols import WIDTHS, Codes

MAX_PAGES = 4096
_LONGEST = 4  # times as long as wide, at most
_NARROWEST = 2  # squares; model families enlarge smaller images


@attrs.frozen
class Aligned:
    """How a text becomes aligned pages.

    Attributes:
        parity: Reed-Solomon bytes in each 255, at least.
        side: squares on a page's longest side.
        columns: squares in each row of every page; ``None`` for ``side``, and for the squarest last page.
    """

    modulation: Modulation
    parity: int
    symbol: str
    side: int
    columns: int | None = None

    def __attrs_post_init__(self) -> None:
        cell, colors = self.modulation.cell, self.modulation.colors
        if cell not in CELLS or colors not in COLORS:
            legal = f"cell must be one of {', '.join(map(str, CELLS))} and colors one of {', '.join(map(str, COLORS))}"
            raise ValueError(f"aligned: {legal}, got {cell} and {colors}")
        if self.modulation.codes(WIDTHS[self.symbol]) < 1:
            raise ValueError(f"a square of {cell} px cells in {colors} colors holds no {self.symbol}; lower cell or raise colors")
        if self.columns is not None and self.columns > self.side:
            raise ValueError(f"columns must be at most the {self.side} squares of a page of {self.side * SQUARE} px, got {self.columns}")
        if self._full < 1:
            raise ValueError(f"a page of {self.side * SQUARE} px has no room for a header and a payload square; raise page")

    def encode(self, text: str) -> Carrier:
        """The pages.

        Raises:
            CapacityError: more than 4,096 pages would be needed.
        """
        codes, symbol = symbols.encode(text, self.symbol)
        sizes = self._sizes(len(codes), symbol)
        document, each = zlib.crc32(text.encode("utf-8")), self._full_codes(symbol)
        pages = []
        for i, (columns, rows) in enumerate(sizes):
            part = codes[i * each : (i + 1) * each]
            pages.append(_page(Header(self.modulation, symbol, i, len(sizes), len(part), document), part, columns, rows))
        return Carrier(pages=pages, payload_bytes=-(-len(codes) * WIDTHS[symbol] // 8))  # without padding and parity

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes in px."""
        codes, symbol = symbols.encode(text, self.symbol)
        return [(columns * SQUARE, rows * SQUARE) for columns, rows in self._sizes(len(codes), symbol)]

    @property
    def _full(self) -> int:
        """Payload squares of the largest page."""
        squares = self._width * self.side
        return next((n for n in range(squares - 1, 0, -1) if enough(shares(self.modulation, squares, n), self.parity)), 0)

    @property
    def _width(self) -> int:
        """Squares in a row of a full page."""
        return self.columns or self.side

    def _full_codes(self, symbol: str) -> int:
        return self._full * self.modulation.codes(WIDTHS[symbol])

    def _sizes(self, length: int, symbol: str) -> list[tuple[int, int]]:
        """(columns, rows) of the pages: full ones, and the smallest that takes the rest."""
        each = self._full_codes(symbol)
        pages = max(1, -(-length // each))
        if pages > MAX_PAGES:
            raise CapacityError(
                f"{length:,} codes need {pages:,} pages, and {MAX_PAGES:,} is the most; use a larger page or a denser setting"
            )
        rest = -(-(length - (pages - 1) * each) // self.modulation.codes(WIDTHS[symbol]))
        return [(self._width, self.side)] * (pages - 1) + [_smallest(self, rest)]


@functools.lru_cache(maxsize=4096)
def _smallest(aligned: Aligned, payload: int) -> tuple[int, int]:
    """(columns, rows) of the page of the fewest squares; the squarest of those, rather wide than high."""
    if aligned.columns is not None:
        fits = (
            rows
            for rows in range(_NARROWEST, aligned.side)
            if enough(shares(aligned.modulation, aligned.columns * rows, payload), aligned.parity)
        )
        return aligned.columns, next(fits, aligned.side)
    for squares in range(max(payload, _NARROWEST**2), aligned.side**2 + 1):
        if not enough(shares(aligned.modulation, squares, payload), aligned.parity):
            continue
        for rows in range(int(squares**0.5), _NARROWEST - 1, -1):
            columns = squares // rows
            if columns > _LONGEST * rows or columns > aligned.side:
                break
            if columns * rows == squares:
                return columns, rows
    return aligned.side, aligned.side


def _page(head: Header, codes: Codes, columns: int, rows: int) -> Image.Image:
    modulation, width = head.modulation, WIDTHS[head.symbol]
    found = shares(modulation, columns * rows, head.payload)
    if found is None:
        raise CapacityError(f"{head.payload} payload squares do not fit into a page of {columns} x {rows}")
    each = modulation.codes(width)
    padded = np.zeros(head.payload * each, np.int64)
    padded[: len(codes)] = codes
    bits = (padded[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.uint8)
    squares = np.zeros((head.payload, modulation.cells * modulation.bits), np.uint8)  # what is left of a square stays black
    squares[:, : each * width] = bits.reshape(head.payload, each * width)
    data = np.packbits(squares.ravel())
    cells = np.zeros(columns * rows * modulation.cells, np.uint8)
    start = head.payload * modulation.cells
    cells[:start] = pack(squares.ravel(), modulation.bits)
    if found.data:
        check = pack(np.unpackbits(parity(data, found)), modulation.bits)
        cells[start : start + len(check)] = check
    cells[-modulation.header_cells :] = pack(np.unpackbits(head.coded(data.tobytes())), modulation.bits)
    return Image.fromarray(draw(modulation, columns, cells))
