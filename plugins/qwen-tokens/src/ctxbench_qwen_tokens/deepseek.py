"""DeepSeek-OCR and its successor: one view of the page, or tiles of it and one view. Their text tokenizers are not at hand."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import Integer, String
from ctxbench_qwen_tokens.tiles import nearest_grid

_PIXELS_A_TOKEN = 64
"""A 16 px patch on each side, and a convolution that joins 4 x 4 of them."""


@attrs.frozen
class DeepseekOcr(TokenCounter):
    """One view of ``mode``'s size, or, in ``gundam``, tiles of 640 px and a view of 1,024 px.

    Besides a token for each 64 x 64 px, every row of a view ends with one, and all views together with one. They are the same token as
    the others, so that they count as visual: the 64, 100, 256 and 400 tokens of the paper are 73, 111, 273 and 421 in a prompt. A page
    of at most 640 px on both sides has no tiles in ``gundam``. A page loses pixels where the view, or its tiles together, are smaller.

    Attributes:
        mode: ``tiny`` (512 px), ``small`` (640 px), ``base`` (1,024 px), ``large`` (1,280 px) or ``gundam``.
        max_tiles: the most tiles of ``gundam``: 9 in the released model's own code, 6 in the vLLM configuration that comes with it.
    """

    MODES: ClassVar[dict[str, int]] = {"tiny": 512, "small": 640, "base": 1024, "large": 1280, "gundam": 1024}
    TILE: ClassVar[int] = 640

    source: str = attrs.field(
        default="Wei et al., DeepSeek-OCR: Contexts Optical Compression (2025), section 3.2, and modeling_deepseekocr.py of the release",
        init=False,
    )
    mode: str = option(String(MODES), "gundam")
    max_tiles: int = option(Integer(2, 64), 9)

    @property
    def config(self) -> dict[str, Any]:
        """The options that a config may set."""
        return {"mode": self.mode, "max_tiles": self.max_tiles}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens of the view, and of the tiles if there are any."""
        side = self.MODES[self.mode]
        view = side // _PIXELS_A_TOKEN
        tokens = (view + 1) * view + 1
        if self.mode == "gundam" and max(width, height) > self.TILE:
            columns, rows = nearest_grid(width, height, self.TILE, 2, self.max_tiles)
            tile = self.TILE // _PIXELS_A_TOKEN
            tokens += (tile * columns + 1) * tile * rows
            w, h = columns * self.TILE, rows * self.TILE
        elif side <= self.TILE:  # small views stretch the page, large ones pad it
            w, h = side, side
        else:
            w, h = _fitted(width, height, side)
        return ImageTokens(tokens, w, h, w < width or h < height)


@attrs.frozen
class DeepseekOcr2(TokenCounter):
    """A view of 1,024 px in 256 tokens, tiles of 768 px in 144 each, and one token at the end of them all, which counts as visual.

    A page of at most 768 px on both sides has no tiles; any other has 2 to ``max_tiles``. A page loses pixels where its tiles together
    are narrower or lower than it is.

    Attributes:
        max_tiles: the most tiles of a page, the processor's ``max_patches``.
    """

    SIDE: ClassVar[int] = 1024
    TILE: ClassVar[int] = 768

    source: str = attrs.field(default="DeepseekOcr2Processor and DeepseekOcr2ImageProcessor of transformers", init=False)
    max_tiles: int = option(Integer(2, 64), 6)

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"max_tiles": self.max_tiles}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens of the view, and of the tiles if there are any.

        Raises:
            ValueError: the page is so narrow that nothing is left of its shorter side in the view, which the processor refuses.
        """
        w, h = _fitted(width, height, self.SIDE)
        if min(w, h) < 1:
            raise ValueError(
                f"a {width} x {height} px image scaled to {self.SIDE} px would be 0 px wide or high, which the processor refuses"
            )
        tokens = (self.SIDE // _PIXELS_A_TOKEN) ** 2 + 1
        if max(width, height) > self.TILE:
            columns, rows = nearest_grid(width, height, self.TILE, 2, self.max_tiles)
            tokens += (self.TILE // _PIXELS_A_TOKEN) ** 2 * columns * rows
            w, h = columns * self.TILE, rows * self.TILE
        return ImageTokens(tokens, w, h, w < width or h < height)


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Size of the page scaled into a square, which the rest of the square pads."""
    scale = side / max(width, height)
    return round(width * scale), round(height * scale)


def deepseek_ocr(mode: str = "gundam", max_tiles: int = 9) -> DeepseekOcr:
    """DeepSeek-OCR's rule in one of its modes."""
    return DeepseekOcr(mode=mode, max_tiles=max_tiles)


def deepseek_ocr_2(max_tiles: int = 6) -> DeepseekOcr2:
    """DeepSeek-OCR 2's rule; ``max_tiles`` is its processor's ``max_patches``."""
    return DeepseekOcr2(max_tiles=max_tiles)
