"""Smaller print: the render codec's pages scaled down."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import attrs
from PIL import Image

from ctxbench import Carrier, Codec, DecodeError, load_plugins, option
from ctxbench.options import Number, Table

GRID = 28  # px; pages are whole visual tokens of Qwen2-VL
MIN_SIDE = 56  # px; a smaller page would be scaled up by the processor


@attrs.frozen
class HalfResolution(Codec):
    """The pages of ``render``, scaled down, and filled up with white on the right and below to whole visual tokens.

    Attributes:
        scale: of both sides; half of them is a quarter of the visual tokens.
        render: options of the codec ``render``.
    """

    version: ClassVar[int] = 2  # raised with that of ``render``, whose reader it uses
    fidelity: ClassVar[Literal["exact", "approximate"]] = "approximate"

    scale: float = option(Number(0.1, 1), 0.5)
    render: dict[str, Any] = option(Table(), factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.render:  # wrong options are refused now; without any, a missing plugin need not be known yet
            load_plugins().codec("render", **self.render)

    @property
    def printer(self) -> Codec:
        """The codec whose pages are scaled.

        Raises:
            ConfigError: ``render`` is not installed, or does not take the options.
        """
        return load_plugins().codec("render", **self.render)

    def encode(self, text: str) -> Carrier:
        """Smaller pages.

        Raises:
            EncodeError, CapacityError: as ``render`` would.
        """
        carrier = self.printer.encode(text)
        return attrs.evolve(carrier, pages=[self._smaller(page) for page in carrier.pages])

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        return [self._canvas(*size) for size in self.printer.page_sizes(text)]

    def places(self, text: str) -> list[tuple[int, float, float] | None] | None:
        """Those of ``render``, on pages that are filled up on the right and below."""
        whole = self.printer.places(text)
        if whole is None:
            return None
        sizes = self.printer.page_sizes(text)
        shares = [(self._scaled(w) / self._canvas(w, h)[0], self._scaled(h) / self._canvas(w, h)[1]) for w, h in sizes]
        return [None if place is None else (place[0], place[1] * shares[place[0]][0], place[2] * shares[place[0]][1]) for place in whole]

    def decode(self, carrier: Carrier) -> str:
        """What ``render``'s reader makes of the pages, enlarged again.

        Raises:
            DecodeError: there is no page, or no reader.
        """
        if not carrier.pages:
            raise DecodeError("this carrier holds no page")
        pages = [self._larger(page) for page in carrier.pages]
        return self.printer.decode(attrs.evolve(carrier, pages=pages))

    def hint(self, language: str) -> str:
        """As of ``render``."""
        return self.printer.hint(language)

    def _scaled(self, side: int) -> int:
        return max(1, round(side * self.scale))

    def _canvas(self, width: int, height: int) -> tuple[int, int]:
        """Size in px of the scaled page with its filling."""
        w, h = (max(MIN_SIDE, GRID * math.ceil(self._scaled(side) / GRID)) for side in (width, height))
        return w, h

    def _smaller(self, page: Image.Image) -> Image.Image:
        paper = Image.new("RGB", self._canvas(*page.size), "white")
        paper.paste(page.resize((self._scaled(page.width), self._scaled(page.height)), Image.Resampling.LANCZOS), (0, 0))
        return paper

    def _larger(self, page: Image.Image) -> Image.Image:
        size = (max(1, round(page.width / self.scale)), max(1, round(page.height / self.scale)))
        return page.resize(size, Image.Resampling.BICUBIC)
