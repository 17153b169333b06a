"""Time limits on work in this process, by the operating system's alarm signal."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

from ctxbench.errors import CtxbenchError

AGAIN = 1.0
"""Seconds after which the alarm rings again, in case a bare ``except:`` swallowed it."""


class TimeLimit(CtxbenchError):  # noqa: N818 - the name is what the row of such a trial says
    """Something took longer than its time limit."""


class TimeUp(BaseException):
    """Raised inside the work when its time is up; :func:`time_limit` turns it into a :class:`TimeLimit`.

    No ``Exception``, since components catch those. Whoever catches ``BaseException`` inside a limited block lets it pass.
    """


@contextlib.contextmanager
def time_limit(seconds: float | None, message: str) -> Iterator[None]:
    """Stop the block after ``seconds`` of wall time; ``None`` or 0 is no limit.

    Best effort: it works in the main thread of systems that have ``SIGALRM`` (not on Windows) and does nothing elsewhere, and a call
    that stays in C code is stopped only when it comes back to Python.

    Raises:
        TimeLimit: the block took longer; it says ``message``.
    """
    with alarm_clock() as set_alarm:
        set_alarm(seconds, message)
        yield


@contextlib.contextmanager
def alarm_clock() -> Iterator[Callable[[float | None, str], None]]:
    """Give ``set_alarm(seconds, message)``, which may be called again and again; each call replaces the limit before.

    An alarm that was set outside this block goes on after it. Best effort, as :func:`time_limit`.

    Raises:
        TimeLimit: the block, since the last call, took longer than that call allowed.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield lambda seconds, message: None
        return
    said = [""]
    armed = [True]

    def ring(*_: object) -> None:
        if armed[0]:
            raise TimeUp

    def set_alarm(seconds: float | None, message: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        said[0] = message
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)

    start = time.monotonic()
    outer_handler = signal.signal(signal.SIGALRM, ring)
    outer_seconds, outer_interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        try:
            yield set_alarm
        finally:
            armed[0] = False
    except TimeUp:
        raise TimeLimit(said[0]) from None
    finally:
        armed[0] = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if outer_handler is None else outer_handler)
        if outer_seconds:
            left = outer_seconds - (time.monotonic() - start)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), outer_interval)
