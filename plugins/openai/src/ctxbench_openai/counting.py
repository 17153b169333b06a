"""Which of a server's prompt tokens are the pages': servers seldom tell, so the same words are sent once without them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
from PIL import Image

from ctxbench import ConfigError, TokenUsage, tokens

FAMILIES = (
    (r"qwen-?2\.5-?vl", "qwen2.5-vl"),
    (r"qwen-?2-?vl", "qwen2-vl"),
    (r"qwen-?3-?vl", "qwen3-vl"),
    (r"pixtral", "pixtral"),
    (r"smolvlm", "smolvlm"),
    (r"idefics-?3", "idefics3"),
    (r"llava-1\.5", "llava-1.5"),
    (r"gpt-4o(?!-mini)", "gpt-4o"),
)
"""Families whose models say so in their names; whatever else must be told (option ``family``)."""


def family_of(model: str) -> str | None:
    """The token counter for a model, by its name."""
    return next((family for pattern, family in FAMILIES if re.search(pattern, model.lower())), None)


def formula(family: str | None, pages: Sequence[Image.Image], budget: tuple[int | None, int | None]) -> tuple[int, int] | None:
    """(visual tokens, marker tokens) of some pages by the family's rule; ``None`` if there is none that can be asked."""
    if family is None:
        return None
    options = {name: value for name, value in zip(("min_pixels", "max_pixels"), budget, strict=True) if value is not None}
    try:
        counter = tokens.counter(family, **options)
        images = [counter.image(*page.size) for page in pages]
        return sum(image.tokens for image in images), counter.overhead(images) if images else 0
    except (ConfigError, ValueError):  # the plugin that knows the family is not installed, or its rule refuses the page
        return None


@attrs.frozen
class Probed:
    """What a request without pages told.

    Attributes:
        tokens: of the pages, markers included; ``None`` if the server did not tell, and ``problem`` says why.
        spent: US dollars that it cost.
    """

    tokens: int | None
    problem: str = ""
    spent: float = 0.0


@attrs.define
class Probes:
    """Tokens of pages, asked for once for each combination of page sizes: visual tokens depend on nothing else of a page."""

    _asked: dict[tuple[Any, ...], asyncio.Task[Probed]] = attrs.field(factory=dict, init=False)

    async def of(self, shape: tuple[Any, ...], ask: Callable[[], Awaitable[Probed]]) -> tuple[Probed, bool]:
        """The tokens of pages of these sizes, and whether it was this call that asked. What failed is asked again the next time."""
        task = self._asked.get(shape)
        first = task is None
        if task is None:
            task = asyncio.ensure_future(ask())
            self._asked[shape] = task
        try:
            found = await asyncio.shield(task)
        except BaseException:
            self._asked.pop(shape, None)
            raise
        if found.tokens is None:
            self._asked.pop(shape, None)
        return found, first


def token_usage(counts: Mapping[str, int], pages: int, probed: Probed | None, by_formula: tuple[int, int] | None) -> TokenUsage | None:
    """Usage as the server tells it; ``None`` if it tells nothing.

    The pages' tokens are what the server says they are, or the difference that a request without them makes. The formula's markers are
    taken out of the difference, where there is a formula.
    """
    if "prompt_tokens" not in counts:
        return None
    if not pages:
        return TokenUsage(counts["prompt_tokens"], 0, (), counts.get("completion_tokens"), source="server")
    visual, markers, apart = counts.get("image_tokens"), None, True
    if visual is None and probed is not None and probed.tokens is not None:
        apart = by_formula is not None and by_formula[1] <= probed.tokens
        markers = by_formula[1] if by_formula is not None and apart else 0
        visual = probed.tokens - markers
    if visual is None or visual > counts["prompt_tokens"]:
        return TokenUsage(counts["prompt_tokens"], None, (), counts.get("completion_tokens"), source="server")
    alone = (visual,) if pages == 1 and apart else ()
    return TokenUsage(counts["prompt_tokens"], visual, alone, counts.get("completion_tokens"), source="server", markers=markers)
