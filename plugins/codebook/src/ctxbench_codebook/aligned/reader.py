"""Reading aligned pages: headers, codes, and the text that they give together."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ctxbench import Carrier, DecodeError
from ctxbench_codebook import symbols
from ctxbench_codebook.aligned import locate
from ctxbench_codebook.aligned.header import Header, header_rows, read_header
from ctxbench_codebook.aligned.layout import SQUARE, Pixels, look, shares
from ctxbench_codebook.aligned.parity import repaired
from ctxbench_codebook.layout import LARGEST
from ctxbench_codebook.symbol_bits import unpack
from ctxbench_codebook.symbols import WIDTHS, Codes


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
    data = np.packbits(unpack(cells[:split], modulation.bits))
    if found.data:
        check = np.packbits(unpack(cells[split : -modulation.header_cells], modulation.bits))[: found.blocks * found.check]
        data = repaired(data, check, found)
    if head.checksum_of(data.tobytes()) != head.checksum:
        raise DecodeError("the checksum differs")
    width, each = WIDTHS[head.symbol], modulation.codes(WIDTHS[head.symbol])
    squares = np.unpackbits(data)[: split * modulation.bits].reshape(head.payload, modulation.cells * modulation.bits)
    bits = squares[:, : each * width]
    return bits.reshape(-1, width)[: head.length].astype(np.int64) @ (1 << np.arange(width - 1, -1, -1))


def _found(page: Image.Image, search: bool) -> tuple[Header, Pixels] | None:
    """The header and the page as it was made; ``search`` looks for a page that was turned or scaled a little, too."""
    if max(page.size) <= LARGEST:
        pixels = np.asarray(page.convert("RGB"))
        head = read_header(pixels)
        if head is not None:
            return head, pixels
    for seen in locate.upright(page) if search else ():
        head = read_header(seen.last(min(seen.rows, header_rows(seen.columns))))
        if head is not None:
            return head, seen.last(seen.rows)
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
        seen = _found(page, search)
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
