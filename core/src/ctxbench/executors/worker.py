"""The code of a worker process: runs jobs one after the other, and exits when its parent process does."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from ctxbench.errors import message_of
from ctxbench.executors.messages import send
from ctxbench.executors.stages import StageSlot, reporting
from ctxbench.interrupts import SIGNALS

READY = b"ready"
PR_SET_PDEATHSIG = 1  # prctl(2)


def work(connection: Connection, memory: Any, index: int, parent: int, thread_stays: bool) -> None:
    """Answer jobs until the other end of ``connection`` is closed.

    First comes the pickled function, answered by :data:`READY` or by what is wrong with it. Then every message is a pickled job,
    answered by the pickle of ``(result, None)``, or of ``(None, (exception's name, stage, message))`` if anything at all left the
    function.

    Args:
        memory: shared memory with a slot for each worker; ``index`` is this worker's.
        parent: process id of the process that started this one.
        thread_stays: the thread that started this process stays as long as the pool.
    """
    end_with_parent(parent, thread_stays)
    leave_signals_to_parent()
    slot = StageSlot(memory, index)
    try:
        function = _function(connection)
        if function is None:
            return
        with reporting(slot.report):
            number = 0
            while True:
                data = connection.recv_bytes()
                number += 1
                slot.begin(number)
                send(connection, _answer(function, data, slot))
    except (EOFError, OSError):
        return  # the parent has closed the pool, or has gone


def _function(connection: Connection) -> Callable[[Any], Any] | None:
    data = connection.recv_bytes()
    try:
        function: Callable[[Any], Any] = pickle.loads(data)
    except BaseException as error:
        connection.send_bytes(f"{type(error).__name__}: {message_of(error)}".encode("utf-8", "replace"))
        return None
    connection.send_bytes(READY)
    return function


def _answer(function: Callable[[Any], Any], data: bytes, slot: StageSlot) -> bytes:
    try:
        answer = pickle.dumps((function(pickle.loads(data)), None), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        answer = pickle.dumps((None, (type(error).__name__, slot.stage, message_of(error))))
    slot.report("")  # handing over the answer is nobody's stage: it may have to wait for the parent
    return answer


def leave_signals_to_parent() -> None:
    """The parent decides what an interrupt means.

    They were blocked when this process was started. Programs that a component starts ignore Ctrl-C as well, but not SIGTERM.
    """
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_with_parent(parent: int, thread_stays: bool) -> None:
    """End this process as soon as the process that started it has ended, in whatever way that was.

    Linux sends SIGKILL, which ends a call in C code too. It does so at the end of the *thread* that started this process, so it is
    asked for only if that thread stays. A thread of our own waits for the parent's end as well, for all other systems.
    """
    if sys.platform == "linux" and thread_stays:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)
    started_by = multiprocessing.parent_process()
    if started_by is not None:
        threading.Thread(target=_end_after, args=(started_by.sentinel,), name="ctxbench-parent", daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
