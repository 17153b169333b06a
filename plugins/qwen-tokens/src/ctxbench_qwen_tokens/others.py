"""Families with a rule of their own. Their text tokenizers are not at hand, so they count images only."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import ImageTokens, TokenCounter
from ctxbench_qwen_tokens.checks import check_pixels


@attrs.frozen
class Llava15(TokenCounter):
    """Every image is resized and cropped to 336 x 336 px and read in 14 px patches: 24 x 24 tokens."""

    source: str = attrs.field(
        default="Liu et al., Improved Baselines with Visual Instruction Tuning (2023), section 3: CLIP-ViT-L/14 at 336 px", init=False
    )

    @property
    def config(self) -> dict[str, Any]:
        """No options."""
        return {}

    def image(self, width: int, height: int) -> ImageTokens:
        """576 tokens; the shorter side is scaled to 336 px, and what is left over of the longer one is cut off."""
        return ImageTokens(576, 336, 336, min(width, height) != 336)


@attrs.frozen
class Pixtral(TokenCounter):
    """The page is scaled down until it fits a square of ``longest_edge`` px, and read in 16 px patches.

    Each row of patches ends with a token of its own, which counts as visual because it comes with each image.
    """

    source: str = attrs.field(
        default="Agrawal et al., Pixtral 12B (2024), section 2; PixtralImageProcessor and PixtralProcessor of transformers", init=False
    )
    longest_edge: int = attrs.field(default=1024)

    PATCH = 16

    @longest_edge.validator
    def _check(self, attribute: attrs.Attribute[int], value: object) -> None:
        check_pixels(attribute.name, value, self.PATCH)

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"longest_edge": self.longest_edge}

    def image(self, width: int, height: int) -> ImageTokens:
        """One token a patch, and one at the end of each row."""
        ratio = max(width, height) / self.longest_edge
        w, h = (math.floor(width / ratio), math.floor(height / ratio)) if ratio > 1 else (width, height)
        columns, rows = math.ceil(w / self.PATCH), math.ceil(h / self.PATCH)
        return ImageTokens((columns + 1) * rows, columns * self.PATCH, rows * self.PATCH, ratio > 1)


@attrs.frozen
class Gpt4o(TokenCounter):
    """High detail: the page is scaled down into 2048 x 2048 px, then its shorter side to 768 px, and each 512 px tile costs 170 tokens.

    A smaller page is not scaled up. The guide does not say how fractions of a pixel are rounded: to the nearest, here.
    """

    source: str = attrs.field(default="OpenAI, Images and vision guide, Calculating costs: GPT-4o, 85 base tokens, 170 a tile", init=False)

    @property
    def config(self) -> dict[str, Any]:
        """No options."""
        return {}

    def image(self, width: int, height: int) -> ImageTokens:
        """85 tokens and 170 for each tile."""
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return ImageTokens(85 + 170 * math.ceil(w / 512) * math.ceil(h / 512), w, h, scale < 1)


def llava_1_5() -> Llava15:
    """LLaVA-1.5's rule."""
    return Llava15()


def pixtral(longest_edge: int = 1024) -> Pixtral:
    """Pixtral's rule; ``longest_edge`` is its processor's ``size``."""
    return Pixtral(longest_edge=longest_edge)


def gpt_4o() -> Gpt4o:
    """GPT-4o's rule."""
    return Gpt4o()
