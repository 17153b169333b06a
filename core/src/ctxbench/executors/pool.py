"""A pool of worker processes. A worker that dies or hangs costs one job at most; the pool replaces it and goes on.

The caller's thread takes jobs, starts processes and unpickles answers. A thread of the pool receives answers, hands out what waits
and watches over ends and time limits, so that workers go on while the caller does something else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from typing import Any

from ctxbench.errors import CtxbenchError, message_of
from ctxbench.executors.messages import receive
from ctxbench.executors.processes import Task, Worker, end_all, how_it_ended, outcome_of, pickled, slots, start_failed, start_worker
from ctxbench.executors.stages import too_long
from ctxbench.executors.worker import READY
from ctxbench.interfaces import Lost
from ctxbench.interrupts import interrupts_wait

AHEAD_BYTES = 4096
"""A pickled job up to this size fits into a pipe's buffer on every system, so sending it to a busy worker does not block."""

AHEAD_SECONDS = 0.25
"""Jobs that take less on average are sent ahead of time: the way to the parent and back would cost a worker more than a few percent."""

SMOOTHING = 0.1
"""Weight of the newest job in the average."""

LOOK_SECONDS = 0.2
"""Not every system ends a wait when a signal arrives, so a waiting caller looks up this often."""

END_SECONDS = 5.0
"""Time for workers with nothing left to do to end by themselves."""

MAX_BARREN = 3
"""Workers that end one after the other without having begun a job before the pool gives up."""


