"""How many requests are under way at once: more while the server keeps up, half as many when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import attrs

FIRST = 4
"""Requests at once at the beginning."""


@attrs.define
class Turn:
    """One request under way. ``period``: how often the limit had been halved when it began."""

    pace: Pace
    period: int

    def answered(self) -> None:
        """The server kept up."""
        self.pace.faster()

    def refused(self) -> None:
        """The server had too much to do. Of the requests that were under way together, the first such answer counts."""
        if self.period == self.pace.period:
            self.pace.slower()


@attrs.define
class Pace:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989), with TCP's slow start before the first decrease (RFC 5681).

    Attributes:
        most: requests at once that are never exceeded.
        limit: requests at once for now. ``period``: how often it was halved.
        active: requests under way; ``peak``: the most that there were.
    """

    most: int
    limit: float = attrs.field(init=False)
    period: int = attrs.field(default=0, init=False)
    active: int = attrs.field(default=0, init=False)
    peak: int = attrs.field(default=0, init=False)
    _resumes: float = attrs.field(default=0.0, init=False)
    _changed: asyncio.Condition = attrs.field(factory=asyncio.Condition, init=False)

    def __attrs_post_init__(self) -> None:
        self.limit = float(min(FIRST, self.most))

    def faster(self) -> None:
        """One more request at once for each answer, until the limit was halved for the first time; then one more for each round."""
        self.limit = min(float(self.most), self.limit + (1 / self.limit if self.period else 1))

    def slower(self) -> None:
        """Half as many requests at once, but one."""
        self.limit = max(1.0, self.limit / 2)
        self.period += 1

    def hold(self, seconds: float) -> None:
        """Let no request begin for so long: a server that asks to wait means everybody."""
        self._resumes = max(self._resumes, time.monotonic() + seconds)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a place, and hold it."""
        async with self._changed:
            while True:
                held = self._resumes - time.monotonic()
                if held > 0:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), held)
                elif self.active >= int(self.limit):
                    await self._changed.wait()
                else:
                    break
            self.active += 1
            self.peak = max(self.peak, self.active)
        try:
            yield Turn(self, self.period)
        finally:
            async with self._changed:
                self.active -= 1
                self._changed.notify_all()
