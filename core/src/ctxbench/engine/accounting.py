"""What a prompt costs, by the formula of the experiment's model family, and by the model's own processor where it tells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from ctxbench import tokens
from ctxbench.config import TokenConfig
from ctxbench.records import ImageTokens, TokenUsage


@attrs.frozen
class PageCost:
    """One page as sent: its size in pixels and what the family's rule makes of it."""

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
    image = tokens.image_tokens(width, height, config.family, min_pixels=config.min_pixels, max_pixels=config.max_pixels)
    return PageCost(width, height, image)


def reference_tokens(config: TokenConfig, text: str) -> int:
    """Reference tokens of a text."""
    return tokens.count_text(text, config.reference)


@attrs.frozen
class Cost:
    """Token costs of one trial, as the columns of the store of the same names."""

    reference_tokens: int
    carrier_text_tokens: int
    carrier_visual_tokens: int
    carrier_tokens: int
    encoded_visual_tokens: int
    prompt_tokens: int
    formula_prompt_tokens: int
    text_prompt_tokens: int
    token_source: str
    token_family: str
    token_flag: str | None
    compression_ratio: float | None
    prompt_ratio: float | None


@attrs.frozen
class TextCounts:
    """Reference tokens of a prompt's parts: the context, the carrier's own text, and the words around it (hint, question, system)."""

    context: int
    carrier: int
    words: int


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

    ``compression_ratio`` is context / carrier tokens; ``prompt_ratio`` sets the whole prompt, had it carried the context as text,
    against the whole prompt as it is, both by formula and without the chat template. The processor's count of visual tokens, where
    there is one, replaces the formula's. ``disagreement`` says that two sources gave different counts; it is flagged ``count_mismatch``.
    """
    formula_visual = sum(page.tokens.tokens for page in pages)
    overhead = tokens.counter(config.family, min_pixels=config.min_pixels, max_pixels=config.max_pixels).overhead(len(pages))
    formula_prompt = counts.words + counts.carrier + formula_visual + overhead
    visual = formula_visual if usage is None else usage.visual
    carrier = counts.carrier + visual
    flags = []
    if any(page.tokens.budget_scaled for page in pages):
        flags.append("budget_scaled")
    if disagreement:
        flags.append("count_mismatch")
    return Cost(
        reference_tokens=counts.context,
        carrier_text_tokens=counts.carrier,
        carrier_visual_tokens=visual,
        carrier_tokens=carrier,
        encoded_visual_tokens=sum(page.tokens.tokens for page in encoded),
        prompt_tokens=formula_prompt if usage is None else usage.prompt,
        formula_prompt_tokens=formula_prompt,
        text_prompt_tokens=counts.words + counts.context,
        token_source="formula" if usage is None else usage.source,
        token_family=config.family,
        token_flag=",".join(flags) or None,
        compression_ratio=counts.context / carrier if carrier else None,
        prompt_ratio=(counts.words + counts.context) / formula_prompt if formula_prompt else None,
    )


def disagrees(usage: TokenUsage, pages: Sequence[PageCost]) -> bool:
    """True if a processor or server counted other visual tokens than the formula, page by page where it tells."""
    expected = tuple(page.tokens.tokens for page in pages)
    return usage.pages != expected if usage.pages else usage.visual != sum(expected)
