"""A document: its text compressed, split over pages, and put together again."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import attrs

from ctxbench import DecodeError
from ctxbench_codebook.header import Header

COMPRESSIONS = ("raw", "zlib", "zstd", "brotli")
MAX_TEXT = 256 * 1024 * 1024  # a small page must not unpack to more than this


def compress(text: str, how: str) -> tuple[bytes, int]:
    """(payload, number of the compression); ``auto`` takes the smallest."""
    raw = text.encode("utf-8")
    if how == "auto":
        made = [(_pack(raw, name), i) for i, name in enumerate(COMPRESSIONS)]
        return min(made, key=lambda item: (len(item[0]), item[1]))
    return _pack(raw, how), COMPRESSIONS.index(how)


def _pack(raw: bytes, how: str) -> bytes:
    if how == "zlib":
        return zlib.compress(raw, 9)
    if how == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=19 if len(raw) < 2_000_000 else 9, write_content_size=True).compress(raw)
    if how == "brotli":
        import brotli

        return bytes(brotli.compress(raw, quality=11 if len(raw) < 2_000_000 else 5))
    return raw


def unpack(payload: bytes, compression: int) -> str:
    """The text of a payload.

    Raises:
        DecodeError: it does not unpack to UTF-8 text of bearable size.
    """
    import brotli
    import zstandard

    how = COMPRESSIONS[compression]
    try:
        if how == "zlib":
            worker = zlib.decompressobj()
            payload = worker.decompress(payload, MAX_TEXT)
        elif how == "zstd":
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=MAX_TEXT)
        elif how == "brotli":
            payload = brotli.decompress(payload)
        return payload.decode("utf-8")
    except (zlib.error, zstandard.ZstdError, brotli.error, UnicodeDecodeError, MemoryError) as error:
        raise DecodeError(f"the pages were read, but do not hold a text: {error}") from None


@attrs.frozen
class Part:
    """One page's header and its bytes, whose CRC was right."""

    header: Header
    data: bytes


def join(parts: Sequence[Part], unreadable: Sequence[str]) -> str:
    """The text of a document's pages.

    Raises:
        DecodeError: no page, pages of several documents, missing pages (named), or a checksum that differs.
    """
    reasons = f" ({'; '.join(unreadable[:3])})" if unreadable else ""
    if not parts:
        raise DecodeError(f"no page of a codebook could be read{reasons}")
    documents = {(part.header.document, part.header.pages) for part in parts}
    if len(documents) > 1:
        raise DecodeError(f"the pages belong to {len(documents)} different documents")
    first = parts[0].header
    found = {part.header.page: part.data for part in parts}
    lost = [str(page + 1) for page in range(first.pages) if page not in found]
    if lost:
        names = ", ".join(lost[:20]) + (" ..." if len(lost) > 20 else "")
        raise DecodeError(f"page {names} of {first.pages} could not be read{reasons}")
    payload = b"".join(found[page] for page in range(first.pages))
    if zlib.crc32(payload) != first.document:
        raise DecodeError("the pages were read, but the document's checksum differs")
    return unpack(payload, first.compression)
