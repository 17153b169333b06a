"""Ctrl-C at any moment stops as Ctrl-C, never as an error of DuckDB, and cuts no write in two."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def test_ctrl_c_while_writing(tmp_path):
    """At 60 moments or more: it arrives as KeyboardInterrupt, and an ``append`` that had begun is stored whole, with nothing left."""
    script = Path(__file__).with_name("interrupted_writes.py")
    done = subprocess.run([sys.executable, script, tmp_path / "s.duckdb"], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "whole\n")


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
