"""Families of one image and one rule. Their text tokenizers are not at hand, so they count images only."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import Integer


@attrs.frozen
class Llava15(TokenCounter):
    """Every image is resized and cropped to 336 x 336 px and read in 14 px patches: 24 x 24 tokens, without markers.

    A page loses pixels where its shorter side is longer than 336 px, and where its longer side is cut at the crop.
    """

    version = 2

    source: str = attrs.field(
        default="Liu et al., Improved Baselines with Visual Instruction Tuning (2023), section 3: CLIP-ViT-L/14 at 336 px", init=False
    )

    SIDE = 336

    @property
    def config(self) -> dict[str, Any]:
        """No options."""
        return {}

    def image(self, width: int, height: int) -> ImageTokens:
        """576 tokens; the shorter side is scaled to 336 px, and what is left over of the longer one is cut off."""
        short, long = sorted((width, height))
        return ImageTokens(576, self.SIDE, self.SIDE, short > self.SIDE or self.SIDE * long // short > self.SIDE)


@attrs.frozen
class Pixtral(TokenCounter):
    """The page is scaled down until it fits a square of ``longest_edge`` px, and read in 16 px patches, one token each.

    ``[IMG_BREAK]`` ends each row of patches, and ``[IMG_END]`` the last: a marker a row. A page loses pixels where it is scaled down.

    Attributes:
        longest_edge: side in px of the square that a page is scaled down to, the processor's ``size``.
    """

    version = 2

    source: str = attrs.field(
        default="Agrawal et al., Pixtral 12B (2024), section 2; PixtralImageProcessor and PixtralProcessor of transformers", init=False
    )
    longest_edge: int = option(Integer(16), 1024)

    PATCH = 16

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"longest_edge": self.longest_edge}

    def image(self, width: int, height: int) -> ImageTokens:
        """One token a patch, and a marker a row.

        Raises:
            ValueError: the page is so narrow that nothing is left of its shorter side, which the processor refuses.
        """
        ratio = max(width, height) / self.longest_edge
        w, h = (math.floor(width / ratio), math.floor(height / ratio)) if ratio > 1 else (width, height)
        if min(w, h) < 1:
            raise ValueError(
                f"a {width} x {height} px image scaled to {self.longest_edge} px would be 0 px wide or high, which the processor refuses"
            )
        columns, rows = math.ceil(w / self.PATCH), math.ceil(h / self.PATCH)
        return ImageTokens(columns * rows, columns * self.PATCH, rows * self.PATCH, ratio > 1, rows)


def llava_1_5() -> Llava15:
    """LLaVA-1.5's rule."""
    return Llava15()


def pixtral(longest_edge: int = 1024) -> Pixtral:
    """Pixtral's rule; ``longest_edge`` is its processor's ``size``."""
    return Pixtral(longest_edge=longest_edge)
