"""OpenAI's models: 512 px tiles, or 32 px patches. Visual tokens only; what a server adds for markers is not published."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import String

_GUIDE = "OpenAI, Images and vision guide (developers.openai.com/api/docs/guides/images-vision)"


@attrs.frozen
class Tiles(TokenCounter):
    """High detail: the page is scaled down into 2048 x 2048 px, then its shorter side to 768 px, and cut into 512 px tiles.

    A smaller page is not scaled up. The guide does not say how fractions of a pixel are rounded: to the nearest, here. A page loses
    pixels where it is scaled down.

    Attributes:
        base: tokens of every image.
        tile: tokens of a tile.
        source: where the rule comes from.
    """

    version = 2

    base: int
    tile: int
    source: str

    @property
    def config(self) -> dict[str, Any]:
        """No options."""
        return {}

    def image(self, width: int, height: int) -> ImageTokens:
        """The base and all tiles."""
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return ImageTokens(self.base + self.tile * math.ceil(w / 512) * math.ceil(h / 512), w, h, scale < 1)


@attrs.frozen
class Patches(TokenCounter):
    """32 px patches: the page is scaled down to a longest side and then to a number of patches; each costs a multiple of a token.

    The scale is such that the shorter of its two sides, counted in patches, is whole, as the guide's formula has it; the sum is rounded
    up, as bills are. A page loses pixels where it is scaled down.

    Attributes:
        hundredths: tokens of 100 patches, the guide's multiplier.
        limits: for each detail, the longest side in pixels and the most patches.
        detail: what a request asks for of each page: ``low``, ``high``, or ``original`` where the model has it.
        source: where the rule comes from.
    """

    PATCH: ClassVar[int] = 32

    hundredths: int
    limits: dict[str, tuple[int, int]]
    source: str
    detail: str = option(String())

    @detail.validator
    def _check(self, _: attrs.Attribute[str], value: object) -> None:
        if value not in self.limits:
            raise ValueError(f"detail must be one of {', '.join(self.limits)}, got {value!r}")

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"detail": self.detail}

    def image(self, width: int, height: int) -> ImageTokens:
        """Patches that cover the page after scaling, times the multiplier."""
        side, most = self.limits[self.detail]
        scale = min(1.0, side / max(width, height))
        if self._count(width * scale, height * scale) > most:
            scale = math.sqrt(self.PATCH**2 * most / (width * height))
            columns, rows = width * scale / self.PATCH, height * scale / self.PATCH
            scale *= min(max(1, math.floor(columns)) / columns, max(1, math.floor(rows)) / rows, 1.0)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return ImageTokens(math.ceil(min(self._count(w, h), most) * self.hundredths / 100), w, h, scale < 1)

    def _count(self, width: float, height: float) -> int:
        return math.ceil(round(width, 6) / self.PATCH) * math.ceil(round(height, 6) / self.PATCH)


def gpt_4o() -> Tiles:
    """GPT-4o, GPT-4.1 and GPT-4.5: 85 tokens and 170 for each tile."""
    return Tiles(85, 170, f"{_GUIDE}, tile-based image tokenization: 4o, 4.1, 4.5")


def gpt_5() -> Tiles:
    """GPT-5 and gpt-5-chat-latest: 70 tokens and 140 for each tile."""
    return Tiles(70, 140, f"{_GUIDE}, tile-based image tokenization: gpt-5")


def gpt_5_mini(detail: Annotated[str, String(("low", "high"))] = "high") -> Patches:
    """GPT-5 mini, GPT-5.2 and others of 1,536 patches: 1.2 tokens each."""
    source = f"{_GUIDE}, patch-based image tokenization: gpt-5-mini and gpt-5.2, multiplier 1.2 (1.62 in its older versions)"
    return Patches(120, {"low": (512, 1536), "high": (2048, 1536)}, source, detail)


def gpt_5_4(detail: Annotated[str, String(("low", "high", "original"))] = "high") -> Patches:
    """GPT-5.4 and GPT-5.5: 1.2 tokens for each of up to 2,500 patches, or of 10,000 in ``original``.

    Where a request names no detail, GPT-5.4 takes ``high`` and GPT-5.5 ``original``.
    """
    source = f"{_GUIDE}, patch-based image tokenization: gpt-5.4 and gpt-5.5"
    return Patches(120, {"low": (512, 2500), "high": (2048, 2500), "original": (6000, 10_000)}, source, detail)
