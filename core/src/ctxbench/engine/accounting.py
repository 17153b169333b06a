"""Counts the tokens of a prompt: by the formula of the experiment's model family, and by the model's own processor if it reports counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs

from ctxbench import tokens
from ctxbench.config import TokenConfig
from ctxbench.interfaces import TokenCounter
from ctxbench.plan import counting
from ctxbench.records import ImageTokens, TokenUsage


@attrs.frozen
class PageCost:
    """One page as sent to the model: its size in pixels, and its tokens by the family's rule."""

    width: int
    height: int
    tokens: ImageTokens

    @property
    def resize_factor(self) -> float:
        """Geometric mean of the processor's scale factors in x and y."""
        return math.sqrt(self.tokens.width * self.tokens.height / (self.width * self.height))


def page_cost(config: TokenConfig, size: tuple[int, int]) -> PageCost:
    """Cost of one page of ``size`` (width, height) in pixels."""
    width, height = size
    image = tokens.image_tokens(width, height, config.rule, min_pixels=config.min_pixels, max_pixels=config.max_pixels)
    return PageCost(width, height, image)


def reference_tokens(config: TokenConfig, text: str) -> int:
    """Reference tokens of a text."""
    return tokens.count_text(text, config.reference)


def _counter(config: TokenConfig) -> TokenCounter:
    return tokens.counter(config.rule, min_pixels=config.min_pixels, max_pixels=config.max_pixels)


@attrs.frozen
class Cost:
    """Token costs of one trial, as the columns of the store of the same names."""

    token_config: dict[str, Any]
    context_bytes: int
    payload_bytes: int | None
    reference_tokens: int
    carrier_text_tokens: int
    carrier_visual_tokens: int
    carrier_marker_tokens: int
    carrier_tokens: int
    encoded_visual_tokens: int
    encoded_tokens: int
    prompt_tokens: int
    formula_prompt_tokens: int
    text_prompt_tokens: int
    token_source: str
    token_family: str
    token_flag: str | None
    encoded_ratio: float | None
    compression_ratio: float | None
    prompt_ratio: float | None


@attrs.frozen
class TextCounts:
    """Token and byte counts of the texts in a prompt.

    Attributes:
        context: reference tokens of the context.
        carrier: reference tokens of the carrier's own text.
        words: reference tokens of the words around it: hint, question and system message.
        plain_words: the same with the hint of a plain-text context.
        context_bytes: the context as UTF-8.
        payload_bytes: bytes in the carrier after the codec's own compression, or ``None`` if the codec does not tell.
    """

    context: int
    carrier: int
    words: int
    plain_words: int
    context_bytes: int
    payload_bytes: int | None = None


def account(
    config: TokenConfig,
    counts: TextCounts,
    pages: Sequence[PageCost],
    encoded: Sequence[PageCost],
    usage: TokenUsage | None,
    *,
    disagreement: bool = False,
) -> Cost:
    """All costs of one trial.

    A carrier costs its text, its visual tokens and its markers. ``compression_ratio`` is context / carrier tokens of the pages as sent,
    ``encoded_ratio`` the same of the pages as the codec made them. ``prompt_ratio`` sets the whole prompt of the text codec (its hint,
    the context, the question) against the whole prompt as it is, both by formula and without the chat template. The processor's count
    of visual tokens, and of markers if it tells, replaces the formula's in what was sent. A ratio is there whenever its counts are:
    flags say what else to know. ``disagreement`` says that two sources gave different counts; it is flagged ``count_mismatch``.
    """
    sent, made = _pages_cost(config, pages), _pages_cost(config, encoded)
    formula_prompt = counts.words + counts.carrier + sent.visual + sent.markers
    visual = sent.visual if usage is None or usage.visual is None else usage.visual
    markers = sent.markers if usage is None or usage.markers is None else usage.markers
    carrier = counts.carrier + visual + markers
    encoded_tokens = counts.carrier + made.visual + made.markers
    text_prompt = counts.plain_words + counts.context
    flags = []
    if any(page.tokens.budget_scaled for page in pages):
        flags.append("budget_scaled")
    if disagreement:
        flags.append("count_mismatch")
    return Cost(
        token_config=counting(config, _counter(config)),
        context_bytes=counts.context_bytes,
        payload_bytes=counts.payload_bytes,
        reference_tokens=counts.context,
        carrier_text_tokens=counts.carrier,
        carrier_visual_tokens=visual,
        carrier_marker_tokens=markers,
        carrier_tokens=carrier,
        encoded_visual_tokens=made.visual,
        encoded_tokens=encoded_tokens,
        prompt_tokens=formula_prompt if usage is None else usage.prompt,
        formula_prompt_tokens=formula_prompt,
        text_prompt_tokens=text_prompt,
        token_source="formula" if usage is None else usage.source,
        token_family=config.rule,
        token_flag=",".join(flags) or None,
        encoded_ratio=tokens.ratio(counts.context, encoded_tokens),
        compression_ratio=tokens.ratio(counts.context, carrier),
        prompt_ratio=tokens.ratio(text_prompt, formula_prompt),
    )


@attrs.frozen
class _PagesCost:
    visual: int
    markers: int


def _pages_cost(config: TokenConfig, pages: Sequence[PageCost]) -> _PagesCost:
    images = [page.tokens for page in pages]
    return _PagesCost(sum(image.tokens for image in images), _counter(config).overhead(images) if images else 0)


def page_markers(config: TokenConfig, pages: Sequence[PageCost]) -> int:
    """Marker tokens of a prompt's pages, by formula."""
    return _pages_cost(config, pages).markers


def disagrees(usage: TokenUsage, pages: Sequence[PageCost], *, markers: int = 0, text: int = 0) -> bool:
    """True if a processor or server counted other visual tokens than the formula, page by page where it tells.

    Where it cannot tell them from ``markers``, the formula's count of those, the sum decides. Where it counts the whole prompt alone, that
    must have room for the pages. A server may cut a long prompt without saying so: a prompt without pages that has less than half of
    ``text``, its tokens by formula, disagrees too.
    """
    expected = tuple(page.tokens.tokens for page in pages)
    if usage.pages:
        return usage.pages != expected
    if usage.source == "server" and not pages:
        return 2 * usage.prompt < text
    if usage.visual is None:
        return usage.prompt < sum(expected) + markers
    if usage.markers is not None:
        return usage.visual + usage.markers != sum(expected) + markers
    return usage.visual != sum(expected)
