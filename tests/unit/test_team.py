"""Replicas that read: who gets a batch, and what a replica that is lost costs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from ctxbench import Prompt
from ctxbench.engine.beside import Desk
from ctxbench.engine.clock import Clock
from ctxbench.engine.team import AHEAD, MAX_DEATHS, Team
from ctxbench.replicas import Answers, Batch, Replica, ReplicaDied


class Scripted(Replica):
    """A replica that answers and dies when it is told to."""

    def __init__(self, name: str) -> None:
        self.name, self.dead, self.closed = name, False, False
        self.given: list[tuple[Batch, Future[Answers]]] = []

    def submit(self, batch: Batch) -> Future[Answers]:
        future: Future[Answers] = Future()
        future.set_running_or_notify_cancel()
        self.given.append((batch, future))
        return future

    @property
    def alive(self) -> bool:
        return not self.dead

    def answer(self, seconds: float = 1.0) -> None:
        self.given.pop(0)[1].set_result(Answers({0: self.name}, seconds=seconds))

    def die(self) -> None:
        """As a process does: all that it was given ends, in order."""
        self.dead = True
        while self.given:
            self.given.pop(0)[1].set_exception(ReplicaDied(f"{self.name} was killed"))

    def close(self) -> None:
        self.closed = True
        self.die()


class Room:
    """Teams of scripted replicas, and everything that was ever started."""

    def __init__(self, places: int) -> None:
        self.started: list[Scripted] = []
        self.clock = Clock()
        self.team = Team(["m"], [self.place(f"r{number}") for number in range(places)], self.clock)

    def place(self, name: str) -> Callable[[], Replica]:
        def start() -> Replica:
            self.started.append(Scripted(name))
            return self.started[-1]

        return start

    def begin(self, count: int) -> list[Future[Answers]]:
        return [self.team.begin(batch(number)) for number in range(count)]


def batch(number: int) -> Batch:
    """A batch that can be told from others."""
    return Batch("m", (Prompt((), str(number)),))


def texts(replica: Scripted) -> list[str]:
    """The batches that a replica has."""
    return [given.prompts[0].text for given, _ in replica.given]


@pytest.fixture
def room() -> Room:
    """Two places."""
    return Room(2)


def test_a_batch_goes_to_the_replica_with_the_least_to_do(room: Room) -> None:
    """Two each, so that a replica has something to do at once; then the one that is done first gets the next."""
    futures = room.begin(2 * AHEAD)
    first, second = room.started
    assert (texts(first), texts(second)) == (["0", "2"], ["1", "3"])
    assert not room.team.free
    second.answer()
    assert room.team.free
    room.team.begin(batch(4))
    assert (texts(first), texts(second)) == (["0", "2"], ["3", "4"])
    assert futures[1].result().found == {0: "r1"}
    assert not futures[0].done()


def test_answers_are_told_in_the_order_of_the_plan(room: Room) -> None:
    """The second replica is faster: its answers wait for the first one's, no more than are allowed to."""
    desk: Desk[Answers, str] = Desk(room.team.most)

    def tell(number: int) -> Callable[[Answers | Exception], object]:
        return lambda answers: iter([f"{number} {answers.found[0]}"])

    for number in range(20):
        desk.hand_in(room.team, lambda number=number: room.team.begin(batch(number)), tell(number), room.team.close)
    first, second = room.started
    for _ in range(room.team.most):
        if second.given:
            second.answer()
        assert list(desk.done()) == []
    begun = sum(future is not None for future in (item.future for item in desk._batches))
    assert begun == room.team.most  # a slow replica does not let results pile up
    first.answer()
    told = list(desk.done())
    assert told[:2] == ["0 r0", "1 r1"]
    assert [int(row.split()[0]) for row in told] == list(range(len(told)))


def test_a_replica_that_is_lost_costs_the_batch_that_it_read(room: Room) -> None:
    """What waited behind it is read by another; the place gets a new replica."""
    futures = room.begin(2 * AHEAD)
    first, second = room.started
    first.die()
    with pytest.raises(ReplicaDied, match="r0 was killed"):
        futures[0].result()
    assert not futures[2].done()
    room.team.tend()
    assert [replica.name for replica in room.started] == ["r0", "r1", "r0"]
    assert first.closed
    assert texts(room.started[2]) == ["2"]
    room.started[2].answer()
    second.answer()
    assert futures[2].result().found == {0: "r0"}
    second.answer()
    assert futures[3].result().found == {0: "r1"}


def test_a_place_that_loses_every_replica_is_given_up(room: Room) -> None:
    """The other place reads the rest; when none is left, every batch says so at once instead of waiting for ever."""
    futures = room.begin(1)
    for _ in range(MAX_DEATHS):
        next(replica for replica in room.started if replica.name == "r0" and not replica.dead).die()
        futures += room.begin(1)
    live = [replica for replica in room.started if not replica.dead]
    assert [replica.name for replica in live] == ["r1"]
    for _ in range(MAX_DEATHS):
        for replica in [replica for replica in room.started if not replica.dead]:
            replica.die()
        futures += room.begin(1)
    assert room.team.free
    with pytest.raises(ReplicaDied, match="no replica is left: r0 was killed; r1 was killed"):
        room.team.begin(batch(9)).result(timeout=0)


def test_a_replica_that_answers_now_and_then_is_not_given_up(room: Room) -> None:
    """Deaths count in a row: a prompt that kills now and then is no broken device."""
    team = Team(["m"], [room.place("only")], Clock())
    for _ in range(MAX_DEATHS + 2):
        future = team.begin(batch(0))
        room.started[-1].die()
        with pytest.raises(ReplicaDied, match="only was killed"):
            future.result()
        future = team.begin(batch(1))
        room.started[-1].answer()
        assert future.result().found == {0: "only"}


def test_a_place_where_none_can_be_started(room: Room) -> None:
    """The reason is that of the error rows."""

    def fails() -> Replica:
        raise OSError("no more processes")

    team = Team(["m"], [fails], Clock())
    for _ in range(MAX_DEATHS):
        with pytest.raises(ReplicaDied, match="no more processes"):
            team.begin(batch(0)).result(timeout=0)
    with pytest.raises(ReplicaDied, match="no replica is left: no more processes"):
        team.begin(batch(0)).result(timeout=0)


def test_the_share_of_time_is_the_mean_over_replicas() -> None:
    """Two replicas, of which one reads all of the time and the other never, idle half of it."""
    clock = Clock(places=2)
    clock.add(10.0, 14.0, 4.0)
    clock.add(12.0, 18.0, 4.0)
    assert clock.idle_share == pytest.approx(0.5)
    alone = Clock()
    alone.add(0.0, 3.0)
    alone.add(9.0, 10.0)
    assert alone.idle_share == pytest.approx(0.6)
    assert Clock().idle_share is None


def test_closing_ends_all(room: Room) -> None:
    """Also what was to be read again."""
    futures = room.begin(2 * AHEAD)
    room.started[0].die()
    room.team.close()
    assert all(replica.closed for replica in room.started)
    assert all(isinstance(future.exception(timeout=0), ReplicaDied) for future in futures)
