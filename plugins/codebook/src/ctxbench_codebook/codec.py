"""The codec: its options and presets, and which of the two kinds of pages they ask for."""

from __future__ import annotations

import attrs

from ctxbench import Carrier, Codec, DecodeError, option, require_text
from ctxbench.options import Boolean, Integer, OneOf, Optional, String
from ctxbench_codebook import reading
from ctxbench_codebook.aligned import reader as aligned_reader
from ctxbench_codebook.aligned.layout import Modulation
from ctxbench_codebook.aligned.pages import Aligned
from ctxbench_codebook.compressed import Compressed
from ctxbench_codebook.document import COMPRESSIONS
from ctxbench_codebook.header import LDPC, REED_SOLOMON
from ctxbench_codebook.layout import GRID, LARGEST, SMALLEST
from ctxbench_codebook.palette import COLORS
from ctxbench_codebook.shared import Shared
from ctxbench_codebook.symbols import SYMBOLS

TOGETHER: dict[str, tuple[str, tuple[int, ...]]] = {
    "camera_pages": ("camera", (119, 109, 98, 91, 85, 81, 78)),
    "paper_pages": ("paper", (82, 73, 65, 61, 57, 54, 52)),
}
"""Presets whose pages share a code word (format version 3): the preset of a text that fits on one page, and the parity of two pages to
eight: the fewer share their luck, the more is needed."""
SOFT = ("camera", "paper", "fine")
"""Presets with an LDPC code, whose pages are of format version 2."""
PRESETS: dict[str, dict[str, int]] = {
    "bw4": {"cell": 4, "colors": 2, "parity": 32},
    "color4": {"cell": 4, "colors": 4, "parity": 32},
    "robust": {"cell": 5, "colors": 16, "parity": 32},
    "dense": {"cell": 2, "colors": 16, "parity": 48},
    "max": {"cell": 1, "colors": 64, "parity": 4},
    "camera": {"cell": 4, "colors": 16, "parity": 74},
    "paper": {"cell": 4, "colors": 16, "parity": 44},
    "fine": {"cell": 2, "colors": 16, "parity": 18},
    **{name: {"cell": 4, "colors": 32, "parity": parities[-1]} for name, (_, parities) in TOGETHER.items()},
    "aligned": {"cell": 4, "colors": 4, "parity": 8},
}


@attrs.frozen
class Codebook(Codec):
    """A 2D colour code.

    Attributes:
        preset: ``bw4``, ``color4``, ``robust`` (for heavy damage), ``dense`` (for light damage) or ``max`` (clean pages only), with
            Reed-Solomon codes; ``camera`` and ``paper`` (for heavy damage, in any order and in paper order) or ``fine`` (for light
            damage), with an LDPC code, which carries more and is slower to read where much is damaged; ``camera_pages`` or ``paper_pages``,
            which let up to eight pages of a long text share their luck; or ``aligned`` (for models: nothing is compressed, and a whole
            number of codes stands in each square of 28 px).
        cell: side of a cell in px; ``None`` for the preset's.
        colors: 2, 4, 8, 16, 32 or 64; ``None`` for the preset's.
        parity: Reed-Solomon bytes in each 255, of which half as many wrong ones can be corrected, or LDPC check bits in each 256.
            ``None`` for the preset's.
        page: longest side of a page in px, a multiple of 28.
        compression: ``raw``, ``zlib``, ``zstd``, ``brotli``, or ``auto`` for the smallest.
        parity_page: adds a page from which any one other page can be made again if it is lost.
        symbol: what the codes of aligned pages are: ``byte``, ``dictionary`` (12 bits, made of the tasks' texts), ``bpe`` (Qwen's
            tokens, 18 bits) or ``dictionary2`` (12 bits, made of real texts).
        columns: squares of 28 px in each row of aligned pages, so that a model meets one geometry; ``None`` for the squarest pages.
    """

    version = 1

    preset: str = option(String(PRESETS), "color4")
    cell: int | None = option(Optional(Integer(1, 28)), None)
    colors: int | None = option(Optional(OneOf(*COLORS)), None)
    parity: int | None = option(Optional(Integer(2, 200)), None)
    page: int = option(Integer(SMALLEST, LARGEST), 980)
    compression: str = option(String(("auto", *COMPRESSIONS)), "auto")
    parity_page: bool = option(Boolean(), False)
    symbol: str = option(String(SYMBOLS), "byte")
    columns: int | None = option(Optional(Integer(2, LARGEST // GRID)), None)
    _pages: Compressed | Shared | Aligned = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.page % GRID:
            raise ValueError(f"page must be a multiple of {GRID} px, got {self.page}")
        object.__setattr__(self, "_pages", self._aligned() if self.preset == "aligned" else self._dense())

    def encode(self, text: str) -> Carrier:
        """The text as pages.

        Raises:
            EncodeError: a lone surrogate.
            CapacityError: more than 4,096 pages would be needed.
        """
        return self._pages.encode(require_text(text))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        return self._pages.page_sizes(require_text(text))

    def decode(self, carrier: Carrier) -> str:
        """The text of the pages, in any order, turned or mirrored; options do not matter, since pages describe themselves.

        Raises:
            DecodeError: a page cannot be read or is missing (named), or the pages are not of one document.
        """
        if not carrier.pages:
            raise DecodeError("this carrier holds no page")
        text = aligned_reader.decode(carrier, search=self.preset == "aligned")
        return reading.decode(carrier) if text is None else text

    def hint(self, language: str) -> str:
        """Names the code."""
        return (
            "上下文编码在上面的彩色二维码图像中。"
            if language == "zh"
            else "The context is encoded in the 2D color code in the images above."
        )

    def _setting(self, name: str, preset: str) -> int:
        own: int | None = getattr(self, name)
        return PRESETS[preset][name] if own is None else own

    def _dense(self) -> Compressed | Shared:
        if self.columns is not None:
            raise ValueError(f"columns is an option of the preset aligned alone, got {self.columns} with {self.preset}")
        if self.symbol != "byte":
            raise ValueError(f"symbol must be byte except with the preset aligned, got {self.symbol!r}")
        if self.preset not in TOGETHER:
            return self._compressed(self.preset)
        if self.parity_page:
            raise ValueError(f"parity_page is not for the preset {self.preset}, whose pages already make up for each other")
        single, parities = TOGETHER[self.preset]
        if self.parity is not None:
            parities = (self.parity,) * len(parities)
        cell, colors = (self._setting(name, self.preset) for name in ("cell", "colors"))
        return Shared(cell, colors, parities, self.page, self.compression, self._compressed(single))

    def _compressed(self, preset: str) -> Compressed:
        cell, colors, parity = (self._setting(name, preset) for name in ("cell", "colors", "parity"))
        version = LDPC if preset in SOFT else REED_SOLOMON
        return Compressed(cell, colors, version, parity, self.page, self.compression, self.parity_page)

    def _aligned(self) -> Aligned:
        if self.compression not in ("auto", "raw"):
            raise ValueError(f"compression must be auto or raw with the preset aligned, which compresses nothing, got {self.compression!r}")
        if self.parity_page:
            raise ValueError("parity_page is not for the preset aligned, whose pages a model reads one by one")
        modulation = Modulation(self._setting("cell", self.preset), self._setting("colors", self.preset))
        return Aligned(modulation, self._setting("parity", self.preset), self.symbol, self.page // GRID, self.columns)


__all__ = ["PRESETS", "Codebook"]
