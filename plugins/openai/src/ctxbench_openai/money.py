"""Prices, and what a request costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from ctxbench import Prompt

NAMES = ("input", "cached", "output")
MILLION = 1_000_000

SMALLEST_PATCH = 14
"""Pixels of the side of a square that costs a token: no family whose rule is published spends more tokens on a page."""

LEAST_OF_A_PAGE = 4000
"""Tokens that the smallest page may cost: families with a fixed number of tiles enlarge it (InternVL 2: 3,330)."""


@attrs.frozen
class Prices:
    """US dollars for a million tokens.

    Attributes:
        input: of the prompt. ``cached``: of its part that the server had from an earlier request. ``output``: of the answer.
    """

    input: float
    cached: float
    output: float

    @classmethod
    def of(cls, option: object) -> Prices:
        """Prices as a config gives them: ``{input: 2.5, cached: 1.25, output: 10}``; ``cached`` is ``input`` unless given.

        Raises:
            ValueError, TypeError: an unknown or missing name, or no price.
        """
        if not isinstance(option, Mapping):
            raise TypeError(f"prices must be given as {{input: 2.5, cached: 1.25, output: 10}}, got {option!r}")
        if unknown := sorted(str(name) for name in option if name not in NAMES):
            raise ValueError(f"prices: no price is called {unknown[0]!r}; there are {', '.join(NAMES)}")
        for name in ("input", "output"):
            if name not in option:
                raise ValueError(f"prices: the price of {name} tokens is missing, in US dollars for a million")
        for name, value in option.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"prices: {name} must be US dollars for a million tokens, got {value!r}")
        return cls(float(option["input"]), float(option.get("cached", option["input"])), float(option["output"]))

    def cost(self, usage: Mapping[str, Any]) -> float | None:
        """What a server's ``usage`` comes to in US dollars; ``None`` if it does not tell both counts."""
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if prompt is None or completion is None:
            return None
        cached = min(usage.get("cached_tokens", 0), prompt)
        return float(((prompt - cached) * self.input + cached * self.cached + completion * self.output) / MILLION)

    def most(self, prompt: Prompt, new_tokens: int) -> float:
        """The most that a prompt and an answer of ``new_tokens`` can cost.

        No tokenizer makes more tokens than bytes, apart from the few of a chat template.
        """
        text = len(prompt.text.encode("utf-8", "replace")) + len(prompt.system.encode("utf-8", "replace")) + 200
        pages = sum(max(LEAST_OF_A_PAGE, math.ceil(p.width / SMALLEST_PATCH) * math.ceil(p.height / SMALLEST_PATCH)) for p in prompt.pages)
        return ((text + pages) * max(self.input, self.cached) + new_tokens * self.output) / MILLION
