"""Ctrl-C while DuckDB works.

DuckDB asks for signals in the middle of a statement. If Python's handler raises ``KeyboardInterrupt`` there, DuckDB drops it and
raises a plain ``RuntimeError`` instead, which looks like a failure of the program, and a statement that would have taken a moment
longer is lost.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

LOST = "Query interrupted"
"""What DuckDB's RuntimeError says."""


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C take effect only after this block, which is short and must not be cut in two.

    Does nothing outside the main thread, where Python handles no signals, or where SIGINT has no Python handler. Blocks may nest.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: pressed.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(signal.SIGINT, pressed[0])


@contextlib.contextmanager
def interrupts_kept() -> Iterator[None]:
    """Around work of any length that Ctrl-C may stop: the ``KeyboardInterrupt`` that DuckDB lost is raised again."""
    try:
        yield
    except RuntimeError as error:
        if LOST in str(error):
            raise KeyboardInterrupt from error
        raise
