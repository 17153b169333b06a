"""The replicas of a run's models: each batch goes to the one that has the least to do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import attrs

from ctxbench.engine.clock import Clock
from ctxbench.errors import message_of
from ctxbench.replicas import Answers, Batch, Replica, ReplicaDied

AHEAD = 2
"""Batches that are with a replica: the one that it reads, and the next."""

MAX_DEATHS = 2
"""Replicas that are lost at one place, one after the other and without an answer, before the place is given up."""


@attrs.define(eq=False)
class _Ticket:
    """A batch on its way. ``future`` is what the engine waits for, whichever replica reads."""

    batch: Batch
    future: Future[Answers]
    replica: Replica | None = None
    sent: float = 0.0


@attrs.define(eq=False)
class _Place:
    """Where one replica is at a time.

    Attributes:
        lost: the last one that was lost. ``deaths``: how many were, since one has answered. ``why``: how the last one ended.
    """

    start: Callable[[], Replica]
    replica: Replica | None = None
    lost: Replica | None = None
    tickets: deque[_Ticket] = attrs.field(factory=deque)
    deaths: int = 0
    why: str = ""


class Team:
    """Places that read. A replica that is lost costs the batch that it read; what waited behind that goes to another, or to its successor.

    Args:
        keys: of the models that the replicas have.
        starts: starts a replica at each place.
        clock: told of every batch.
    """

    def __init__(self, keys: Iterable[str], starts: Sequence[Callable[[], Replica]], clock: Clock) -> None:
        self._keys = frozenset(keys)
        self._places = [_Place(start) for start in starts]
        self._clock = clock
        clock.places = max(clock.places, len(starts))
        self._lock = threading.Lock()  # futures end in threads of their replicas
        self._again: deque[_Ticket] = deque()
        self._closed = False

    def reads(self, key: str) -> bool:
        """Whether the replicas have a model."""
        return key in self._keys

    @property
    def most(self) -> int:
        """Batches that may be with the team: those that are read, those that are next, and as many that are done before an earlier one."""
        return 2 * AHEAD * len(self._places)

    @property
    def free(self) -> bool:
        """Whether a replica has room for another batch, and nothing waits that was given back."""
        self.tend()
        with self._lock:
            return not self._again and (not self._usable() or self._free_place() is not None)

    def begin(self, batch: Batch) -> Future[Answers]:
        """Have a batch read by the replica that has the least to do. In the main thread, which starts replicas."""
        future: Future[Answers] = Future()
        future.set_running_or_notify_cancel()
        self._again.append(_Ticket(batch, future))
        self.tend()
        return future

    def tend(self) -> None:
        """Hand out what has no replica yet."""
        while not self._closed:
            with self._lock:
                place = self._free_place()
                if not self._again or (place is None and self._usable()):
                    return
                ticket = self._again.popleft()
                if place is not None:
                    place.tickets.append(ticket)
            if place is None:
                why = "; ".join(dict.fromkeys(place.why for place in self._places))
                ticket.future.set_exception(ReplicaDied(f"no replica is left: {why}"))
            else:
                self._send(place, ticket)

    def close(self) -> None:
        """End all replicas. What they read is lost."""
        self._closed = True
        for place in self._places:
            if place.replica is not None:
                place.replica.close()
        with self._lock:
            while self._again:
                self._again.popleft().future.set_exception(ReplicaDied("the run has ended"))

    def _usable(self) -> list[_Place]:
        return [place for place in self._places if place.deaths < MAX_DEATHS]

    def _free_place(self) -> _Place | None:
        """The place with the least to do. One whose replica was lost gets no more until all that this one had is settled."""
        usable = [place for place in self._usable() if len(place.tickets) < AHEAD and (not place.tickets or _lives(place))]
        return min(usable, key=lambda place: len(place.tickets), default=None)

    def _send(self, place: _Place, ticket: _Ticket) -> None:
        try:
            if not _lives(place):
                if place.replica is not None:
                    place.replica.close()
                place.replica = None
                place.replica = place.start()
            assert place.replica is not None
            ticket.replica, ticket.sent = place.replica, time.perf_counter()
            inner = place.replica.submit(ticket.batch)
        except Exception as error:
            inner = Future()
            inner.set_exception(ReplicaDied(message_of(error)))
        inner.add_done_callback(lambda future: self._settle(place, ticket, future))

    def _settle(self, place: _Place, ticket: _Ticket, inner: Future[Answers]) -> None:
        """A replica has answered, or was lost. It was reading the first of its batches; the next one waited and is read elsewhere."""
        now = time.perf_counter()
        error: BaseException | None = ReplicaDied("given up") if inner.cancelled() else inner.exception()
        with self._lock:
            read = place.tickets[0] is ticket and (ticket.replica is None or ticket.replica is not place.lost)
            place.tickets.remove(ticket)
            if error is None:
                place.deaths = 0
                self._clock.add(ticket.sent, now, inner.result().seconds)
            elif read:
                place.deaths += 1
                place.lost, place.why = ticket.replica, message_of(error)
            elif not self._closed:
                self._again.append(ticket)
                return
        if error is None:
            ticket.future.set_result(inner.result())
        else:
            ticket.future.set_exception(error if isinstance(error, Exception) else ReplicaDied(message_of(error)))


def _lives(place: _Place) -> bool:
    return place.replica is not None and place.replica.alive
