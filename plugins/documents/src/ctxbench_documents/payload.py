"""Texts that cost as much as a given one and cannot be guessed: its words out of order, or random ones."""

from __future__ import annotations

import random
import re
import string

from ctxbench import stable_hash
from ctxbench.tokens import count_text

KINDS = ("natural", "shuffled", "random")

_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = rf"[{_CJK}]|[^\s{_CJK}]+"
_SIGNS = string.ascii_letters + string.digits
_LENGTHS = (2, 3, 4, 5, 6, 7, 8, 9)
LINE = 72
"""Characters of a line of random words."""


def of_kind(text: str, kind: str) -> str:
    """The text itself (``natural``), :func:`shuffled` or :func:`randomised`."""
    if kind == "shuffled":
        return shuffled(text)
    return randomised(text) if kind == "random" else text


def shuffled(text: str) -> str:
    """The same words in an order that the text decides; white space stays where it is. A Chinese, Japanese or Korean character is a word.

    It has nearly as many reference tokens, within a tenth: a word may be cut otherwise at the beginning of a line. In Chinese it has more,
    about a third in short texts, since tokens there are words of several characters.
    """
    words = re.findall(_WORD, text)
    _generator(text, "shuffled").shuffle(words)
    rest = iter(words)
    return re.sub(_WORD, lambda match: next(rest), text)


def randomised(text: str) -> str:
    """Random letters and digits, in words of 2 to 9, that the text decides: as many reference tokens, hence fewer characters."""
    wanted = count_text(text)
    rng = _generator(text, "random")
    made, width = "", 0
    while (tokens := count_text(made)) < wanted:
        # A random letter or digit is half a token or more, so so many words are never too many by far.
        for _ in range(max(1, (wanted - tokens) // 6)):
            word = "".join(rng.choices(_SIGNS, k=rng.choice(_LENGTHS)))
            gap = "" if not made else "\n" if width + 1 + len(word) > LINE else " "
            width = len(word) if gap != " " else width + 1 + len(word)
            made += gap + word
    while count_text(made.rstrip()) > wanted:
        made = made.rstrip()[:-1]
    return made.rstrip()


def _generator(text: str, kind: str) -> random.Random:
    return random.Random(stable_hash([kind, text]))
