"""The parent's side of worker processes: starting one, the jobs sent to it, and how it ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import attrs

from ctxbench.errors import message_of
from ctxbench.executors.stages import SLOT_BYTES, StageSlot, State
from ctxbench.executors.worker import work
from ctxbench.interfaces import Lost
from ctxbench.interrupts import interrupts_blocked, interrupts_wait

CONTEXT = multiprocessing.get_context("spawn")
"""Not fork: the parent may hold a GPU, DuckDB's threads and locks."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@attrs.define(eq=False)
class Task:
    """A job on its way.

    Attributes:
        data: the job, pickled.
        background: it runs when no other job waits, and not in all workers at once.
        deaths: worker processes that ended while they ran it.
    """

    job: Any
    data: bytes
    background: bool = False
    deaths: int = 0


@attrs.define(eq=False)
class Worker:
    """One worker process.

    Attributes:
        index: its place in the pool, which no other living worker has.
        tasks: what it was given and has not answered, in the order in which it answers.
        answered: tasks that it has answered.
        free_since: when it got its first task while idle, or gave its last answer, by ``time.monotonic()``.
    """

    index: int
    process: SpawnProcess
    connection: Connection
    slot: StageSlot
    ready: bool = False
    tasks: deque[Task] = attrs.field(factory=deque)
    answered: int = 0
    free_since: float = 0.0

    def doing(self) -> State | None:
        """What it says of the first of its tasks, if it has begun that."""
        state = self.slot.read() if self.tasks else None
        return state if state is not None and state.job == self.answered + 1 else None

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError):
            self.process.kill()

    def exit_code(self) -> int | None:
        """Wait for the end of the process, which is near, and tell its exit code, or the negative of a signal; ``None`` without an end."""
        self.join(1)
        deadline = time.monotonic() + 1
        while self.process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.01)  # another thread is just collecting it
        return self.process.exitcode

    def join(self, seconds: float) -> None:
        """Wait for the end of the process, but no longer than that; then end it."""
        self.process.join(max(seconds, 0))
        if self.process.is_alive():
            self.kill()
            self.process.join(1)


def slots(workers: int) -> Any:
    """Shared memory for the states of so many workers."""
    return CONTEXT.RawArray("B", workers * SLOT_BYTES)


def start_worker(function: bytes, memory: Any, index: int) -> Worker:
    """Start a process that will answer jobs with the pickled ``function``.

    Raises:
        OSError: the system cannot start one, or it ended in its first moments.
    """
    slot = StageSlot(memory, index)
    slot.clear()
    process, ours = start_process(work, (memory, index), f"ctxbench-worker-{index}")
    worker = Worker(index, process, ours, slot)
    with contextlib.suppress(OSError):  # it ended already, which will be found out where every end is
        ours.send_bytes(function)
    return worker


def start_process(target: Callable[..., None], args: tuple[Any, ...], name: str, threads: int = 1) -> tuple[SpawnProcess, Connection]:
    """Start a process that runs ``target(connection, *args, parent, thread_stays)``; returns it with the other end of the connection.

    Raises:
        OSError: the system cannot start one, or it ended in its first moments.
    """
    ours, theirs = CONTEXT.Pipe()
    stays = threading.current_thread() is threading.main_thread()
    process = CONTEXT.Process(target=target, args=(theirs, *args, os.getpid(), stays), name=name)
    try:
        with interrupts_wait(), interrupts_blocked(), _threads(threads):
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started here compute with so many threads, since together they fill the cores; this process keeps its own setting."""
    added = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(count)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def end_all(workers: Sequence[Worker], *, seconds: float) -> None:
    """Ask processes to end by closing their connections, and kill those that have not ended after ``seconds``."""
    workers = list(workers)
    if seconds <= 0:
        for worker in workers:
            worker.kill()
    for worker in workers:
        worker.connection.close()
    deadline = time.monotonic() + max(seconds, 1.0)
    for worker in workers:
        worker.join(deadline - time.monotonic())


def how_it_ended(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is None:
        return "does not answer"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        number = signal.Signals(-exit_code)
    except ValueError:
        return f"was killed by signal {-exit_code}"
    words = {"SIGKILL": "perhaps out of memory"}.get(number.name) or (signal.strsignal(number) or "").lower()
    return f"was killed by {number.name}" + (f" ({words})" if words else "")


def start_failed(exit_code: int | None) -> str:
    """The error message for worker processes that do not start."""
    script = ""
    if getattr(sys.modules["__main__"], "__spec__", None) is None:
        script = "; a script that calls ctxbench.run must do so under 'if __name__ == \"__main__\":'"
    return f"a worker process died: it {how_it_ended(exit_code)} as it started{script}; what had finished is stored. Try --workers 0"


def pickled(function: Callable[[Any], Any]) -> bytes:
    """A function, pickled for the workers."""
    return pickle.dumps(function, pickle.HIGHEST_PROTOCOL)


def outcome_of(task: Task, outcome: bytes | bytearray | Lost) -> Any:
    """A worker's answer, unpickled: the function's return value, or a :class:`Lost` with the reason why there is none."""
    if isinstance(outcome, Lost):
        return outcome
    try:
        result, error = pickle.loads(outcome)
    except Exception as failure:
        return Lost(task.job, "", type(failure).__name__, message_of(failure))
    if error is None:
        return result
    name, stage, message = error
    return Lost(task.job, stage, name, message)
