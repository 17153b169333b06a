"""The rows of words in the embedding; see :mod:`ctxbench_tiny.words`. The base is trained on bytes alone, and no training changes them."""

from __future__ import annotations

import torch

from ctxbench_codebook import symbols
from tinytrain.model import PAD, VIDEO
from tinytrain.pages import WORD_BITS

SCALE = 2.5  # length of a word's row against a byte's: at 1, no sum of signs could be written with less than 0.24 nats of doubt
TABLE = "model.language_model.embed_tokens.weight"


def entries() -> tuple[bytes, ...]:
    """What the words say."""
    return symbols.entries()


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
