"""The codec: its options and presets, and which of the two kinds of pages they ask for."""

from __future__ import annotations

import attrs

from ctxbench import Carrier, Codec, DecodeError, option, require_text
from ctxbench.options import Boolean, Integer, OneOf, Optional, String
from ctxbench_codebook import aligned_reader, compressed
from ctxbench_codebook.aligned import Aligned
from ctxbench_codebook.aligned_layout import Modulation
from ctxbench_codebook.compressed import Compressed
from ctxbench_codebook.document import COMPRESSIONS
from ctxbench_codebook.header import LDPC, REED_SOLOMON
from ctxbench_codebook.layout import GRID, LARGEST, SMALLEST
from ctxbench_codebook.palette import COLORS
from ctxbench_codebook.symbols import SYMBOLS

PRESETS: dict[str, dict[str, int]] = {
    "bw4": {"cell": 4, "colors": 2, "parity": 32},
    "color4": {"cell": 4, "colors": 4, "parity": 32},
    "robust": {"cell": 5, "colors": 16, "parity": 32},
    "dense": {"cell": 2, "colors": 16, "parity": 48},
    "max": {"cell": 1, "colors": 64, "parity": 4},
    "camera": {"cell": 4, "colors": 16, "parity": 74},
    "paper": {"cell": 4, "colors": 16, "parity": 44},
    "fine": {"cell": 2, "colors": 16, "parity": 18},
    "aligned": {"cell": 4, "colors": 4, "parity": 8},
}
SOFT = ("camera", "paper", "fine")
"""Presets with an LDPC code, whose pages are of format version 2."""


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

    preset: str = option(String(PRESETS), "color4")
    cell: int | None = option(Optional(Integer(1, 28)), None)
    colors: int | None = option(Optional(OneOf(*COLORS)), None)
    parity: int | None = option(Optional(Integer(2, 200)), None)
    page: int = option(Integer(SMALLEST, LARGEST), 980)
    compression: str = option(String(("auto", *COMPRESSIONS)), "auto")
    parity_page: bool = option(Boolean(), False)
    symbol: str = option(String(SYMBOLS), "byte")
    columns: int | None = option(Optional(Integer(2, LARGEST // GRID)), None)
    _pages: Compressed | Aligned = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.page % GRID:
            raise ValueError(f"page must be a multiple of {GRID} px, got {self.page}")
        object.__setattr__(self, "_pages", self._aligned() if self.preset == "aligned" else self._compressed())

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
        return compressed.decode(carrier) if text is None else text

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

    def _compressed(self) -> Compressed:
        if self.columns is not None:
            raise ValueError(f"columns is an option of the preset aligned alone, got {self.columns} with {self.preset}")
        if self.symbol != "byte":
            raise ValueError(f"symbol must be byte except with the preset aligned, got {self.symbol!r}")
        cell, colors, parity = map(self._setting, ("cell", "colors", "parity"))
        version = LDPC if self.preset in SOFT else REED_SOLOMON
        return Compressed(cell, colors, version, parity, self.page, self.compression, self.parity_page)

    def _aligned(self) -> Aligned:
        if self.compression not in ("auto", "raw"):
            raise ValueError(f"compression must be auto or raw with the preset aligned, which compresses nothing, got {self.compression!r}")
        if self.parity_page:
            raise ValueError("parity_page is not for the preset aligned, whose pages a model reads one by one")
        modulation = Modulation(self._setting("cell"), self._setting("colors"))
        return Aligned(modulation, self._setting("parity"), self.symbol, self.page // GRID, self.columns)


__all__ = ["PRESETS", "Codebook"]
