"""Which length to train on next. A source climbs to its next length once its longest so far is nearly learned."""

from __future__ import annotations

import random
from typing import Any

import attrs

from tinytrain.sources import Source


@attrs.define
class Track:
    """One source's place in the mix.

    Attributes:
        weight: share of the batches, against the other tracks' weights.
        level: index of the longest length in use.
        mean: running mean of the loss (nats a byte) at that length.
        climb: the mean below which the next length comes in.
        focus: share of the batches at the longest length; the rest are uniform over all in use, so that short ones are not forgotten.
    """

    name: str
    source: Source
    weight: float = 1.0
    level: int = 0
    mean: float = 5.0
    climb: float = 0.25
    focus: float = 0.65

    @property
    def top(self) -> int:
        """The longest length in use."""
        return self.source.lengths[self.level]

    def draw(self, r: random.Random) -> int:
        """The length of the next batch."""
        return self.top if r.random() < self.focus else r.choice(self.source.lengths[: self.level + 1])

    def learn(self, length: int, loss: float) -> bool:
        """Take in a batch's loss; true if the track climbed."""
        if length != self.top:
            return False
        self.mean += 0.1 * (loss - self.mean)
        if self.mean >= self.climb or self.level + 1 == len(self.source.lengths):
            return False
        self.level, self.mean = self.level + 1, max(1.0, self.mean)
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"level": self.level, "mean": self.mean}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; a track that has fewer lengths now stays within them."""
        self.level, self.mean = min(state["level"], len(self.source.lengths) - 1), state["mean"]
