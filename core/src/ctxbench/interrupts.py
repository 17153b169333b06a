"""Signals that ask this program to end, kept away from blocks that must not be cut in two, and from processes that are started."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, ``kill`` and a closed terminal, as far as this system has them."""


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let the signals of :data:`SIGNALS` take effect only after this block, which is short and must not be cut in two.

    Does nothing outside the main thread, where Python handles no signals, nor for a signal that has no Python handler. Blocks may nest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    arrived: list[tuple[int, FrameType | None]] = []
    for number in handlers:
        signal.signal(number, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in arrived[:1]:  # pressed several times during one block, it means no more
            handlers[signal.Signals(number)](number, frame)


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """A process that is started in this block is never interrupted, unless it asks to be: Ctrl-C reaches all processes of a terminal."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it later would unblock the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = ["SIGNALS", "interrupts_blocked", "interrupts_wait"]
