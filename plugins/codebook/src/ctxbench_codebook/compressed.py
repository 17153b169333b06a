"""Pages that are as dense as the damage allows: the document compressed, and spread over cells with pilots, header and parity."""

from __future__ import annotations

import bisect
import functools
import zlib

import attrs
from PIL import Image

from ctxbench import CapacityError, Carrier, require_text
from ctxbench_codebook import correct, document, header, ldpc, ldpc_page, parity_page
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.header import CRC_BYTES, LDPC, REED_SOLOMON, Header
from ctxbench_codebook.layout import GRID, SMALLEST, Layout, Symbols, draw
from ctxbench_codebook.symbol_bits import to_symbols

MAX_PAGES = 4096


@attrs.frozen
class Compressed:
    """How a text becomes compressed pages.

    Attributes:
        cell: side of a cell in px.
        colors: number of colours.
        version: of the format: Reed-Solomon or LDPC.
        parity: Reed-Solomon bytes in each 255, or check bits in each 256.
        page: longest side of a page in px.
        compression: method, or ``auto`` for the smallest.
        parity_page: adds a page from which any one other page can be made again.
    """

    cell: int
    colors: int
    version: int
    parity: int
    page: int
    compression: str
    parity_page: bool

    def __attrs_post_init__(self) -> None:
        if self._each < 1:
            raise ValueError(f"a page of {self.page} px holds no text in cells of {self.cell} px; {self._remedy}")

    @property
    def _remedy(self) -> str:
        if self.version == LDPC and ldpc_page.code_of(self._layout(self.page, self.page), self.parity).size > ldpc.LARGEST:
            return "such pages would be too large for one code word; lower page"
        return "raise page or lower cell or parity"

    def encode(self, text: str) -> Carrier:
        """The pages.

        Raises:
            EncodeError: a lone surrogate.
            CapacityError: more than 4,096 pages would be needed.
        """
        payload, compression = document.compress(require_text(text), self.compression)
        sizes = self._sizes(len(payload))
        count = len(sizes) - self.parity_page
        parts = [payload[i * self._each : (i + 1) * self._each] for i in range(count)]
        if self.parity_page:
            parts.append(parity_page.make(parts))
        checksum, bits = zlib.crc32(payload), self.colors.bit_length() - 1
        pages = []
        for i, (part, (width, height)) in enumerate(zip(parts, sizes, strict=True)):
            head = Header(self.cell, bits, self.parity, compression, i, count, len(part), checksum, height // GRID, self.version)
            pages.append(self._page(head, part, width, height))
        return Carrier(pages=pages, payload_bytes=len(payload))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes in px."""
        return self._sizes(len(document.compress(require_text(text), self.compression)[0]))

    def _layout(self, width: int, height: int) -> Layout:
        return Layout(width, height, self.cell, self.colors)

    def _capacity(self, width: int, height: int) -> int:
        """Payload bytes of a page."""
        return capacity_of(self._layout(width, height), self.version, self.parity)

    def _sizes(self, length: int) -> list[tuple[int, int]]:
        """Sizes of the pages for this many bytes: full pages, the smallest page that takes the rest, and the parity page if wanted."""
        count = max(1, -(-length // self._each))
        if count > MAX_PAGES:
            raise CapacityError(
                f"{length:,} bytes need {count:,} pages, and {MAX_PAGES:,} is the most; use a larger page or a denser preset"
            )
        rest = length - (count - 1) * self._each
        sizes = [(self.page, self.page)] * (count - 1) + [self._smallest(max(1, rest))]
        if self.parity_page:
            sizes.append(sizes[0] if count > 1 else self._smallest(rest + parity_page.LENGTH_BYTES))
        return sizes

    @property
    def most(self) -> int:
        """Bytes that one page holds."""
        return self._capacity(self.page, self.page)

    @property
    def _each(self) -> int:
        """Payload bytes on a full page; the parity page, no larger, has to hold their number too."""
        return self._capacity(self.page, self.page) - (parity_page.LENGTH_BYTES if self.parity_page else 0)

    def _smallest(self, length: int) -> tuple[int, int]:
        """The page of the fewest visual tokens that holds ``length`` bytes; at most twice as long as wide, the squarest of equals."""
        capacities, sizes = by_capacity(self.cell, self.colors, self.version, self.parity, self.page)
        place = bisect.bisect_left(capacities, length)
        return sizes[place] if place < len(sizes) else (self.page, self.page)

    def _page(self, head: Header, part: bytes, width: int, height: int) -> Image.Image:
        layout = self._layout(width, height)
        symbols = _symbols(header.sealed(part), layout, self.version, self.parity)
        return Image.fromarray(draw(layout, header.to_bits(head), symbols))


@functools.lru_cache(maxsize=64)
def by_capacity(cell: int, colors: int, version: int, parity: int, page: int, pages: int = 1) -> tuple[list[int], list[tuple[int, int]]]:
    """Page sizes by rising payload bytes: (bytes, sizes). A size is left out if one that is preferred to it holds as much."""
    sides = range(SMALLEST, page + 1, GRID)
    shapes = [(width, height) for width in sides for height in sides if width // 2 // GRID * GRID <= height <= 2 * width]
    shapes.sort(key=lambda size: (size[0] * size[1], abs(size[0] - size[1]), -size[0]))
    capacities: list[int] = []
    sizes: list[tuple[int, int]] = []
    for width, height in shapes:
        capacity = capacity_of(Layout(width, height, cell, colors), version, parity, pages)
        if not sizes or capacity > capacities[-1]:
            capacities.append(capacity)
            sizes.append((width, height))
    return capacities, sizes


def capacity_of(layout: Layout, version: int, parity: int, pages: int = 1) -> int:
    """Payload bytes of a page, or of several that share a code word; 0 if there is no room for any."""
    if version != REED_SOLOMON:
        return ldpc_page.capacity(layout, parity, pages)
    return max(0, Blocks(layout.raw_bytes, parity).capacity - CRC_BYTES) if layout.raw_bytes > 16 else 0


def _symbols(data: bytes, layout: Layout, version: int, parity: int) -> Symbols:
    """The symbols of the data cells."""
    if version == LDPC:
        return ldpc_page.symbols_of(data, ldpc_page.code_of(layout, parity), layout.bits)
    return to_symbols(correct.encode(data, Blocks(layout.raw_bytes, parity)), layout.bits, layout.data_cells)
