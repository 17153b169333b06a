"""Cuts long texts into pieces of at most so many reference tokens, at ends of lines, sentences or words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import attrs

from ctxbench.tokens import count_text

LEAST = 0.75
"""Share of the wanted tokens that a piece has at least; what is left of a text with fewer is no piece."""

FULL = 0.97
"""Share from which on a stretch is near enough to the wanted length to look for its last line or sentence."""

TAIL = 0.22
"""Share of a stretch, at its end, in which a line or a sentence must end for the cut to be there."""

_ENDS = {
    "line": re.compile(r"\r\n|\n|\r"),
    "sentence": re.compile(r"[.!?…]+[\"'’”»)\]]*(?=\s)|[。！？…]+[”’」』）]*"),
    "word": re.compile(r"\s+"),
}
_ORDERS = {"line": ("line", "sentence", "word"), "sentence": ("sentence", "line", "word")}


@attrs.frozen
class Piece:
    """Characters ``start`` to ``end`` of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The piece, without line ends before it and white space behind it."""
        return text[self.start : self.end].lstrip("\r\n").rstrip()


def pieces(text: str, most: int, cut: str) -> Iterator[Piece]:
    """Consecutive pieces of a text of :data:`LEAST` to 1 times ``most`` tokens each.

    A piece ends at the last end of a line (``cut`` "line") or sentence ("sentence") in its last :data:`TAIL`; where there is none, at one
    of the other kind, then at white space, and else between two characters. It costs about three counts of the text.
    """
    rate = 3.0  # characters a token, until it is measured
    at = 0
    while at < len(text):
        end, tokens, rate = _stretch(text, at, most, rate)
        if end < len(text):
            place = _last_end(text, at, end, cut)
            tokens = tokens if place == end else count_text(text[at:place])
            end = place
        piece = Piece(at, end)
        if tokens >= LEAST * most and piece.of(text):
            yield piece
        at = end


def head(text: str, most: int, cut: str = "sentence") -> str:
    """The beginning of a text that has at most ``most`` tokens, cut as :func:`pieces` does; empty if not a character fits."""
    if most < 1:
        return ""
    end, _, _ = _stretch(text, 0, most, 3.0)
    kept = text if end >= len(text) else text[: _last_end(text, 0, end, cut)].rstrip()
    return kept if count_text(kept) <= most else ""


def _stretch(text: str, start: int, most: int, rate: float) -> tuple[int, int, float]:
    """Where a stretch from ``start`` of at most ``most`` tokens ends that could hardly be longer, its tokens, and characters a token."""
    fits, too_far = 0, len(text) - start + 1
    tokens_of = 0
    length = max(1, min(len(text) - start, int(most * rate * (1 + FULL) / 2)))
    while True:
        tokens = count_text(text[start : start + length])
        if tokens <= most:
            fits, tokens_of = length, tokens
        else:
            too_far = length
        measured = length / max(1, tokens)
        if start + fits == len(text) or fits + 1 >= too_far or (fits and tokens_of >= FULL * most):
            return start + max(1, fits), tokens_of, max(0.1, measured)
        guess = int(most * measured * (1 + FULL) / 2)
        # Where the guess leads nowhere new, halving does.
        length = guess if fits < guess < too_far else (fits + too_far) // 2
        length = min(length, len(text) - start)


def _last_end(text: str, start: int, end: int, cut: str) -> int:
    low = end - max(1, int((end - start) * TAIL))
    for kind in _ORDERS[cut]:
        found = [match.end() for match in _ENDS[kind].finditer(text, low, end + 1)]
        found = [place for place in found if low < place <= end]
        if found:
            return found[-1]
    while end > start + 1 and (unicodedata.combining(text[end]) or text[end - 1] == "\u200d" or text[end] in "\u200d\ufe0e\ufe0f"):
        end -= 1
    return end
