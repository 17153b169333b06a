"""Aligned pages, for models: fixed-length codes, a whole number of them in each square of 28 x 28 px, in reading order.

A page's header is its last 24 bytes of cells. Big-endian: magic 0xA1, version 1, symbol, cell side in px * 8 + bits in a cell, page number
and pages less one (12 bits each), codes on this page (3 bytes), CRC-32 of the document's UTF-8 text (4), which is also its id, CRC-32 of
the 14 bytes before and this page's payload bytes (4), and 6 bytes of Reed-Solomon parity.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from PIL import Image

from ctxbench import CapacityError, Carrier, DecodeError
from ctxbench_codebook import aligned_locate, correct, reed_solomon, symbols
from ctxbench_codebook.aligned_layout import (
    CELLS,
    COLORS,
    HEADER_BYTES,
    SQUARE,
    Modulation,
    Pixels,
    Shares,
    Symbols,
    draw,
    enough,
    look,
    shares,
    to_bits,
    to_cells,
)
from ctxbench_codebook.symbols import SYMBOLS, WIDTHS, Codes

MAGIC = 0xA1
VERSION = 1
MAX_PAGES = 4096
_SIZE = 18  # header without its parity
_LONGEST = 4  # times as long as wide, at most
_NARROWEST = 2  # squares; model families enlarge smaller images


@attrs.frozen
class Header:
    """What a page says of itself."""

    modulation: Modulation
    symbol: str
    page: int
    pages: int
    length: int
    document: int
    checksum: int = 0

    @property
    def payload(self) -> int:
        """Squares that the codes take."""
        return -(-self.length // self.modulation.codes(WIDTHS[self.symbol]))

    def pack(self) -> bytes:
        """The 14 bytes before the checksum."""
        kind = bytes([MAGIC, VERSION, SYMBOLS.index(self.symbol), self.modulation.cell << 3 | self.modulation.bits])
        numbers = (self.page << 12 | self.pages - 1).to_bytes(3, "big") + self.length.to_bytes(3, "big")
        return kind + numbers + self.document.to_bytes(4, "big")


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

    def encode(self, text: str) -> list[Image.Image]:
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
        return pages

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
    cells[:start] = to_cells(squares.ravel(), modulation.bits)
    if found.data:
        parity = to_cells(np.unpackbits(_parity(data, found)), modulation.bits)
        cells[start : start + len(parity)] = parity
    packed = head.pack()
    coded = _coder().encode(packed + zlib.crc32(packed + data.tobytes()).to_bytes(4, "big"))
    cells[-modulation.header_cells :] = to_cells(np.unpackbits(np.frombuffer(bytes(coded), np.uint8)), modulation.bits)
    return Image.fromarray(draw(modulation, columns, cells))


@functools.lru_cache(maxsize=1)
def _coder() -> Any:
    import reedsolo

    return reedsolo.RSCodec(HEADER_BYTES - _SIZE)


def _interleave(data: Symbols, found: Shares) -> Symbols:
    """Data so that the interleaved code words begin with it byte for byte: byte ``i`` belongs to block ``i`` modulo the blocks."""
    padded = np.zeros(found.size * found.blocks, np.uint8)
    padded[: len(data)] = data
    return padded


def _parity(data: Symbols, found: Shares) -> Symbols:
    words = reed_solomon.with_parity(_interleave(data, found).reshape(found.size, found.blocks).T, found.check)
    return np.ascontiguousarray(words[:, found.size :].T).ravel()


def read_header(pixels: Pixels) -> Header | None:
    """The header of an aligned page, (height, width, 3), as it was made; ``None`` if it has none."""
    import reedsolo

    height, width = pixels.shape[:2]
    if height % SQUARE or width % SQUARE:
        return None
    columns = width // SQUARE
    for cell, colors in itertools.product(CELLS, COLORS):
        modulation = Modulation(cell, colors)
        squares = -(-modulation.header_cells // modulation.cells)
        strip = pixels[-min(height, -(-squares // columns) * SQUARE) :]
        if squares > columns * height // SQUARE:
            continue
        bits = to_bits(look(modulation, strip)[-modulation.header_cells :], modulation.bits)
        try:
            data = bytes(_coder().decode(np.packbits(bits).tobytes())[0])
        except reedsolo.ReedSolomonError:
            continue
        if data[:2] != bytes([MAGIC, VERSION]) or data[2] >= len(SYMBOLS) or data[3] != cell << 3 | modulation.bits:
            continue
        pages = int.from_bytes(data[4:7], "big")
        numbers = pages >> 12, (pages & 0xFFF) + 1, int.from_bytes(data[7:10], "big")
        found = Header(modulation, SYMBOLS[data[2]], *numbers, int.from_bytes(data[10:14], "big"), int.from_bytes(data[14:18], "big"))
        if found.page < found.pages and modulation.codes(WIDTHS[found.symbol]):
            return found
    return None


def read_codes(pixels: Pixels, head: Header) -> Codes:
    """The codes of a page, whose checksum is right.

    Raises:
        DecodeError: the header does not fit the page, or there are too many errors.
    """
    modulation, columns = head.modulation, pixels.shape[1] // SQUARE
    found = shares(modulation, columns * (pixels.shape[0] // SQUARE), head.payload)
    if found is None:
        raise DecodeError("the header names more codes than the page can hold")
    cells = look(modulation, pixels)
    split = head.payload * modulation.cells
    data = np.packbits(to_bits(cells[:split], modulation.bits))
    if found.data:
        parity = np.packbits(to_bits(cells[split : -modulation.header_cells], modulation.bits))[: found.blocks * found.check]
        first = _interleave(data, found).reshape(found.size, found.blocks).T
        words = np.ascontiguousarray(np.hstack([first, parity.reshape(found.check, found.blocks).T]))
        data = np.ascontiguousarray(correct.repair(words, found.check)[:, : found.size].T).ravel()[: found.data]
    if zlib.crc32(head.pack() + data.tobytes()) != head.checksum:
        raise DecodeError("the checksum differs")
    width, each = WIDTHS[head.symbol], modulation.codes(WIDTHS[head.symbol])
    squares = np.unpackbits(data)[: split * modulation.bits].reshape(head.payload, modulation.cells * modulation.bits)
    bits = squares[:, : each * width]
    return bits.reshape(-1, width)[: head.length].astype(np.int64) @ (1 << np.arange(width - 1, -1, -1))


def _found(pixels: Pixels, search: bool) -> tuple[Header, Pixels] | None:
    """The header and the page as it was made; ``search`` looks for a page that was turned or scaled a little, too."""
    head = read_header(pixels)
    if head is not None:
        return head, pixels
    for page in aligned_locate.upright(pixels) if search else ():
        head = read_header(page)
        if head is not None:
            return head, page
    return None


def decode(carrier: Carrier, search: bool) -> str | None:
    """The text of aligned pages in any order; ``None`` if no page has an aligned page's header.

    Pages as they were made are recognised always; those that were turned or scaled a little only with ``search``, which takes longer.

    Raises:
        DecodeError: a page cannot be read or is missing (named), or the pages are not of one document.
    """
    heads: list[Header] = []
    parts: dict[int, Codes] = {}
    reasons: list[str] = []
    for i, page in enumerate(carrier.pages):
        seen = _found(np.asarray(page.convert("RGB")), search)
        if seen is None:
            reasons.append(f"picture {i + 1}: no header of an aligned page")
            continue
        head, pixels = seen
        heads.append(head)
        try:
            parts[head.page] = read_codes(pixels, head)
        except DecodeError as error:
            reasons.append(f"page {head.page + 1}: {error}")
    return _join(heads, parts, reasons) if heads else None


def _join(heads: Sequence[Header], parts: dict[int, Codes], reasons: list[str]) -> str:
    documents = {(head.document, head.pages, head.symbol) for head in heads}
    if len(documents) > 1:
        raise DecodeError(f"the pages belong to {len(documents)} different documents")
    first = heads[0]
    lost = [str(page + 1) for page in range(first.pages) if page not in parts]
    if lost:
        names = ", ".join(lost[:20]) + (" ..." if len(lost) > 20 else "")
        detail = f" ({'; '.join(reasons[:3])})" if reasons else ""
        raise DecodeError(f"page {names} of {first.pages} could not be read{detail}")
    text = symbols.decode(np.concatenate([parts[page] for page in range(first.pages)]), first.symbol)
    if zlib.crc32(text.encode("utf-8")) != first.document:
        raise DecodeError("the pages were read, but the document's checksum differs")
    return text
