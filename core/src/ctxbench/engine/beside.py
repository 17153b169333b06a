"""Lets models read elsewhere, in a thread or in replicas, while this process prepares what comes next, scores and writes.

Batches and their order are those of the plan: who reads changes when something is read, not what.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, Protocol, TypeVar

import attrs

T = TypeVar("T")
Row = TypeVar("Row")

AHEAD = 2
"""Batches that are with the thread: the one that is read, and one that is read the moment it is done. A third is being gathered."""


class Seat(Protocol):
    """Where batches are read, one or several at a time."""

    @property
    def free(self) -> bool:
        """Whether another batch should begin now."""

    def tend(self) -> None:
        """Do what has to be done now and then while batches are being read."""

    def close(self) -> None:
        """End what is being read, without a result if need be."""


@attrs.define
class ThreadSeat:
    """One thread, in which the models of this process read."""

    _thread: ThreadPoolExecutor | None = attrs.field(default=None, init=False)
    _futures: list[Future[object]] = attrs.field(factory=list, init=False)

    @property
    def free(self) -> bool:
        """The batch that is read, and one that is read next."""
        self._futures = [future for future in self._futures if not future.done()]
        return len(self._futures) < AHEAD

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Have work done after what was begun before."""
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="ctxbench-read")
        future = self._thread.submit(work)
        self._futures.append(future)  # type: ignore[arg-type]
        return future

    def tend(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)


@attrs.define(eq=False)
class _Batch(Generic[T, Row]):
    seat: Seat
    begin: Callable[[], Future[T]]
    tell: Callable[[T | Exception], Iterator[Row]]
    give_up: Callable[[], None]
    future: Future[T] | None = None

    @property
    def done(self) -> bool:
        return self.future is not None and self.future.done()


@attrs.define
class Desk(Generic[T, Row]):
    """Batches, begun in the order in which they are handed in, and told of in that order."""

    most: int = AHEAD
    _batches: deque[_Batch[T, Row]] = attrs.field(factory=deque, init=False)
    _cancelled: bool = attrs.field(default=False, init=False)

    def hand_in(
        self,
        seat: Seat,
        begin: Callable[[], Future[T]],
        tell: Callable[[T | Exception], Iterator[Row]],
        give_up: Callable[[], None],
    ) -> None:
        """Have a batch read: ``begin`` starts it, ``tell`` makes rows of its result, or of the exception that it ended with.

        ``give_up`` asks a batch that is being read to end without a result.
        """
        self._batches.append(_Batch(seat, begin, tell, give_up))
        self._begin()

    @property
    def full(self) -> bool:
        """True while a batch waits that cannot begin: no more should be gathered."""
        return any(batch.future is None for batch in self._batches)

    @property
    def busy(self) -> bool:
        """True while there is anything to be told of."""
        return bool(self._batches)

    def done(self) -> Iterator[Row]:
        """What is to be told of batches that are done, without waiting. Begins those for which there is room."""
        self._begin()
        while self._batches and self._batches[0].done:
            batch = self._batches.popleft()
            self._begin()
            yield from self._tell(batch)

    def wait(self, seconds: float) -> None:
        """Wait until a batch is done, but no longer than that."""
        futures = [batch.future for batch in self._batches if batch.future is not None]
        if not any(future.done() for future in futures[:1]):
            wait([future for future in futures if not future.done()], seconds, FIRST_COMPLETED)

    def cancel(self) -> None:
        """Begin nothing new, and ask what is being read to end."""
        self._cancelled = True
        self._batches = deque(batch for batch in self._batches if batch.future is not None)
        for batch in self._batches:
            if batch.future is not None and not batch.future.cancel() and not batch.future.done():
                batch.give_up()

    def _begin(self) -> None:
        """Begin batches, in order, as long as there is room for them, and for their results."""
        if self._batches and not self._cancelled:
            self._batches[0].seat.tend()
        begun = sum(batch.future is not None for batch in self._batches)
        for batch in list(self._batches)[begun:]:
            if self._cancelled or begun >= self.most or not batch.seat.free:
                return
            batch.future = batch.begin()
            begun += 1

    def _tell(self, batch: _Batch[T, Row]) -> Iterator[Row]:
        assert batch.future is not None
        if batch.future.cancelled():
            return
        error = batch.future.exception()
        if isinstance(error, Exception) and self._cancelled:
            return  # it was ended by us
        with contextlib.suppress(KeyboardInterrupt) if self._cancelled else contextlib.nullcontext():
            yield from batch.tell(error if isinstance(error, Exception) else batch.future.result())
