"""The characters that a page is searched for, as states of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_render.chain import States
from ctxbench_render.region import Floats
from ctxbench_render.repertoire import Bank, bank

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Ints = npt.NDArray[np.intp]


@attrs.frozen(eq=False)
class Vocabulary:
    """States with their characters: 0 is a space, then narrow characters, then left halves of wide ones (which bear the character), then
    their right halves (which bear none). ``prior`` holds the logarithms of their probabilities."""

    states: States
    characters: tuple[str, ...]
    prior: Floats

    @property
    def is_ink(self) -> npt.NDArray[np.bool_]:
        """Which states are not blank."""
        found = np.ones(len(self.characters), np.bool_)
        found[0] = False
        return found

    def lines(self, best: Ints) -> list[str]:
        """The text of each line, without spaces at its end."""
        return ["".join(self.characters[state] for state in row).rstrip() for row in best]

    def with_counts(self, best: Ints, probability: Floats, extra: float) -> Vocabulary:
        """The same with the frequencies of a page's own characters as their prior (empirical Bayes)."""
        counts = np.bincount(best.ravel(), probability.ravel().astype(np.float64), len(self.characters)) + extra
        return attrs.evolve(self, prior=np.log(counts / counts.sum()).astype(np.float32))


def build(codec: RenderCodec, narrow: list[Bank], wide: list[Bank]) -> Vocabulary:
    """A vocabulary of these characters."""
    pitch, cell = codec.pitch, codec.cell
    thin = [np.zeros((1, pitch * cell), np.uint8), *(some.inks for some in narrow)]
    both = np.concatenate([np.zeros((0, 2 * pitch * cell), np.uint8), *(some.inks for some in wide)]).reshape(-1, pitch, 2, cell)
    halves = [np.ascontiguousarray(both[:, :, side]).reshape(-1, pitch * cell) for side in (0, 1)]
    start, count = sum(map(len, thin)), len(both)
    places = np.stack([start + np.arange(count), start + count + np.arange(count)], 1).astype(np.intp)
    inks = np.concatenate([*thin, *halves]).astype(np.float32) / 255
    characters = (" ", *(c for some in narrow for c in some.characters), *(c for some in wide for c in some.characters), *[""] * count)
    prior = np.zeros(len(inks), np.float32)
    prior[0] = 1
    return Vocabulary(States(inks, places), characters, prior)


def ascii_only(codec: RenderCodec) -> Vocabulary:
    """Printable ASCII."""
    return build(codec, [bank(codec, "ascii")], [])
