"""The simplest way to spend fewer tokens: leave part of the context out."""

from __future__ import annotations

import bisect
from typing import Any, ClassVar, Literal

import attrs

from ctxbench import Carrier, Codec, DecodeError, option, require_text, tokens
from ctxbench.options import Number, String

GAP = "\n[...]\n"
"""Stands for what is left out between the two ends."""

_HINTS = {
    ("head", "en"): "The beginning of the context is the text below.",
    ("tail", "en"): "The end of the context is the text below.",
    ("both", "en"): "The beginning and the end of the context are the text below.",
    ("head", "zh"): "上下文的开头如下。",
    ("tail", "zh"): "上下文的结尾如下。",
    ("both", "zh"): "上下文的开头和结尾如下。",
}


@attrs.frozen
class Truncate(Codec):
    """As much of the context as 1 / ``ratio`` of its reference tokens hold, cut between characters.

    Its decoder gives back what is left, so that the channel shows what a reader can know: the codec is approximate, and its errors
    are what was left out.

    Attributes:
        ratio: reference tokens of the context over those that are kept; 1 keeps all.
        keep: ``head``, the beginning; ``tail``, the end; ``both``, half from each, with ``[...]`` between.
    """

    fidelity: ClassVar[Literal["exact", "approximate"]] = "approximate"

    ratio: float = option(Number(1, 10_000), 4.0)
    keep: str = option(String(("head", "tail", "both")), "head")

    def encode(self, text: str) -> Carrier:
        """The longest part of the text that is within the budget; one token is always within it.

        Raises:
            EncodeError: a lone surrogate.
        """
        kept = self._kept(require_text(text))
        return Carrier(text=kept, payload_bytes=len(kept.encode("utf-8")))

    def decode(self, carrier: Carrier) -> str:
        """What was kept.

        Raises:
            DecodeError: the carrier holds no text.
        """
        if carrier.text is None:
            raise DecodeError("a truncated context is text, and this carrier holds none")
        return carrier.text

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """No pages."""
        require_text(text)
        return []

    def hint(self, language: str) -> str:
        """Says which part of the context follows."""
        return _HINTS[self.keep, "zh" if language == "zh" else "en"]

    def _kept(self, text: str) -> str:
        count = tokens.count_text(text)
        budget = max(1, int(count / self.ratio))
        if count <= budget:
            return text
        # More characters have more tokens, but for a few at the cut; what is returned was counted.
        fits: Any = bisect.bisect_right(range(len(text)), budget, key=lambda length: tokens.count_text(self._cut(text, length)))
        return self._cut(text, max(0, fits - 1))

    def _cut(self, text: str, length: int) -> str:
        """``length`` characters of the text."""
        if self.keep == "head":
            return text[:length]
        if self.keep == "tail":
            return text[len(text) - length :]
        return text[: length - length // 2] + GAP + text[len(text) - length // 2 :] if length > 1 else text[:length]
