"""The header of an aligned page: the last 24 bytes of its cells.

Big-endian: magic 0xA1, version 1, symbol, cell side in px * 8 + bits in a cell, page number and pages less one (12 bits each), codes on
this page (3 bytes), CRC-32 of the document's UTF-8 text (4), which is also its id, CRC-32 of the 14 bytes before and this page's payload
bytes (4), and 6 bytes of Reed-Solomon parity.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from typing import Any

import attrs
import numpy as np

from ctxbench_codebook.aligned.layout import CELLS, COLORS, HEADER_BYTES, SQUARE, Modulation, Pixels, Symbols, look
from ctxbench_codebook.symbol_bits import unpack
from ctxbench_codebook.symbols import SYMBOLS, WIDTHS

MAGIC = 0xA1
VERSION = 1
_SIZE = 18  # without its parity


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

    def checksum_of(self, payload: bytes) -> int:
        """The CRC-32 of a page with this header and these payload bytes."""
        return zlib.crc32(self.pack() + payload)

    def coded(self, payload: bytes) -> Symbols:
        """The header's bytes with the checksum of these payload bytes, and their parity."""
        return np.frombuffer(bytes(_coder().encode(self.pack() + self.checksum_of(payload).to_bytes(4, "big"))), np.uint8)


@functools.lru_cache(maxsize=1)
def _coder() -> Any:
    import reedsolo

    return reedsolo.RSCodec(HEADER_BYTES - _SIZE)


def header_rows(columns: int) -> int:
    """Rows of squares, from the page's end, that hold the header of any page of so many columns."""
    return -(
        -max(-(-Modulation(cell, colors).header_cells // Modulation(cell, colors).cells) for cell in CELLS for colors in COLORS) // columns
    )


def read_header(pixels: Pixels) -> Header | None:
    """The header of an aligned page as it was made, (height, width, 3), or of its last rows; ``None`` if it has none."""
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
        bits = unpack(look(modulation, strip)[-modulation.header_cells :], modulation.bits)
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
