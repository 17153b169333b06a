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
from tinytrain.model import PAD, VIDEO

SYMBOL = "dictionary2"
"""The dictionary whose entries the words are: that of real texts."""
WORD_BITS = 12
"""Bits of a code of the dictionary."""
RANDOM = "tiny_words"
"""Label of the task of random words, half of whose examples begin anywhere."""
SCALE = 2.5  # length of a word's row against a byte's: at 1, no sum of signs could be written with less than 0.24 nats of doubt
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
    made: torch.Tensor = (length * (directions[0] + signs.double() @ directions[1:])).to(embedding.dtype)
    return made


def with_words(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's weights with words in its embedding."""
    return {**weights, TABLE: torch.cat([weights[TABLE], rows(weights[TABLE])])}
