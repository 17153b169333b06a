"""Batches that are read in a thread: order, bound, interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ctxbench.engine.beside import AHEAD, Desk, ThreadSeat


def tell(result: int | Exception) -> Iterator[int]:
    """The work's own number."""
    assert not isinstance(result, Exception)
    yield result


def nothing() -> None:
    """Give up nothing."""


class Office:
    """A desk with the thread that reads for it."""

    def __init__(self) -> None:
        self.desk: Desk[int, int] = Desk()
        self.seat = ThreadSeat()

    def hand_in(self, work: Callable[[], int], give_up: Callable[[], None] = nothing) -> None:
        self.desk.hand_in(self.seat, lambda: self.seat.begin(work), tell, give_up)

    def settle(self) -> list[int]:
        """What is told until nothing is left."""
        told = list(self.desk.done())
        while self.desk.busy:
            self.desk.wait(60)
            told += self.desk.done()
        return told

    def close(self) -> None:
        self.desk.cancel()
        self.seat.close()


@pytest.fixture
def office() -> Iterator[Office]:
    """A desk that is closed at the end."""
    made = Office()
    yield made
    made.close()


def test_work_is_told_of_in_the_order_in_which_it_was_handed_in(office: Office) -> None:
    """One thread, one batch after the other: answers are stored in the plan's order."""
    running, order = threading.Lock(), list[int]()

    def work(number: int) -> Callable[[], int]:
        def done() -> int:
            assert running.acquire(blocking=False)  # nothing runs beside it
            order.append(number)
            running.release()
            return number

        return done

    told = []
    for number in range(7):
        office.hand_in(work(number))
        told += office.desk.done()
    assert [*told, *office.settle()] == order == list(range(7))


def test_no_more_than_two_batches_are_with_the_thread(office: Office) -> None:
    """Prepared pages are large: a third batch waits until the first is done, and says that no more should be gathered."""
    gate, begun = threading.Event(), list[int]()

    def waiting(number: int) -> Callable[[], int]:
        return lambda: number if gate.wait(60) else -1

    for number in range(AHEAD + 1):
        assert not office.desk.full
        office.desk.hand_in(office.seat, lambda number=number: begun.append(number) or office.seat.begin(waiting(number)), tell, nothing)
    assert office.desk.full
    assert list(office.desk.done()) == []
    assert begun == list(range(AHEAD))
    gate.set()
    assert office.settle() == begun == list(range(AHEAD + 1))


def test_work_goes_on_while_the_caller_does_something_else(office: Office) -> None:
    """Handing in returns at once; what waits begins by itself when the first is done."""
    first, second = threading.Event(), threading.Event()
    office.hand_in(lambda: int(first.wait(60)))

    def then() -> int:
        second.set()
        return 5

    office.hand_in(then)
    assert list(office.desk.done()) == []
    first.set()
    assert second.wait(60)
    assert office.settle() == [1, 5]


def test_an_interrupt_keeps_what_is_done_and_gives_up_the_rest(office: Office) -> None:
    """Ctrl-C arrives while a batch is read and others are behind it: it is asked to end, and they never begin."""
    reading, asked, begun = threading.Event(), threading.Event(), list[str]()

    def read() -> int:
        reading.set()
        assert asked.wait(60)
        raise KeyboardInterrupt

    def never() -> int:
        begun.append("begun")
        return 1

    office.hand_in(lambda: 0)
    office.hand_in(read, asked.set)
    assert reading.wait(60)
    office.hand_in(never)
    office.hand_in(never)
    office.desk.cancel()
    assert office.settle() == [0]
    assert asked.is_set()
    assert begun == []


def test_closing_ends_what_is_being_done(office: Office) -> None:
    """A run that fails for another reason must not leave its model reading."""
    reading, asked = threading.Event(), threading.Event()

    def read() -> int:
        reading.set()
        return int(asked.wait(60))

    office.hand_in(read, asked.set)
    assert reading.wait(60)
    office.close()
    assert asked.is_set()
