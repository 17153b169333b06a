"""The words of the model: what they say, how answers are written in them, and their rows in the embedding.

See :mod:`ctxbench_tiny.words`. The base is trained on bytes alone, and no training changes the words' rows.
"""

from __future__ import annotations

import functools
import random
from typing import ClassVar

import attrs
import torch

from ctxbench_codebook import symbols
from ctxbench_tiny.words import CODEC, answer_codes, to_ids
from ctxbench_tiny.words import Words as Plain
from ctxbench_tiny.words import encode as plain_encode
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.training.auxiliary import Written

SYMBOL = "dictionary2"
"""The dictionary whose entries the words are: that of real texts."""
WORD_BITS = 12
"""Bits of a code of the dictionary."""
RANDOM = "tiny_words"
"""Label of the task of random words, half of whose examples begin anywhere."""
LENGTH = 2.3
"""Of a word's row. At a byte's, some 0.9, no sum of signs could be written with less than 0.24 nats of doubt."""
TABLE = "model.language_model.embed_tokens.weight"


def entries() -> tuple[bytes, ...]:
    """What the words say."""
    return symbols.entries(SYMBOL)


def encode(text: str) -> tuple[int, ...]:
    """The codes of a text."""
    return plain_encode(text.encode(), SYMBOL)


@attrs.frozen
class Codes:
    """An answer in the codes of its page.

    Attributes:
        codes: what is written.
        places: which of the page's codes each of these is; empty if that is not known.
        given: how many of them, at the beginning, need not be learned.
    """

    codes: tuple[int, ...]
    places: tuple[int, ...]
    given: int = 0


@functools.lru_cache(maxsize=1)  # the writer and the losses ask for the same record
def written(example: Example) -> Codes:
    """The answer of a record in codes.

    Half of the texts of random words begin anywhere, with one or two words given: the place to go on from must be found by what stands
    there. Without them a model learns to count places, which ends with the first row of squares.
    """
    codes, places = answer_codes(example.sample.context, example.answer, SYMBOL)
    chance = random.Random(example.id)
    if example.task != RANDOM or not places or len(codes) < 4 or chance.random() < 0.5:
        return Codes(codes, places)
    start = chance.randrange(len(codes) - 3)
    return Codes(codes[start:], places[start:], chance.choice([1, 1, 2]))


class Words(Plain):
    """Writes answers in the words, and says which of them are given."""

    version: ClassVar[int] = 1
    symbol: ClassVar[str] = SYMBOL

    def write(self, example: Example, encoder: Encoder) -> Written:
        """In the codes that are on the page, so that the answer can be copied one by one."""
        if example.codec != CODEC:
            return super().write(example, encoder)
        made = written(example)
        ids = (*to_ids(made.codes), encoder.end_of_turn)
        return Written(ids, tuple(i >= made.given for i in range(len(ids))))


@functools.cache
def directions(hidden: int) -> torch.Tensor:
    """Thirteen vectors at right angles, (13, hidden): one that all words share, and one for each bit of a code.

    Their sum is as long as a row.

    They are drawn, and known before a base is trained: it learns to leave them to the words (:class:`tinytrain.losses.Apart`).
    """
    drawn = torch.randn(hidden, WORD_BITS + 1, generator=torch.Generator().manual_seed(WORD_BITS), dtype=torch.float64)
    found: torch.Tensor = torch.linalg.qr(drawn).Q.T * (LENGTH / (WORD_BITS + 1) ** 0.5)
    return found


def rows(hidden: int) -> torch.Tensor:
    """Rows to follow an embedding of bytes, (4096, hidden): the direction of words, and with their signs those of a code's bits.

    An adapter that sees the bits of a code has only to pass them on.
    """
    shared, *bits = directions(hidden)
    codes = torch.arange(len(entries()))
    signs = 2.0 * (codes[:, None] >> torch.arange(WORD_BITS - 1, -1, -1) & 1) - 1
    made: torch.Tensor = shared + signs.double() @ torch.stack(bits)
    return made


def with_words(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's weights with words in its embedding."""
    table = weights[TABLE]
    return {**weights, TABLE: torch.cat([table, rows(table.shape[1]).to(table.dtype)])}
