"""Rules of model families beside Qwen. Their text tokenizers are not at hand, so they count images only."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import ImageTokens, TokenCounter


@attrs.frozen
class Llava15(TokenCounter):
    """Every image is resized and cropped to 336 x 336 px and read in 14 px patches: 24 x 24 tokens."""

    source: str = attrs.field(
        default="Liu et al., Improved Baselines with Visual Instruction Tuning (2023), section 3: CLIP-ViT-L/14 at 336 px", init=False
    )

    def image(self, width: int, height: int) -> ImageTokens:
        """576 tokens; the page is scaled, and what does not fit a square is cut off."""
        return ImageTokens(576, 336, 336, (width, height) != (336, 336))


@attrs.frozen
class Idefics3(TokenCounter):
    """The longer side is scaled to ``longest_edge``, the page cut into tiles of 364 px, and an overview of one tile added.

    Each tile is read in 14 px patches, 26 x 26, of which a pixel shuffle of factor 2 makes 13 x 13 = 169 tokens.
    Marker tokens are not counted.
    """

    longest_edge: int = attrs.field(default=4 * 364)
    source: str = attrs.field(
        default="Laurencon et al., Building and better understanding vision-language models (2024), section 4.1; "
        "transformers' Idefics3ImageProcessor",
        init=False,
    )

    TILE = 364
    TOKENS = 169

    @longest_edge.validator
    def _check(self, attribute: attrs.Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < self.TILE:
            raise ValueError(f"longest_edge must be at least {self.TILE} px, got {value!r}")

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"longest_edge": self.longest_edge}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens of all tiles and of the overview, which is left out if the page is a single tile."""
        scale = self.longest_edge / max(width, height)
        w, h = width * scale, height * scale
        columns, rows = math.ceil(w / self.TILE), math.ceil(h / self.TILE)
        tiles = columns * rows
        return ImageTokens(self.TOKENS * (tiles + 1 if tiles > 1 else 1), columns * self.TILE, rows * self.TILE, abs(scale - 1) > 0.04)


@attrs.frozen
class Gpt4o(TokenCounter):
    """High detail: the page is scaled into 2048 x 2048 px, then its shorter side down to 768 px, and each 512 px tile costs 170 tokens."""

    source: str = attrs.field(default="OpenAI, Images and vision guide, Calculating costs: GPT-4o, 85 base tokens, 170 a tile", init=False)

    def image(self, width: int, height: int) -> ImageTokens:
        """85 tokens and 170 for each tile."""
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return ImageTokens(85 + 170 * math.ceil(w / 512) * math.ceil(h / 512), w, h, scale < 1)


def llava_1_5() -> Llava15:
    """LLaVA-1.5's rule."""
    return Llava15()


def idefics3(longest_edge: int = 4 * 364) -> Idefics3:
    """Idefics3's rule; ``longest_edge`` is its processor's ``size``."""
    return Idefics3(longest_edge)


def gpt_4o() -> Gpt4o:
    """GPT-4o's rule."""
    return Gpt4o()
