"""The codec: options, presets, and the choice of page sizes."""

from __future__ import annotations

import functools
import zlib
from typing import Any

import attrs
from PIL import Image

from ctxbench import CapacityError, Carrier, Codec, DecodeError, require_text
from ctxbench_codebook import aligned_reader, correct, document, header, parity_page
from ctxbench_codebook.aligned import Aligned
from ctxbench_codebook.aligned_layout import Modulation
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.document import COMPRESSIONS, Part
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import GRID, LARGEST, SMALLEST, Layout, draw
from ctxbench_codebook.page_reader import CRC_BYTES, read_page, to_symbols
from ctxbench_codebook.palette import COLORS
from ctxbench_codebook.symbols import SYMBOLS

MAX_PAGES = 4096

PRESETS: dict[str, dict[str, int]] = {
    "bw4": {"cell": 4, "colors": 2, "parity": 32},
    "color4": {"cell": 4, "colors": 4, "parity": 32},
    "robust": {"cell": 5, "colors": 16, "parity": 32},
    "dense": {"cell": 2, "colors": 16, "parity": 48},
    "max": {"cell": 1, "colors": 64, "parity": 4},
    "aligned": {"cell": 4, "colors": 4, "parity": 8},
}


def _one_of(choices: tuple[Any, ...]) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is not None and not any(value == choice and type(value) is type(choice) for choice in choices):
            raise ValueError(f"{attribute.name} must be one of {', '.join(map(str, choices))}, got {value!r}")

    return check


def _between(low: int, high: int) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
            raise ValueError(f"{attribute.name} must be from {low} to {high}, got {value!r}")

    return check


