"""Lets models read in a thread of their own, while this process prepares what comes next, scores and writes.

Batches and their order are those of the plan: the thread changes when something is read, not what.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")
Row = TypeVar("Row")

AHEAD = 2
"""Batches that are with the thread: the one that is read, and one that is read the moment it is done. A third is being gathered."""


@attrs.frozen(eq=False)
class _Batch(Generic[T, Row]):
    future: Future[T]
    tell: Callable[[T], Iterator[Row]]
    give_up: Callable[[], None]


@attrs.define
class Desk(Generic[T, Row]):
    """Work for one thread, done in the order in which it is handed in, and told of in that order."""

    _thread: ThreadPoolExecutor | None = attrs.field(default=None, init=False)
    _batches: deque[_Batch[T, Row]] = attrs.field(factory=deque, init=False)
    _cancelled: bool = attrs.field(default=False, init=False)

    def hand_in(self, work: Callable[[], T], tell: Callable[[T], Iterator[Row]], give_up: Callable[[], None]) -> Iterator[Row]:
        """Have ``work`` done; yields what is to be told of work that is done. Waits while :data:`AHEAD` batches are with the thread.

        ``give_up`` asks work that is being done to end without a result.
        """
        yield from self.settle(AHEAD - 1)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ctxbench-read")
        self._batches.append(_Batch(self._thread.submit(work), tell, give_up))

    def done(self) -> Iterator[Row]:
        """What is to be told of work that is done, without waiting."""
        while self._batches and self._batches[0].future.done():
            yield from self._tell(self._batches.popleft())

    def settle(self, keep: int = 0) -> Iterator[Row]:
        """Wait until at most ``keep`` batches are left. After an interrupt, what is done is told of, and the rest given up."""
        while len(self._batches) > keep:
            batch = self._batches[0]
            try:
                batch.future.exception()  # waits
            except CancelledError:
                pass
            except KeyboardInterrupt:
                self.cancel()
                yield from self.settle()
                raise
            yield from self._tell(self._batches.popleft())

    def cancel(self) -> None:
        """Begin nothing new, and ask what is being done to end."""
        self._cancelled = True
        for batch in self._batches:
            if not batch.future.cancel() and not batch.future.done():
                batch.give_up()

    def close(self) -> None:
        """End the thread. What it is doing is given up."""
        self.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=True)

    def _tell(self, batch: _Batch[T, Row]) -> Iterator[Row]:
        if batch.future.cancelled():
            return
        try:
            yield from batch.tell(batch.future.result())
        except KeyboardInterrupt:
            if not self._cancelled:
                raise
