"""The thread in which models read: order, bound, interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ctxbench.engine.beside import AHEAD, Desk


def tell(number: int) -> Iterator[int]:
    """The work's own number."""
    yield number


def nothing() -> None:
    """Give up nothing."""


@pytest.fixture
def desk() -> Iterator[Desk[int, int]]:
    """A desk that is closed at the end."""
    made: Desk[int, int] = Desk()
    yield made
    made.close()


def test_work_is_told_of_in_the_order_in_which_it_was_handed_in(desk: Desk[int, int]) -> None:
    """One thread, one batch after the other: answers are stored in the plan's order."""
    running, order = threading.Lock(), list[int]()

    def work(number: int) -> Callable[[], int]:
        def done() -> int:
            assert running.acquire(blocking=False)  # nothing runs beside it
            order.append(number)
            running.release()
            return number

        return done

    told = [row for number in range(7) for row in desk.hand_in(work(number), tell, nothing)]
    assert [*told, *desk.settle()] == order == list(range(7))


def test_no_more_than_two_batches_are_with_the_thread(desk: Desk[int, int]) -> None:
    """Prepared pages are large: a third batch waits until the first is told of."""
    gate = threading.Event()

    def waiting(number: int) -> Callable[[], int]:
        return lambda: number if gate.wait(60) else -1

    for number in range(AHEAD):
        assert list(desk.hand_in(waiting(number), tell, nothing)) == []
    assert list(desk.done()) == []
    gate.set()
    assert list(desk.hand_in(lambda: 2, tell, nothing)) == [0]
    assert list(desk.settle()) == [1, 2]


def test_work_goes_on_while_the_caller_does_something_else(desk: Desk[int, int]) -> None:
    """Handing in returns at once; what waits begins by itself when the first is done."""
    first, second = threading.Event(), threading.Event()
    assert list(desk.hand_in(lambda: int(first.wait(60)), tell, nothing)) == []

    def then() -> int:
        second.set()
        return 5

    assert list(desk.hand_in(then, tell, nothing)) == []
    first.set()
    assert second.wait(60)
    assert list(desk.settle()) == [1, 5]


def test_an_interrupt_keeps_what_is_done_and_gives_up_the_rest(desk: Desk[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives while a batch is waited for and another is behind it: the first is asked to end, the second never begins."""
    reading, asked, begun = threading.Event(), threading.Event(), list[str]()

    def read() -> int:
        reading.set()
        assert asked.wait(60)
        raise KeyboardInterrupt

    def never() -> int:
        begun.append("begun")
        return 1

    told: list[int] = []
    for work, give_up in ((lambda: 0, nothing), (read, asked.set), (never, nothing)):
        told.extend(desk.hand_in(work, tell, give_up))
    assert reading.wait(60)
    future = desk._batches[0].future
    wait = future.exception

    def interrupted(timeout: float | None = None) -> BaseException | None:
        monkeypatch.setattr(future, "exception", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(future, "exception", interrupted)
    with pytest.raises(KeyboardInterrupt):
        told.extend(desk.settle())
    assert told == [0]
    assert asked.is_set()
    assert begun == []


def test_closing_ends_what_is_being_done(desk: Desk[int, int]) -> None:
    """A run that fails for another reason must not leave its model reading."""
    reading, asked = threading.Event(), threading.Event()

    def read() -> int:
        reading.set()
        return int(asked.wait(60))

    list(desk.hand_in(read, tell, asked.set))
    assert reading.wait(60)
    desk.close()
    assert asked.is_set()
