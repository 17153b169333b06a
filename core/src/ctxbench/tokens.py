"""Counting tokens: the reference tokens of a text, and the visual tokens of an image, by a model family's published rule.

The rules live in token-counter plugins (``ctxbench-qwen-tokens`` brings Qwen's and several others); this module finds them.
"""

from __future__ import annotations

from typing import Any

from ctxbench.errors import ConfigError
from ctxbench.interfaces import TokenCounter
from ctxbench.records import ImageTokens
from ctxbench.session import current

REFERENCE = "qwen2-vl"
"""The family whose text tokenizer counts reference tokens unless a config says otherwise."""


def counter(family: str = REFERENCE, **options: Any) -> TokenCounter:
    """The token counter of a model family, made once for each set of options, which may stand in its name: ``claude:tier=standard``.

    Raises:
        ConfigError: no installed plugin knows the family, or it does not take the options.
    """
    return current().counter(family, **options)


def count_text(text: str, family: str = REFERENCE) -> int:
    """Text tokens of ``text``, without special tokens or a chat template.

    Raises:
        ConfigError: the family's tokenizer is not installed.
    """
    tokens = counter(family).text(text)
    if tokens is None:
        raise ConfigError(f"token counter {family!r} has no text tokenizer at hand; use {REFERENCE!r}")
    return tokens


def image_tokens(width: int, height: int, family: str = REFERENCE, **options: Any) -> ImageTokens:
    """Visual tokens of a ``width`` x ``height`` px image, and its size after the processor's resizing."""
    if width < 1 or height < 1:
        raise ValueError(f"an image must be at least 1 x 1 px, got {width} x {height}")
    return counter(family, **options).image(width, height)


def ratio(reference: float, cost: float) -> float | None:
    """Reference tokens of a text over the tokens that stand in for it: above 1, the carrier is cheaper. ``None`` if it costs nothing."""
    return reference / cost if cost else None


def visual_tokens(width: int, height: int, family: str = REFERENCE, min_pixels: int | None = None, max_pixels: int | None = None) -> int:
    """Visual tokens of a ``width`` x ``height`` px image; ``min_pixels`` and ``max_pixels`` override the family's pixel budget."""
    return image_tokens(width, height, family, min_pixels=min_pixels, max_pixels=max_pixels).tokens


__all__ = ["REFERENCE", "count_text", "counter", "image_tokens", "ratio", "visual_tokens"]
