"""Qwen's visual-token rule: each side is rounded to a grid and the area is brought into a pixel budget; one token a grid square."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import Integer
from ctxbench_qwen_tokens import bpe
from ctxbench_qwen_tokens.checks import check_pixels

MAX_ASPECT = 200


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) after the processor's resizing.

    Both sides become multiples of ``factor``, by rounding half to even, and the area is brought into [``min_pixels``, ``max_pixels``] at
    nearly the same aspect. The rule is ``smart_resize`` of transformers' Qwen2-VL image processor.

    Raises:
        ValueError: one side is more than 200 times the other, which the processor refuses.
    """
    if max(width, height) / min(width, height) > MAX_ASPECT:
        raise ValueError(f"a {width} x {height} px image is more than {MAX_ASPECT} times as long as wide, which the processor refuses")
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > max_pixels:
        beta = math.sqrt(width * height / max_pixels)
        return max(factor, math.floor(width / beta / factor) * factor), max(factor, math.floor(height / beta / factor) * factor)
    if w * h < min_pixels:
        beta = math.sqrt(min_pixels / (width * height))
        return math.ceil(width * beta / factor) * factor, math.ceil(height * beta / factor) * factor
    return w, h


def _check_pixels(counter: QwenVL, attribute: attrs.Attribute[int], value: object) -> None:
    # one token at least must fit the budget
    check_pixels(attribute.name, value, 1 if attribute.name == "min_pixels" else max(counter.min_pixels, counter.factor**2))


@attrs.frozen
class QwenVL(TokenCounter):
    """One token for each ``factor`` x ``factor`` px of the resized image, between ``<|vision_start|>`` and ``<|vision_end|>``.

    A page loses pixels (``budget_scaled``) where a side loses more than half a square: ``max_pixels`` is why, and ``min_pixels`` for a
    page that is narrower than half a square and much longer.

    Attributes:
        factor: patch size times merge size, in pixels.
        min_pixels: area in px that a smaller page is scaled up to, a bound of the processor's pixel budget.
        max_pixels: area in px that a larger page is scaled down to, the other bound.
        source: where the rule comes from.
    """

    version = 2
    MARKERS = 2

    factor: int
    source: str
    min_pixels: int = option(Integer(1), validator=_check_pixels)
    max_pixels: int = option(Integer(1), validator=_check_pixels)

    @property
    def config(self) -> dict[str, Any]:
        """The options that a config may set."""
        return {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}

    def text(self, text: str) -> int:
        """Tokens of Qwen2's tokenizer."""
        return bpe.count(text)

    def image(self, width: int, height: int) -> ImageTokens:
        """See :func:`smart_resize`."""
        w, h = smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)
        lost = max(width - w, height - h) > self.factor / 2
        return ImageTokens((w // self.factor) * (h // self.factor), w, h, lost, self.MARKERS)


_SMART_RESIZE = "Qwen2VLImageProcessor of transformers, smart_resize and the default size"


def qwen2_vl(min_pixels: int = 56 * 56, max_pixels: int = 28 * 28 * 1280) -> QwenVL:
    """Qwen2-VL with the default budget of transformers' processor: 4 to 1,280 visual tokens.

    The released checkpoints' own ``preprocessor_config.json`` raises it to 16,384: ``max_pixels=12845056``.
    """
    return QwenVL(28, _SMART_RESIZE, min_pixels, max_pixels)


def qwen2_5_vl(min_pixels: int = 56 * 56, max_pixels: int = 28 * 28 * 1280) -> QwenVL:
    """Qwen2.5-VL, which uses Qwen2-VL's processor; its released checkpoints set ``max_pixels=12845056`` too."""
    return QwenVL(28, _SMART_RESIZE, min_pixels, max_pixels)


def qwen3_vl(min_pixels: int = 256 * 256, max_pixels: int = 4096 * 4096) -> QwenVL:
    """Qwen3-VL: 16 px patches merged 2 x 2, hence 32 px squares; 64 to 16,384 visual tokens.

    It uses Qwen2-VL's processor without a default of its own, so the budget is that of its released checkpoints.
    """
    source = "preprocessor_config.json (patch_size, merge_size, size) of Qwen/Qwen3-VL-4B-Instruct; smart_resize of Qwen2VLImageProcessor"
    return QwenVL(32, source, min_pixels, max_pixels)
