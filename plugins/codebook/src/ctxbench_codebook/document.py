"""A document: its text compressed, split over pages, and put together again."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import attrs

from ctxbench import CapacityError, DecodeError
from ctxbench_codebook import parity_page
from ctxbench_codebook.header import Header

COMPRESSIONS = ("raw", "zlib", "zstd", "brotli")
MAX_TEXT = 256 * 1024 * 1024  # bytes
MAX_SURE = 64 * 1024 * 1024  # bytes; what every payload may unpack to, however small it is
MAX_RATIO = 8  # bytes of a text beyond that for each byte of payload; a page of a few bytes must not fill the memory
MAX_WINDOW = 16 * 1024 * 1024  # bytes zstd may keep while unpacking; level 19 uses 8 MiB


def largest(payload: bytes) -> int:
    """Bytes of text that a payload may hold."""
    return min(MAX_TEXT, max(MAX_SURE, MAX_RATIO * len(payload)))


def compress(text: str, how: str) -> tuple[bytes, int]:
    """(payload, number of the compression); ``auto`` takes the smallest that a decoder unpacks.

    Raises:
        CapacityError: the text is larger than a decoder unpacks, at all or from so few bytes.
    """
    raw = text.encode("utf-8")
    if len(raw) > MAX_TEXT:
        raise CapacityError(f"the text has {len(raw):,} bytes, and {MAX_TEXT:,} is the most that a document holds; split it")
    names = COMPRESSIONS if how == "auto" else (how,)
    made = [(payload, COMPRESSIONS.index(name)) for name in names if len(raw) <= largest(payload := _pack(raw, name))]
    if not made:
        raise CapacityError(f"the text has {len(raw):,} bytes, too many for what {how} makes of them; use compression=auto, or split it")
    return min(made, key=lambda item: (len(item[0]), item[1]))


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

    try:
        return _expand(payload, COMPRESSIONS[compression]).decode("utf-8")
    except (zlib.error, zstandard.ZstdError, brotli.error, UnicodeDecodeError, MemoryError) as error:
        raise DecodeError(f"the pages were read, but do not hold a text: {error}") from None


def _expand(payload: bytes, how: str) -> bytes:
    """The bytes of one whole stream. Not much more than ``largest`` is ever made, whatever size the stream declares."""
    import brotli
    import zstandard

    raw, whole, most = payload, True, largest(payload)
    if how == "zlib":
        inflate = zlib.decompressobj()
        raw = inflate.decompress(payload, most + 1)
        whole = inflate.eof and not inflate.unused_data
    elif how == "zstd":
        with zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(payload) as reader:
            raw = reader.read(min(most, max(0, zstandard.frame_content_size(payload))) + 1)
        whole = len(raw) == zstandard.frame_content_size(payload)
    elif how == "brotli":
        decompressor = brotli.Decompressor()
        raw = decompressor.process(payload, output_buffer_limit=most + 1)
        whole = decompressor.is_finished()
    if len(raw) > most:
        raise DecodeError(f"the pages were read, but unpack to more than {most:,} bytes, the most that is read")
    if not whole:
        raise DecodeError(f"the pages were read, but their {how} stream is not whole")
    return raw


@attrs.frozen
class Part:
    """One page's header and its bytes, whose CRC was right."""

    header: Header
    data: bytes


def join(parts: Sequence[Part], unreadable: Sequence[str]) -> str:
    """The text of a document's pages; one lost page is made again if there is a parity page.

    Raises:
        DecodeError: no page, pages of several documents, missing pages (named), or a checksum that differs.
    """
    reasons = f" ({'; '.join(unreadable[:3])})" if unreadable else ""
    if not parts:
        raise DecodeError(f"no page of a codebook could be read{reasons}")
    documents = {(part.header.document, part.header.pages, part.header.compression) for part in parts}
    if len(documents) > 1:
        raise DecodeError(f"the pages belong to {len(documents)} different documents")
    first = parts[0].header
    found = {part.header.page: part.data for part in parts}
    parity = found.pop(first.pages, None)
    lost = [page for page in range(first.pages) if page not in found]
    if len(lost) == 1 and parity is not None:
        found[lost[0]] = parity_page.restore(parity, list(found.values()))
    elif lost:
        names = ", ".join(str(page + 1) for page in lost[:20]) + (" ..." if len(lost) > 20 else "")
        more = "" if parity is None else "; the parity page restores only one"
        raise DecodeError(f"page {names} of {first.pages} could not be read{more}{reasons}")
    payload = b"".join(found[page] for page in range(first.pages))
    if zlib.crc32(payload) != first.document:
        raise DecodeError("the pages were read, but the document's checksum differs")
    return unpack(payload, first.compression)