class Pool:
    """Worker processes on this machine. :meth:`submit` and :meth:`take` belong into one thread, the main thread if possible.

    Args:
        function: what a job is given to, and its result pickled.
        size: processes at most; they are started as jobs come.
        limits: seconds for each stage that has a limit.
        tries: how often a job is run whose process dies, before it is lost; from the second time on with no other job beside it.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, limits: Mapping[str, float], tries: int = 2) -> None:
        self._function = pickled(function)
        self._size = size
        self._limits = dict(limits)
        self._tries = tries
        self._memory = slots(size)
        self._lock = threading.Lock()  # guards what follows, up to the outcomes
        self._workers: list[Worker] = []
        self._waiting: deque[Task] = deque()
        self._background: deque[Task] = deque()
        self._suspects: deque[Task] = deque()  # a worker died over them: they run with nothing beside them
        self._seconds: float | None = None
        self._barren = 0
        self._ever_ready = False
        self._outcomes: deque[tuple[Task, bytes | bytearray | Lost]] = deque()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()  # an outcome, a worker to start, or the pool's own failure
        self._failure: BaseException | None = None
        self._stopping = False
        self._closed = False
        self._heard, self._wake = multiprocessing.Pipe(duplex=False)
        self._watch = threading.Thread(target=self._run, name="ctxbench-pool", daemon=True)
        self._watch.start()
        self._at_exit = Finalize(self, end_all, args=(self._workers,), kwargs={"seconds": 0}, exitpriority=100)

    # In the caller's thread

    def submit(self, job: Any) -> None:
        """Take a job."""
        try:
            task = Task(job, pickle.dumps(job, pickle.HIGHEST_PROTOCOL), bool(getattr(job, "background", False)))
        except Exception as error:
            self._outcomes.append((Task(job, b""), Lost(job, "", type(error).__name__, message_of(error))))
            self._news.put(None)
            return
        with interrupts_wait():
            with self._lock:
                (self._background if task.background else self._waiting).append(task)
                self._deal()
            self._start_workers()

    def ready(self, seconds: float | None) -> bool:
        """Wait until :meth:`take` would return at once, for so many seconds at most; with ``None`` do not wait, and say yes."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is not None and not self._outcomes and self._failure is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._start_workers()
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=min(left, LOOK_SECONDS))
        return True

    def take(self) -> Any:
        """Wait for the next outcome: what the function returned, or :class:`Lost`.

        Raises:
            CtxbenchError: the pool has failed.
        """
        while not self._outcomes:
            if self._failure is not None:
                raise self._failure
            self._start_workers()
            try:
                self._news.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
        outcome = outcome_of(*self._outcomes[0])
        self._outcomes.popleft()
        return outcome

    def stop(self) -> None:
        """Receive what can be received now, and end all workers."""
        if self._closed:
            return
        self._stopping = True
        self._poke()
        self._watch.join(1)
        self._kill()

    def rest(self) -> Iterator[Any]:
        """Yield the results that have arrived."""
        while self._outcomes:
            yield outcome_of(*self._outcomes.popleft())

    def close(self, seconds: float) -> None:
        """End the workers, those that have not ended by themselves after ``seconds`` by force. May be called again."""
        if self._closed:
            return
        self._stopping = True
        if seconds <= 0:
            self._kill()
        self._poke()
        self._watch.join(END_SECONDS)
        end_all(self._workers, seconds=seconds)
        self._at_exit.cancel()
        self._closed = True
        self._wake.close()
        self._heard.close()

    def _kill(self) -> None:
        for worker in list(self._workers):
            worker.kill()

    def _poke(self) -> None:
        with contextlib.suppress(OSError):  # closed
            self._wake.send_bytes(b".")

    def _start_workers(self) -> None:
        """Start the processes that are missing. In the caller's thread, which knows whether anybody else reads the environment now."""
        while not self._stopping:
            with self._lock:
                queued = len(self._waiting) + len(self._background) + len(self._suspects)
                wanted = min(self._size, queued + sum(bool(worker.tasks) for worker in self._workers))
                if len(self._workers) >= wanted or self._failure is not None:
                    return
                taken = {worker.index for worker in self._workers}
            with interrupts_wait():
                index = min(set(range(self._size)) - taken)
                try:
                    worker = start_worker(self._function, self._memory, index)
                except OSError as error:
                    raise CtxbenchError(f"cannot start a worker process: {message_of(error)}; what had finished is stored") from error
                with self._lock:
                    self._workers.append(worker)
                self._poke()

    # In either thread, with the lock held

    def _deal(self) -> None:
        """Send waiting jobs to free workers. A job over which a worker died runs alone; a job of the background leaves a worker free."""
        if self._stopping:
            return
        ready = [worker for worker in self._workers if worker.ready]
        if self._suspects:
            if ready and not any(worker.tasks for worker in ready):
                self._send(ready[0], self._suspects.popleft())
            return
        if any(worker.tasks and worker.tasks[0].deaths for worker in ready):
            return
        for worker in ready:
            if not worker.tasks and self._waiting:
                self._send(worker, self._waiting.popleft())
            elif not worker.tasks and self._background and self._in_background() < max(1, self._size - 1):
                self._send(worker, self._background.popleft())
        if self._seconds is None or self._seconds > AHEAD_SECONDS:
            return
        coming = len(self._workers) - len(ready)  # they will want something as well
        for worker in ready:
            if len(worker.tasks) != 1 or worker.tasks[0].background:
                continue
            if len(self._waiting) > coming and len(self._waiting[0].data) <= AHEAD_BYTES:
                self._send(worker, self._waiting.popleft())

    def _in_background(self) -> int:
        """Workers that run a job of the background."""
        return sum(bool(worker.tasks) and worker.tasks[0].background for worker in self._workers)

    def _send(self, worker: Worker, task: Task) -> None:
        if not worker.tasks:
            worker.free_since = time.monotonic()
        worker.tasks.append(task)
        with contextlib.suppress(OSError):  # it has ended, which is found out where every end is
            worker.connection.send_bytes(task.data)

    # In the pool's own thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._step(None if not self._limits else self._patience())
            for worker in list(self._workers):
                self._receive_all(worker)
        except BaseException as error:
            self._fail(error)

    def _step(self, patience: float | None) -> None:
        """Wait until something happens, and deal with it."""
        with self._lock:
            by_connection: dict[Any, Worker] = {worker.connection: worker for worker in self._workers}
            by_sentinel: dict[Any, Worker] = {worker.process.sentinel: worker for worker in self._workers}
        ended: list[Worker] = []
        for thing in wait([self._heard, *by_connection, *by_sentinel], patience):
            if thing is self._heard:
                self._heard.recv_bytes()
            elif thing in by_sentinel:
                ended.append(by_sentinel[thing])
            elif not self._receive(by_connection[thing]):
                ended.append(by_connection[thing])
        for worker in dict.fromkeys(ended):
            self._bury(worker, None)
        if not self._stopping:
            self._enforce()

    def _receive(self, worker: Worker) -> bool:
        """Receive one message; false if there will be none any more."""
        try:
            data = receive(worker.connection)
        except (EOFError, OSError):
            return False
        if not worker.ready:
            if data != READY:
                raise CtxbenchError(f"a worker process cannot load what it is to run: {data.decode('utf-8', 'replace')}")
            with self._lock:
                worker.ready = self._ever_ready = True
                self._deal()
            return True
        now = time.monotonic()
        with self._lock:
            task = worker.tasks.popleft()
            worker.answered += 1
            self._barren = 0
            took = now - worker.free_since
            if not task.background:
                self._seconds = took if self._seconds is None else self._seconds + SMOOTHING * (took - self._seconds)
            worker.free_since = now
            self._deal()
        self._tell(task, data)
        return True

    def _receive_all(self, worker: Worker) -> None:
        """Receive all messages that have arrived."""
        with contextlib.suppress(OSError):
            while worker.connection.poll(0) and self._receive(worker):
                pass

    def _bury(self, worker: Worker, lost: Lost | None) -> None:
        """A process has ended: its answers are still read, the job that it ran is tried again or lost, its other jobs wait again."""
        self._receive_all(worker)
        exit_code = worker.exit_code()
        doing = worker.doing()
        with self._lock:
            self._workers.remove(worker)
            tasks = list(worker.tasks)
            culprit = tasks.pop(0) if tasks and doing is not None else None
            for task in reversed(tasks):
                (self._suspects if task.deaths else self._background if task.background else self._waiting).appendleft(task)
            if culprit is None:
                self._barren += 1
            elif lost is None:
                culprit.deaths += 1
                if culprit.deaths < self._tries:
                    self._suspects.append(culprit)
        worker.connection.close()
        if culprit is None:
            if not self._stopping and (not self._ever_ready or self._barren >= MAX_BARREN):
                raise CtxbenchError(start_failed(exit_code))
        elif lost is not None:
            self._tell(culprit, lost)
        elif culprit.deaths >= self._tries:
            stage = doing.stage if doing is not None else ""
            message = f"the worker process {how_it_ended(exit_code)}" + (", also when it ran this job alone" if self._tries > 1 else "")
            self._tell(culprit, Lost(culprit.job, stage, "WorkerDied", message))
        with self._lock:
            self._deal()
        self._news.put(None)  # the caller starts a worker in its place

    def _patience(self) -> float:
        """Seconds until a stage can have exceeded its limit: of those that run now, or one that begins this moment."""
        now = time.monotonic()
        with self._lock:
            states = [worker.doing() for worker in self._workers]
        left = [self._limits[state.stage] - (now - state.since) for state in states if state is not None and state.stage in self._limits]
        return max(0.0, min([*left, *self._limits.values()]))

    def _enforce(self) -> None:
        """End the workers whose stage takes too long."""
        if not self._limits:
            return
        now = time.monotonic()
        with self._lock:
            states = [(worker, worker.doing()) for worker in self._workers]
        for worker, state in states:
            if state is None or now - state.since < self._limits.get(state.stage, float("inf")):
                continue
            if worker.connection.poll(0):
                continue  # it has answered: the state is as old as that
            worker.kill()
            self._bury(worker, Lost(worker.tasks[0].job, state.stage, "TimeLimit", too_long(state.stage, self._limits)))

    def _tell(self, task: Task, outcome: bytes | bytearray | Lost) -> None:
        self._outcomes.append((task, outcome))
        self._news.put(None)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._news.put(None)
