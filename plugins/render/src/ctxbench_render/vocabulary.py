"""The characters that a damaged page is searched for, as states of its cells.

It starts with ASCII. A page is not searched for every character of Unicode: the cells that ASCII leaves unexplained name those that fit
there, and these join.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_render.region import Floats
from ctxbench_render.repertoire import bank

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Ints = npt.NDArray[np.intp]

PENALTY = 12.0
"""How much more probable (its logarithm) than any character of the vocabulary one must make a cell in order to join."""

MOST = 60
"""Characters that join; the time of a pass grows with the square of the vocabulary."""


@attrs.frozen(eq=False)
class Vocabulary:
    """What a cell can hold: state 0 is blank, the others are characters of one cell.

    Attributes:
        characters: by state.
        inks: (states, px of a cell), 0 to 1.
        prior: (states), logarithms of their probabilities, but for a constant.
    """

    characters: tuple[str, ...]
    inks: Floats
    prior: Floats

    def lines(self, best: Ints) -> list[str]:
        """The text of each line of (rows, columns) states, without spaces at its end."""
        return ["".join(self.characters[state] for state in row).rstrip() for row in best]

    def with_counts(self, best: Ints, probability: Floats, extra: float) -> Vocabulary:
        """The same with the frequencies of a page's own characters as their prior (empirical Bayes)."""
        counts = np.bincount(best.ravel(), probability.ravel().astype(np.float64), len(self.characters)) + extra
        return attrs.evolve(self, prior=np.log(counts / counts.sum()).astype(np.float32))

    def joined_by(self, characters: list[str], inks: Floats) -> Vocabulary:
        """The same with more characters, each as probable as the least probable so far."""
        prior = np.concatenate([self.prior, np.full(len(characters), self.prior.min(), np.float32)])
        return Vocabulary((*self.characters, *characters), np.concatenate([self.inks, inks]), prior)


def ascii_only(codec: RenderCodec) -> Vocabulary:
    """Blank and printable ASCII, blank a little more probable."""
    some = bank(codec, "ascii")
    inks = np.concatenate([np.zeros((1, some.inks.shape[1]), np.float32), some.inks.astype(np.float32) / 255])
    prior = np.zeros(len(inks), np.float32)
    prior[0] = 1
    return Vocabulary((" ", *some.characters), inks, prior)


def best_of(codec: RenderCodec, words: Vocabulary, seen: Floats, metric: Floats, precision: float) -> tuple[list[str], Floats]:
    """(characters, their inks) of other alphabets that fit cells better than the vocabulary does.

    Args:
        codec: whose glyphs they are.
        words: the vocabulary so far.
        seen: (cells, px), z of :mod:`ctxbench_render.chain` with the ink of other cells taken away.
        metric: (px, px), M of that module for one cell.
        precision: one over the variance of the noise.
    """
    some = bank(codec, "letters")
    inks = np.asarray(some.inks / 255, np.float32)

    def scores(of: Floats) -> Floats:
        return np.asarray(seen @ of.T - 0.5 * ((of @ metric) * of).sum(1))

    limit = scores(words.inks).max(1)
    found = scores(inks)
    best = found.argmax(1)
    gain = (found[np.arange(len(best)), best] - limit) * precision
    counts = np.bincount(best[gain > PENALTY], minlength=len(inks))
    known = set(words.characters)
    chosen = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] and some.characters[i] not in known][:MOST]
    return [some.characters[i] for i in chosen], inks[chosen]
