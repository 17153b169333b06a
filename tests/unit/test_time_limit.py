"""The time limit in this process."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from ctxbench.errors import CtxbenchError
from ctxbench.time_limit import TimeLimit, time_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm clock on this system")


def forever() -> None:
    """As stubborn as components get: catches everything that it may."""
    while True:
        with contextlib.suppress(Exception):
            time.sleep(600)


def test_what_takes_too_long_is_stopped():
    with pytest.raises(TimeLimit, match="read took longer than it may") as caught, time_limit(0.2, "read took longer than it may"):
        forever()
    assert isinstance(caught.value, CtxbenchError)


def test_a_bare_except_is_met_again():
    """The alarm rings until somebody listens."""
    swallowed: list[BaseException] = []

    def deaf() -> None:
        while True:
            try:
                time.sleep(600)
            except BaseException as error:
                if swallowed:
                    raise
                swallowed.append(error)

    with pytest.raises(TimeLimit), time_limit(0.1, "x"):
        deaf()
    assert len(swallowed) == 1


@pytest.mark.parametrize("seconds", [None, 0, 600])
def test_the_alarm_and_its_handler_are_as_before(seconds):
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(seconds, "x"):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_errors_inside_are_not_changed():
    with pytest.raises(LookupError), time_limit(600, "x"):
        raise LookupError
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize(("outer", "inner"), [(0.8, 0.1), (0.2, 0.5)])
def test_limits_within_limits(outer, inner):
    """The inner one ends its own block, whether or not the outer's time has passed by then; the outer one still comes."""
    ends = []

    def both() -> None:
        with pytest.raises(TimeLimit, match="inner"), time_limit(inner, "inner"):
            forever()
        ends.append("inner")
        forever()

    with pytest.raises(TimeLimit, match="outer"), time_limit(outer, "outer"):
        both()
    assert ends == ["inner"]


def test_another_thread_has_no_alarm():
    """Python handles signals in the main thread: nothing happens, and nothing breaks."""
    done = []

    def work() -> None:
        with time_limit(0.05, "x"):
            time.sleep(0.2)
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
