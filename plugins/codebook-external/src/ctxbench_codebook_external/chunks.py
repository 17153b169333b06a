"""Splitting a document over symbols, and joining what symbols were read.

Each symbol carries a header of 12 bytes, big-endian: the byte 0xC7, a byte of flags (bit 0: zlib), the symbol's index and the number of
symbols (2 bytes each), the CRC-32 of the whole payload (4 bytes), which also tells documents apart, and 2 zero bytes kept for later use.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import attrs

from ctxbench import CapacityError, DecodeError

HEADER = struct.Struct(">BBHHIH")
MAGIC = 0xC7
ZLIB = 1
MAX_SYMBOLS = 0xFFFF
MAX_TEXT = 64 * 1024 * 1024  # a compressed document of a few symbols must not unpack to more than this


@attrs.frozen
class Chunk:
    """One symbol's part of a document."""

    flags: int
    index: int
    count: int
    document: int
    data: bytes


def pack(text: str, compress: bool) -> tuple[bytes, int]:
    """(payload, flags) of a text; compression is left out where it would not help."""
    raw = text.encode("utf-8")
    if compress:
        packed = zlib.compress(raw, 9)
        if len(packed) < len(raw):
            return packed, ZLIB
    return raw, 0


def split(payload: bytes, flags: int, capacities: Sequence[int]) -> list[bytes]:
    """The bytes of each symbol; ``capacities`` are the data bytes that each may hold, header not counted."""
    count, document, start = len(capacities), zlib.crc32(payload), 0
    if count > MAX_SYMBOLS:
        raise CapacityError(f"{len(payload):,} bytes need {count:,} symbols, and {MAX_SYMBOLS:,} is the most; use larger symbols")
    parts = []
    for index, capacity in enumerate(capacities):
        parts.append(HEADER.pack(MAGIC, flags, index, count, document, 0) + payload[start : start + capacity])
        start += capacity
    return parts


def parse(data: bytes) -> Chunk | None:
    """The chunk that a symbol's bytes hold, or ``None`` if the symbol is none of ours."""
    if len(data) < HEADER.size:
        return None
    magic, flags, index, count, document, _ = HEADER.unpack_from(data)
    if magic != MAGIC or flags & ~ZLIB or index >= count:
        return None
    return Chunk(flags, index, count, document, data[HEADER.size :])


def missing(chunks: Sequence[Chunk]) -> list[int] | None:
    """Indices that are still needed; ``None`` if nothing was read at all."""
    if not chunks:
        return None
    return sorted(set(range(chunks[0].count)) - {chunk.index for chunk in chunks})


def join(chunks: Sequence[Chunk]) -> str:
    """The text of a document's chunks.

    Raises:
        DecodeError: there are none, some are missing (their numbers are given), they belong to different documents, or the checksum
            differs.
    """
    if not chunks:
        raise DecodeError("no symbol of this codec could be read; take it closer, sharper or in more light")
    documents = {(chunk.document, chunk.count, chunk.flags) for chunk in chunks}
    if len(documents) > 1:
        raise DecodeError(f"the pages hold symbols of {len(documents)} different documents")
    lost = missing(chunks)
    if lost:
        names = ", ".join(str(index + 1) for index in lost[:20]) + (" ..." if len(lost) > 20 else "")
        raise DecodeError(f"{len(lost)} of {chunks[0].count} symbols could not be read: {names}")
    payload = b"".join(chunk.data for chunk in sorted({c.index: c for c in chunks}.values(), key=lambda chunk: chunk.index))
    if zlib.crc32(payload) != chunks[0].document:
        raise DecodeError("the symbols were read, but the document's checksum differs")
    return _text(payload, chunks[0].flags)


def _text(payload: bytes, flags: int) -> str:
    try:
        if flags & ZLIB:
            unpacker = zlib.decompressobj()
            payload = unpacker.decompress(payload, MAX_TEXT)
            if unpacker.unconsumed_tail:
                raise DecodeError(f"the document unpacks to more than {MAX_TEXT:,} bytes")
        return payload.decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise DecodeError(f"the symbols were read, but do not hold a text: {error}") from None
