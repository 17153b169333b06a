"""What a model is told, the same words in training and in evaluation."""

from __future__ import annotations


def compose(hint: str, carrier_text: str | None, question: str) -> str:
    """The text of the user's turn, which follows the page images.

    It says what the carrier is, then gives the carrier's own text if it has one, then the question.
    """
    parts = [hint, carrier_text, question]
    return "\n\n".join(part for part in parts if part)
