"""Work in a process of its own: its answer, its errors, its end."""

from __future__ import annotations

import os
import sys
import time

import pytest

from ctxbench import ConfigError, CtxbenchError, DecodeError
from ctxbench_cli.limits import bounded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is set where processes fork")


def failing(error: BaseException) -> bytes:
    raise error


def test_the_answer_comes_back():
    """More than a pipe holds, made elsewhere."""
    parent = os.getpid()
    assert bounded(lambda: b"x" * 1_000_000, 60) == b"x" * 1_000_000
    assert int(bounded(lambda: str(os.getpid()).encode(), 60)) != parent


@pytest.mark.parametrize("error", [DecodeError("no page: ö"), ConfigError("wrong option")])
def test_errors_keep_message_and_exit_code(error):
    """They become the command's one line."""
    with pytest.raises(CtxbenchError) as caught:
        bounded(lambda: failing(error), 60)
    assert str(caught.value) == str(error)
    assert caught.value.exit_code == error.exit_code


def test_a_loop_without_end_ends():
    """By the CPU time that it took, with what can be done about it; waiting costs none."""
    assert bounded(lambda: time.sleep(2) or b"waited", 1) == b"waited"
    with pytest.raises(DecodeError, match="not read within 1 CPU seconds; raise --max-seconds if these are pages"):
        bounded(lambda: failing(AssertionError) if any(iter(int, 1)) else b"", 1)


@pytest.mark.parametrize(("signal", "name"), [(6, "SIGABRT"), (9, "SIGKILL"), (11, "SIGSEGV")])
def test_a_crash_is_one_line(signal, name):
    """A segmentation fault of a library, or the kernel out of memory."""
    with pytest.raises(DecodeError, match=f"the decoder was ended by {name}"):
        bounded(lambda: os.kill(os.getpid(), signal) or b"", 60)


def test_out_of_memory_is_one_line():
    """Also what NumPy raises."""
    with pytest.raises(CtxbenchError, match="out of memory"):
        bounded(lambda: failing(MemoryError()), 60)


def test_an_interrupt_and_a_fault(capfd):
    """Ctrl-C is Ctrl-C; a fault of ours shows where it is and ends the command."""
    with pytest.raises(KeyboardInterrupt):
        bounded(lambda: failing(KeyboardInterrupt()), 60)
    with pytest.raises(SystemExit) as ended:
        bounded(lambda: failing(ZeroDivisionError("ours")), 60)
    assert ended.value.code == 1
    assert "ZeroDivisionError: ours" in capfd.readouterr().err
