"""Prices, and what a request costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from ctxbench import Prompt

NAMES = ("input", "cached", "output", "batch")
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
        batch: factor on all of them for what goes through the Batch API.
    """

    input: float
    cached: float
    output: float
    batch: float = 1.0

    @classmethod
    def of(cls, option: object) -> Prices:
        """Prices as a config gives them: ``{input: 2.5, cached: 1.25, output: 10, batch: 0.5}``.

        ``cached`` is ``input`` unless given, ``batch`` is 1.

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
                what = "a factor such as 0.5 for half the price" if name == "batch" else "US dollars for a million tokens"
                raise ValueError(f"prices: {name} must be {what}, got {value!r}")
        cached, batch = option.get("cached", option["input"]), option.get("batch", 1.0)
        return cls(float(option["input"]), float(cached), float(option["output"]), float(batch))

    @property
    def batched(self) -> Prices:
        """Those of what goes through the Batch API."""
        return attrs.evolve(
            self, input=self.input * self.batch, cached=self.cached * self.batch, output=self.output * self.batch, batch=1.0
        )

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
