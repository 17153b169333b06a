"""Ctrl-C at any moment stops as Ctrl-C, never as an error of DuckDB, and cuts no write in two."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator

import pytest
from store_records import trial

from ctxbench.store.interrupts import interrupts_wait

LONG = "SELECT count(*) FROM range(1_000_000_000_000) t(i) WHERE i % 7 = 3"


@contextlib.contextmanager
def ctrl_c(after: float) -> Iterator[None]:
    """SIGINT to this process ``after`` seconds; the block must last until then."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_ctrl_c_while_writing(store):
    """At 60 moments or more: it arrives as KeyboardInterrupt, and an ``append`` that had begun is stored whole, with nothing left."""
    draw = random.Random(0)
    begun = 0

    def write() -> None:
        nonlocal begun
        while True:
            batch = [trial(begun * 5 + i) for i in range(5)]
            with interrupts_wait():  # so that what this test counts is what the store was given
                begun += 1
                store.append("r1", batch)
            store.stored([batch[0].trial_id])

    moments = 0
    while moments < 60 or begun <= 60:  # a slow machine begins few writes between two of them
        moments += 1
        with pytest.raises(KeyboardInterrupt), ctrl_c(draw.uniform(0.001, 0.1)):
            write()
    sql = "SELECT count(*), (SELECT count(*) FROM scores), (SELECT count(*) FROM pages) FROM trials"
    assert store.query(sql).rows == [(begun * 5,) * 3]


@pytest.mark.parametrize("ask", ["query", "arrow", "df"])
def test_ctrl_c_while_asking(store, ask):
    """A long query stops at once, and the store answers the next one."""
    with pytest.raises(KeyboardInterrupt), ctrl_c(0.3):
        getattr(store, ask)(LONG)
    assert store.query("SELECT 1 AS one").rows == [(1,)]


def test_waiting_nests_and_gives_the_handler_back():
    """The interrupt comes after the outermost block, and the handler is as it was."""
    before = signal.getsignal(signal.SIGINT)
    reached = []

    def work() -> None:
        with interrupts_wait():
            with interrupts_wait():
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is before


def test_waiting_outside_the_main_thread_is_harmless():
    """Python handles signals in the main thread only."""
    done = []

    def work() -> None:
        with interrupts_wait():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
