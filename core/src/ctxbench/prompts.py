"""What a model is told, the same words in training and in evaluation."""

from __future__ import annotations

import math

LEAST_ROOM = 32
ROOM_SHARE = 0.5


def compose(hint: str, carrier_text: str | None, question: str, template: str = "") -> str:
    """The text of the user's turn, which follows the page images.

    It says what the carrier is, then gives the carrier's own text if it has one, then the question. A template with ``{hint}``,
    ``{context}`` and ``{question}`` (:class:`ctxbench.config.Template`) is filled in as it is; a carrier without text leaves nothing in
    the place of ``{context}``.
    """
    if template:
        return template.format(hint=hint, context=carrier_text or "", question=question)
    parts = [hint, carrier_text, question]
    return "\n\n".join(part for part in parts if part)


def answer_room(tokens: int) -> int:
    """New tokens for an answer of ``tokens`` reference tokens: half as many again, as pretty-printed JSON takes, or 32 more."""
    return tokens + max(LEAST_ROOM, math.ceil(ROOM_SHARE * tokens))


__all__ = ["answer_room", "compose"]
