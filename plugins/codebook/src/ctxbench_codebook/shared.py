"""Pages that share their luck: up to eight pages of a document are one code word, which need only survive their average damage.

Each page of a document is damaged on its own: one is taken from too far, the next is sharp. A code for single pages must survive the
worst; one that spreads over pages (coding over block fading; Ozarow, Shamai and Wyner, *Information theoretic considerations for cellular
mobile radio*, 1994) the average, and a page that is lost is no more than damage, too.
"""

from __future__ import annotations

import bisect
import itertools
import zlib
from collections.abc import Sequence

import attrs
from PIL import Image

from ctxbench import CapacityError, Carrier, DecodeError, require_text
from ctxbench_codebook import document, header, ldpc, ldpc_page, soft_reader
from ctxbench_codebook.compressed import MAX_PAGES, Compressed, by_capacity
from ctxbench_codebook.document import Part
from ctxbench_codebook.effort import MOST_DECISIONS, Effort
from ctxbench_codebook.grid import Grid
from ctxbench_codebook.header import CRC_BYTES, SHARED, Header
from ctxbench_codebook.layout import GRID, Layout, draw
from ctxbench_codebook.picture import Picture
from ctxbench_codebook.rectify import View

GROUP = 8
"""Pages that share a code word; the last ones of a document may be fewer."""


@attrs.frozen
class Shared:
    """How a text becomes pages that share code words.

    Attributes:
        cell: side of a cell in px.
        colors: number of colours.
        parity: check bits in each 256 of two pages that share a code word, of three, and so on up to eight.
        page: longest side of a page in px.
        compression: method, or ``auto`` for the smallest.
        single: how a text that fits on one page becomes that page.
    """

    cell: int
    colors: int
    parity: tuple[int, ...]
    page: int
    compression: str
    single: Compressed

    def __attrs_post_init__(self) -> None:
        if self._capacity(GROUP, self.page, self.page) < 1:
            raise ValueError(
                f"{GROUP} pages of {self.page} px cannot share a code word in cells of {self.cell} px: "
                f"it has at most {ldpc.LARGEST:,} bits and at least {ldpc.SMALLEST:,}; choose another page or cell"
            )

    def encode(self, text: str) -> Carrier:
        """The pages.

        Raises:
            EncodeError: a lone surrogate.
            CapacityError: more than 4,096 pages would be needed.
        """
        payload, compression = document.compress(require_text(text), self.compression)
        groups = self._groups(len(payload))
        if not groups:
            return self.single.encode(text)
        total, checksum, bits = sum(pages for pages, _, _ in groups), zlib.crc32(payload), self.colors.bit_length() - 1
        made: list[Image.Image] = []
        start = 0
        for pages, (width, height), length in groups:
            part, start = payload[start : start + length], start + length
            layout, parity = Layout(width, height, self.cell, self.colors), self.parity[pages - 2]
            code = ldpc_page.code_of(layout, parity, pages)
            symbols = ldpc_page.symbols_of(header.sealed(part), code, layout.bits).reshape(pages, -1)
            for own in symbols:
                head = Header(self.cell, bits, parity, compression, len(made), total, length, checksum, height // GRID, SHARED)
                made.append(Image.fromarray(draw(layout, header.to_bits(head), own)))
        return Carrier(pages=made, payload_bytes=len(payload))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes in px."""
        groups = self._groups(len(document.compress(require_text(text), self.compression)[0]))
        return [size for pages, size, _ in groups for _ in range(pages)] if groups else self.single.page_sizes(text)

    def _groups(self, length: int) -> list[tuple[int, tuple[int, int], int]]:
        """For each code word (pages, their size in px, bytes); none if one page of its own holds all."""
        if length <= self.single.most:
            return []
        full = self._capacity(GROUP, self.page, self.page)
        count, rest = divmod(length, full)
        if GROUP * count >= MAX_PAGES:
            raise CapacityError(f"{length:,} bytes need more than {MAX_PAGES:,} pages, the most; use a larger page or a denser preset")
        groups = [(GROUP, (self.page, self.page), full)] * count
        if rest or not groups:
            groups.append((*self._smallest(rest), rest))
        return groups

    def _smallest(self, length: int) -> tuple[int, tuple[int, int]]:
        """(how many pages, of which size) hold this many bytes: as few as can, as small as can."""
        pages = next(pages for pages in range(2, GROUP + 1) if self._capacity(pages, self.page, self.page) >= length)
        capacities, sizes = by_capacity(self.cell, self.colors, SHARED, self.parity[pages - 2], self.page, pages)
        return pages, sizes[bisect.bisect_left(capacities, length)]

    def _capacity(self, pages: int, width: int, height: int) -> int:
        return ldpc_page.capacity(Layout(width, height, self.cell, self.colors), self.parity[pages - 2], pages)


@attrs.frozen(eq=False)
class Sighting:
    """A page that shares its code word with others: its header, and its cells as they were seen."""

    header: Header
    grid: Grid


def sighted(picture: Picture, view: View, head: Header) -> Sighting:
    """The cells of a page in a picture.

    Raises:
        DecodeError: the header does not fit the page.
    """
    layout = Layout(view.width, view.height, head.cell, 1 << head.bits)
    pages = min(GROUP, head.pages - head.page // GROUP * GROUP)
    if layout.rows < 1 or head.page >= head.pages or 8 * (head.length + CRC_BYTES) > ldpc_page.code_of(layout, head.parity, pages).message:
        raise DecodeError("the header names more bytes than the page can hold")
    return Sighting(head, Grid.of(picture, view, layout))


def join(sightings: Sequence[Sighting]) -> tuple[list[Part], list[str]]:
    """(parts of the pages whose code word was read, what became of the others). All bytes of a code word are its first page's part."""
    parts: list[Part] = []
    unreadable: list[str] = []

    def group_of(one: Sighting) -> tuple[int, int, int]:
        return one.header.document, one.header.pages, one.header.page // GROUP

    for (_, total, number), some in itertools.groupby(sorted(sightings, key=group_of), group_of):
        first = number * GROUP
        pages = min(GROUP, total - first)
        try:
            head, data = _read(list(some), first, pages)
        except DecodeError as error:
            unreadable.append(f"pages {first + 1} to {first + pages}: {error}")
            continue
        parts += [Part(attrs.evolve(head, page=first + i), b"" if i else data) for i in range(pages)]
    return parts, unreadable


def _read(some: list[Sighting], first: int, pages: int) -> tuple[Header, bytes]:
    """(a header, the bytes) of the pages that share a code word.

    Raises:
        DecodeError: they do not fit each other, or there are too many errors.
    """
    head, layout = some[0].header, some[0].grid.layout
    if any(attrs.evolve(one.header, page=0) != attrs.evolve(head, page=0) or one.grid.layout != layout for one in some):
        raise DecodeError("their headers contradict each other")
    grids: list[Grid | None] = [None] * pages
    for one in some:
        grids[one.header.page - first] = one.grid
    code = ldpc_page.code_of(layout, head.parity, pages)
    try:
        return head, soft_reader.decoded(grids, code, head.length, Effort(cells=MOST_DECISIONS * pages))
    except DecodeError as error:
        lost = [str(first + i + 1) for i, grid in enumerate(grids) if grid is None]
        raise DecodeError(f"{error} (without page {', '.join(lost)})" if lost else str(error)) from None
