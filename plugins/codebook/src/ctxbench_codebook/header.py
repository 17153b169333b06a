"""The header: 18 bytes, Reed-Solomon to 32, one bit a cell of the band.

Big-endian: magic 0xCB, version, cell side in px, base-2 logarithm of the colours, parity bytes for each 255 or check bits for each 256,
compression, page number and pages (2 bytes each), bytes on this page or in the code word that it shares with others (3), CRC-32 of the
document's whole payload (4), which is also the document's id, and the page's height in squares of 28 px (1), which a reader cannot measure
where perspective changes the ratio of the sides. The CRC-32 of the bytes follows them in the payload.
"""

from __future__ import annotations

import zlib

import attrs
import numpy as np

from ctxbench_codebook import reed_solomon
from ctxbench_codebook.layout import GRID, HEADER_BYTES, LARGEST, SMALLEST, Symbols

MAGIC = 0xCB
VERSIONS = REED_SOLOMON, LDPC, SHARED = 1, 2, 3
"""Versions of the format: they differ in how the payload is coded, and in what byte 4 counts."""
SIZE = 18
CRC_BYTES = 4


@attrs.frozen
class Header:
    """What a page says of itself. ``page`` counts from 0; a parity page is number ``pages``."""

    cell: int
    bits: int
    parity: int
    compression: int
    page: int
    pages: int
    length: int
    document: int
    squares: int
    version: int = REED_SOLOMON

    def pack(self) -> bytes:
        """The 18 bytes."""
        return (
            bytes([MAGIC, self.version, self.cell, self.bits, self.parity, self.compression])
            + self.page.to_bytes(2, "big")
            + self.pages.to_bytes(2, "big")
            + self.length.to_bytes(3, "big")
            + self.document.to_bytes(4, "big")
            + bytes([self.squares])
        )


def to_bits(header: Header) -> Symbols:
    """The header with its parity, one bit an entry."""
    message = np.frombuffer(header.pack(), np.uint8)[None]
    return np.unpackbits(reed_solomon.with_parity(message, HEADER_BYTES - SIZE)[0])


def from_bits(bits: Symbols) -> Header | None:
    """The header that the bits hold, or ``None`` if they hold none: too many errors, or no value that a page can have."""
    word = np.packbits(bits[: HEADER_BYTES * 8])[None]
    if not reed_solomon.repair(word, HEADER_BYTES - SIZE).all():
        return None
    data = word[0, :SIZE].tobytes()
    if data[0] != MAGIC or data[1] not in VERSIONS:
        return None
    header = Header(
        cell=data[2],
        bits=data[3],
        parity=data[4],
        compression=data[5],
        page=int.from_bytes(data[6:8], "big"),
        pages=int.from_bytes(data[8:10], "big"),
        length=int.from_bytes(data[10:13], "big"),
        document=int.from_bytes(data[13:17], "big"),
        squares=data[17],
        version=data[1],
    )
    legal = 1 <= header.cell <= 28 and 1 <= header.bits <= 6 and 2 <= header.parity <= 200 and header.compression <= 3
    legal = legal and SMALLEST <= header.squares * GRID <= LARGEST
    return header if legal and header.pages >= max(1, header.page) else None


def sealed(part: bytes) -> bytes:
    """The bytes of a page, or of a code word, with their CRC-32."""
    return part + zlib.crc32(part).to_bytes(CRC_BYTES, "big")


def unsealed(data: bytes, length: int) -> bytes | None:
    """The first bytes of what was read, if the CRC-32 that follows them is theirs."""
    return data[:length] if sealed(data[:length]) == data[: length + CRC_BYTES] else None
