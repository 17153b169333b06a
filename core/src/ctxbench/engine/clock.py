"""How busy models are."""

from __future__ import annotations

import attrs


@attrs.define
class Clock:
    """How much of the time models read, from the first prompt to the last answer. Instant models do not count.

    Attributes:
        places: replicas of the models, which all could read all of the time; 1 where this process reads.
    """

    began: float | None = None
    ended: float = 0.0
    busy: float = 0.0
    places: int = 1

    def add(self, start: float, end: float, seconds: float | None = None) -> None:
        """A batch was with a model from ``start`` to ``end``, and read for so many ``seconds`` of it; by default for all of them."""
        self.began = start if self.began is None else min(self.began, start)
        self.ended = max(self.ended, end)
        self.busy += end - start if seconds is None else seconds

    @property
    def idle_share(self) -> float | None:
        """Between 0 and 1, the mean over all places; ``None`` if nothing was read."""
        if self.began is None or self.ended <= self.began:
            return None
        return min(1.0, max(0.0, 1.0 - self.busy / (self.places * (self.ended - self.began))))
