"""Answers in the words that follow the bytes in the tokenizer of ``tiny``: the entries of a dictionary of the codebook, in its order.

The tokenizer never makes them of a text. An adapter for pages of dictionary codes writes them: one for each code that it sees. Entries of
one byte are words of their own too, so that a code's bits are all there is to know of it.
"""

from __future__ import annotations

from typing import ClassVar

from ctxbench_codebook import symbols
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.training.auxiliary import AnswerWriter, Written

SYMBOL = "dictionary"
"""The dictionary whose entries are the words of the weights that ship."""
FIRST = 264
"""Id of the first word."""
CODEC = "codebook"
"""Label of the codec whose answers are written in words."""


class Words(AnswerWriter):
    """In words where a page of :data:`CODEC` carries the context, else as the tokenizer does."""

    version: ClassVar[int] = 1
    symbol: ClassVar[str] = SYMBOL

    def write(self, example: Example, encoder: Encoder) -> Written:
        """In the codes that are on the page, so that the answer can be copied one by one."""
        if example.codec != CODEC:
            return Written(tuple(encoder.answer_ids(example.answer)))
        codes, _ = answer_codes(example.sample.context, example.answer, self.symbol)
        return Written((*to_ids(codes), encoder.end_of_turn))


def to_ids(codes: tuple[int, ...]) -> list[int]:
    """Token ids of codes of the dictionary."""
    return [FIRST + code for code in codes]


def answer_codes(context: str, answer: str, symbol: str = SYMBOL) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(codes, places): an answer in the codes of the context's page, and which of the page's codes each is from.

    Codes that reach beyond the answer are cut. There are no places where the answer does not stand in the context exactly once.
    """
    whole, wanted = context.encode(), answer.encode()
    start = whole.find(wanted)
    if start < 0 or whole.find(wanted, start + 1) >= 0:
        return encode(wanted, symbol), ()
    table, found, at = symbols.entries(symbol), list[tuple[int, int]](), 0
    for place, code in enumerate(encode(whole, symbol)):
        entry = table[code]
        inside = entry[max(0, start - at) : max(0, start + len(wanted) - at)]
        found += [(part, place) for part in ((code,) if inside == entry else encode(inside, symbol))]
        at += len(entry)
    return tuple(code for code, _ in found), tuple(place for _, place in found)


def encode(data: bytes, symbol: str = SYMBOL) -> tuple[int, ...]:
    """The codes of a text."""
    return tuple(symbols.encode(data.decode(), symbol)[0].tolist())
