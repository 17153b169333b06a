"""The words that follow the bytes in the tokenizer: the entries of the codebook's dictionary, in its order.

The base is trained on bytes alone. An adapter for pages of dictionary codes learns to write words: one for each code that it sees. Entries
of one byte are words of their own too, so that a code's bits are all there is to know of it.
"""

from __future__ import annotations

import torch

from ctxbench_codebook import symbols
from tinytrain.model import PAD, VIDEO
from tinytrain.pages import WORD_BITS

FIRST = 264
"""Id of the first word."""

SCALE = 2.5  # length of a word's row against a byte's: at 1, no sum of signs could be written with less than 0.24 nats of doubt
TABLE = "model.language_model.embed_tokens.weight"


def entries() -> tuple[bytes, ...]:
    """What the words say."""
    return symbols.entries()


def to_ids(codes: tuple[int, ...]) -> list[int]:
    """Token ids of codes of the dictionary."""
    return [FIRST + code for code in codes]


def rows(embedding: torch.Tensor) -> torch.Tensor:
    """Rows to follow an embedding of bytes, (264, hidden): the sum of twelve directions, each with the sign of a bit of the word's code.

    The directions are those in which the rows of printable bytes are the shortest: what the base writes from bytes hardly gives words any
    score, and an adapter that sees the bits of a code has only to pass them on. One more direction is common to all words.
    """
    known = [*range(32, 127), *range(PAD, VIDEO + 1)]
    used = embedding[known].double()
    directions = torch.linalg.svd(used)[2][-WORD_BITS - 1 :]
    codes = torch.arange(len(entries()))
    signs = 2.0 * (codes[:, None] >> torch.arange(WORD_BITS - 1, -1, -1) & 1) - 1
    length = SCALE * used.norm(dim=1).mean() / (WORD_BITS + 1) ** 0.5
    return (length * (directions[0] + signs.double() @ directions[1:])).to(embedding.dtype)


def with_words(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's weights with words in its embedding."""
    return {**weights, TABLE: torch.cat([weights[TABLE], rows(weights[TABLE])])}


def answer_codes(context: str, answer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(codes, places): an answer in the codes of the context's page, and which of the page's codes each is from.

    Codes that reach beyond the answer are cut. There are no places where the answer does not stand in the context exactly once.
    """
    whole, wanted = context.encode(), answer.encode()
    start = whole.find(wanted)
    if start < 0 or whole.find(wanted, start + 1) >= 0:
        return _encode(wanted), ()
    table, found, at = symbols.entries(), list[tuple[int, int]](), 0
    for place, code in enumerate(_encode(whole)):
        entry = table[code]
        inside = entry[max(0, start - at) : max(0, start + len(wanted) - at)]
        found += [(part, place) for part in ((code,) if inside == entry else _encode(inside))]
        at += len(entry)
    return tuple(code for code, _ in found), tuple(place for _, place in found)


def _encode(data: bytes) -> tuple[int, ...]:
    return tuple(symbols.encode(data.decode(), "dictionary")[0].tolist())
