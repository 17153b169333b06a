"""Counts a prompt's tokens from the very inputs that go into the model, three ways, and says where the ways disagree."""

from __future__ import annotations

from typing import Any

import attrs
import torch

from ctxbench import ConfigError, Prompt, TokenUsage, tokens
from ctxbench_transformers.encoding import Encoded
from ctxbench_transformers.processors import pixel_budget


@attrs.frozen
class Counter:
    """Counts for one model. ``family``: the token counter whose formula the processor should agree with, if one is known."""

    processor: Any
    family: str | None

    def usage(self, encoded: Encoded) -> TokenUsage:
        """Usage as the processor made it: image-pad tokens in ``input_ids`` are the visual tokens.

        States that a language model sees by cross attention are visual tokens too, and tokens of the prompt.
        """
        pages = encoded.page_tokens if sum(encoded.page_tokens) == encoded.visual else ()
        return TokenUsage(
            prompt=len(encoded) + encoded.beside,
            visual=encoded.visual,
            pages=pages,
            source="processor",
            resized=self._resized(encoded),
        )

    def disagreement(self, prompt: Prompt, encoded: Encoded) -> dict[str, list[int] | int] | None:
        """Every count of visual tokens, if they are not all equal: by ``input_ids``, ``placeholders``, ``image_grid_thw``, ``formula``.

        ``None`` if they agree.
        """
        visual = encoded.visual
        pages = {"placeholders": list(encoded.page_tokens), "image_grid_thw": self._by_grid(encoded), "formula": self._by_formula(prompt)}
        known = {name: counts for name, counts in pages.items() if counts is not None}
        if all(counts == known["placeholders"] for counts in known.values()) and sum(known["placeholders"]) == visual:
            return None
        return {"input_ids": visual, **known}

    def _grid(self, encoded: Encoded) -> torch.Tensor | None:
        return encoded.media.get("image_grid_thw")

    def _by_grid(self, encoded: Encoded) -> list[int] | None:
        """Patches of each image (t x h x w) over the patches that merge into one visual token."""
        grid = self._grid(encoded)
        if grid is None:
            return None
        return [int(n) // self.processor.image_processor.merge_size**2 for n in grid.prod(dim=1)]

    def _resized(self, encoded: Encoded) -> tuple[tuple[int, int], ...]:
        grid = self._grid(encoded)
        if grid is None:
            return ()
        patch = self.processor.image_processor.patch_size
        return tuple((int(w) * patch, int(h) * patch) for _, h, w in grid.tolist())

    def _by_formula(self, prompt: Prompt) -> list[int] | None:
        if self.family is None:
            return None
        try:
            return [tokens.image_tokens(*page.size, family=self.family, **self._options()).tokens for page in prompt.pages]
        except (ConfigError, ValueError):  # the plugin that knows the family is not installed, or its rule refuses the page
            return None

    def _options(self) -> dict[str, int]:
        """The family's free parameters as this processor has them."""
        budget = pixel_budget(self.processor)
        if budget is not None:
            return {"min_pixels": budget[0], "max_pixels": budget[1]}
        if self.family in ("idefics3", "smolvlm"):
            return {"longest_edge": self.processor.image_processor.size["longest_edge"]}
        return {}
