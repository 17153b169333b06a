"""Ctrl-C while DuckDB works.

DuckDB looks for signals now and then in the middle of a statement, but not while it waits for threads of its own. If Python's
handler raises ``KeyboardInterrupt`` where it looks, DuckDB drops that and raises a plain ``RuntimeError``, which looks like a failure
of the program. So writes, which are short, are not interrupted at all, and queries run where DuckDB meets no signal.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import duckdb

from ctxbench.interrupts import interrupts_wait

T = TypeVar("T")

__all__ = ["interrupts_kept", "interrupts_wait", "stoppable"]

LOST = "Query interrupted"
"""What DuckDB's RuntimeError says."""


@contextlib.contextmanager
def interrupts_kept() -> Iterator[None]:
    """Around work of any length that Ctrl-C may stop: the ``KeyboardInterrupt`` that DuckDB lost is raised again."""
    try:
        yield
    except RuntimeError as error:
        if LOST in str(error):
            raise KeyboardInterrupt from error
        raise


def stoppable(connection: duckdb.DuckDBPyConnection, call: Callable[[], T]) -> T:
    """What ``call()`` returns, which asks ``connection`` for something; Ctrl-C stops it at once.

    Python handles signals in the main thread only, so the call is made on another and the main one is free to hear of them.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    asked: Future[T] | None = None
    with ThreadPoolExecutor(1) as pool:
        try:
            with interrupts_wait():
                asked = pool.submit(call)
            while not wait([asked], timeout=0.2).done:
                pass  # a signal that the system gives to another thread does not end a wait; between two it is seen
            return asked.result()
        except KeyboardInterrupt:
            with interrupts_wait():
                while asked is not None and not asked.done():
                    connection.interrupt()  # until it is heard: it has no effect on a query that has not begun
                    wait([asked], timeout=0.05)
            raise