@attrs.frozen
class Codebook(Codec):
    """A 2D colour code.

    Attributes:
        preset: ``bw4``, ``color4``, ``robust`` (for heavy damage), ``dense`` (for light damage), ``max`` (clean pages only) or ``aligned``
            (for models: nothing is compressed, and a whole number of codes stands in each square of 28 px).
        cell: side of a cell in px; ``None`` for the preset's.
        colors: 2, 4, 8, 16, 32 or 64; ``None`` for the preset's.
        parity: Reed-Solomon bytes in each 255; half as many wrong bytes can be corrected. ``None`` for the preset's.
        page: longest side of a page in px, a multiple of 28.
        compression: ``raw``, ``zlib``, ``zstd``, ``brotli``, or ``auto`` for the smallest.
        parity_page: adds a page from which any one other page can be made again if it is lost.
        symbol: what the codes of aligned pages are: ``byte``, ``dictionary`` (12 bits) or ``bpe`` (Qwen's tokens, 18 bits).
        columns: squares of 28 px in each row of aligned pages, so that a model meets one geometry; ``None`` for the squarest pages.
    """

    version = 1

    preset: str = attrs.field(default="color4", validator=_one_of(tuple(PRESETS)))
    cell: int | None = attrs.field(default=None, validator=_between(1, 28))
    colors: int | None = attrs.field(default=None, validator=_one_of(COLORS))
    parity: int | None = attrs.field(default=None, validator=_between(2, 200))
    page: int = attrs.field(default=980, validator=_between(SMALLEST, LARGEST))
    compression: str = attrs.field(default="auto", validator=_one_of(("auto", *COMPRESSIONS)))
    parity_page: bool = attrs.field(default=False, validator=_one_of((False, True)))
    symbol: str = attrs.field(default="byte", validator=_one_of(SYMBOLS))
    columns: int | None = attrs.field(default=None, validator=_between(2, LARGEST // GRID))

    def __attrs_post_init__(self) -> None:
        if self.page % GRID:
            raise ValueError(f"page must be a multiple of {GRID} px, got {self.page}")
        if self.preset == "aligned":
            if self.compression not in ("auto", "raw"):
                raise ValueError(
                    f"compression must be auto or raw with the preset aligned, which compresses nothing, got {self.compression!r}"
                )
            if self.parity_page:
                raise ValueError("parity_page is not for the preset aligned, whose pages a model reads one by one")
            self._aligned()
            return
        if self.columns is not None:
            raise ValueError(f"columns is an option of the preset aligned alone, got {self.columns} with {self.preset}")
        if self.symbol != "byte":
            raise ValueError(f"symbol must be byte except with the preset aligned, got {self.symbol!r}")
        if self._each < 1:
            raise ValueError(f"a page of {self.page} px holds no cell of {self._setting('cell')} px; raise page or lower cell")

    def encode(self, text: str) -> Carrier:
        """The text as pages.

        Raises:
            EncodeError: a lone surrogate.
            CapacityError: more than 4,096 pages would be needed.
        """
        if self.preset == "aligned":
            aligned = self._aligned()
            return Carrier(pages=aligned.encode(require_text(text)), payload_bytes=aligned.payload_bytes(text))
        payload, compression = document.compress(require_text(text), self.compression)
        sizes = self._sizes(len(payload))
        count = len(sizes) - self.parity_page
        parts = [payload[i * self._each : (i + 1) * self._each] for i in range(count)]
        if self.parity_page:
            parts.append(parity_page.make(parts))
        checksum, bits = zlib.crc32(payload), self._setting("colors").bit_length() - 1
        pages = []
        for i, (part, (width, height)) in enumerate(zip(parts, sizes, strict=True)):
            head = Header(self._setting("cell"), bits, self._setting("parity"), compression, i, count, len(part), checksum, height // GRID)
            pages.append(self._page(head, part, width, height))
        return Carrier(pages=pages, payload_bytes=len(payload))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        if self.preset == "aligned":
            return self._aligned().page_sizes(require_text(text))
        return self._sizes(len(document.compress(require_text(text), self.compression)[0]))

    def decode(self, carrier: Carrier) -> str:
        """The text of the pages, in any order, turned or mirrored; options do not matter, since pages describe themselves.

        Raises:
            DecodeError: a page cannot be read or is missing (named), or the pages are not of one document.
        """
        if not carrier.pages:
            raise DecodeError("this carrier holds no page")
        text = aligned_reader.decode(carrier, search=self.preset == "aligned")
        if text is not None:
            return text
        parts: list[Part] = []
        unreadable: list[str] = []
        for i, page in enumerate(carrier.pages):
            try:
                parts.append(read_page(page))
            except DecodeError as error:
                unreadable.append(f"picture {i + 1}: {error}")
        return document.join(parts, unreadable)

    def hint(self, language: str) -> str:
        """Names the code."""
        return (
            "上下文编码在上面的彩色二维码图像中。"
            if language == "zh"
            else "The context is encoded in the 2D color code in the images above."
        )

    def _setting(self, name: str) -> int:
        own: int | None = getattr(self, name)
        return PRESETS[self.preset][name] if own is None else own

    def _aligned(self) -> Aligned:
        modulation = Modulation(self._setting("cell"), self._setting("colors"))
        return Aligned(modulation, self._setting("parity"), self.symbol, self.page // GRID, self.columns)

    def _layout(self, width: int, height: int) -> Layout:
        return Layout(width, height, self._setting("cell"), self._setting("colors"))

    def _capacity(self, width: int, height: int) -> int:
        """Payload bytes of a page."""
        return _capacity(self._layout(width, height), self._setting("parity"))

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
    def _each(self) -> int:
        """Payload bytes on a full page; the parity page, no larger, has to hold their number too."""
        return self._capacity(self.page, self.page) - (parity_page.LENGTH_BYTES if self.parity_page else 0)

    def _smallest(self, length: int) -> tuple[int, int]:
        """The page of the fewest visual tokens that holds ``length`` bytes; at most twice as long as wide, the squarest of equals."""
        best = (self.page, self.page)
        for width in range(SMALLEST, self.page + 1, GRID):
            for height in range(max(SMALLEST, width // 2 // GRID * GRID), min(self.page, 2 * width) + 1, GRID):
                if width * height > best[0] * best[1]:
                    break
                key = (width * height, abs(width - height), -width)
                if key < (best[0] * best[1], abs(best[0] - best[1]), -best[0]) and self._capacity(width, height) >= length:
                    best = width, height
        return best

    def _page(self, head: Header, part: bytes, width: int, height: int) -> Image.Image:
        layout = self._layout(width, height)
        blocks = Blocks(layout.raw_bytes, head.parity)
        coded = correct.encode(part + zlib.crc32(part).to_bytes(CRC_BYTES, "big"), blocks)
        symbols = to_symbols(coded, layout.bits, layout.data_cells)
        return Image.fromarray(draw(layout, header.to_bits(head), symbols))


@functools.lru_cache(maxsize=8192)
def _capacity(layout: Layout, parity: int) -> int:
    return max(0, Blocks(layout.raw_bytes, parity).capacity - CRC_BYTES) if layout.raw_bytes > 16 else 0


__all__ = ["PRESETS", "Codebook"]
