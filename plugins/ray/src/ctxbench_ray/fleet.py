"""The driver's side: actors on a cluster, the jobs that they are given, and what becomes of a job whose actor or process dies.

One thread does all of it, event by event, so that actors go on while the caller does something else; nothing here needs a lock.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import attrs

from ctxbench import CtxbenchError, Lost
from ctxbench_ray.place import Arrived, NoResult, Place, Surroundings, Unusable, last_line

AHEAD_SECONDS = 0.25
"""Work of so many seconds is sent to an actor ahead of time, as the way to the driver and back costs short jobs much."""

MOST_AHEAD = 8
"""Jobs that are sent ahead at most."""

SMOOTHING = 0.1
"""Weight of the newest job in the average."""

LOOK_SECONDS = 0.2
"""Not every system ends a wait when a signal arrives, so a waiting caller looks up this often."""

END_SECONDS = 5.0
"""Time for the fleet's own thread to end."""

WAIT_SECONDS = 60.0
"""Without any worker for so long, the user is told what is waited for."""

DEATHS = 2
"""Processes that may die over a job before it is lost, as on one machine."""

MOVES = 4
"""Actors, and the machines below them, that may be lost while they have a job: as a rule this is not the job's doing."""

MAX_BARREN = 3
"""Actors that end one after the other without having done anything before the fleet gives up."""

log = logging.getLogger("ctxbench_ray")


@attrs.define(eq=False)
class Task:
    """A job on its way; it is done once ``outcome`` is there: a pickled result, or why there is none."""

    job: Any
    data: bytes
    deaths: int = 0
    moves: int = 0


@attrs.define(eq=False)
class Worker:
    """One actor.

    Attributes:
        node: id of the machine that it is on; empty until it has arrived.
        tasks: what it was given and has not answered, in that order.
        lost: it answers no more; each of its tasks still ends by an event of its own.
        free_since: when it got its first task while idle, or gave its last answer, by ``time.monotonic()``.
    """

    actor: Any
    node: str = ""
    tasks: deque[Task] = attrs.field(factory=deque)
    lost: bool = False
    fruitful: bool = False
    free_since: float = 0.0


class Fleet:
    """Up to ``size`` actors that each watch over one worker process, started as jobs come."""

    def __init__(self, ray: Any, function: bytes, size: int, cpus: float, limits: Mapping[str, float], surroundings: Surroundings) -> None:
        self._ray = ray
        self._size = size
        self._class = ray.remote(Place).options(num_cpus=cpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")
        self._arguments = [ray.put(surroundings), ray.put(function), dict(limits)]
        self._workers: list[Worker] = []
        self._waiting: deque[Task] = deque()
        self._suspects: deque[Task] = deque()  # their process or actor died: they run with nothing else on their machine
        self._quiet: str | None = None  # the machine on which a suspect runs, or will as soon as nothing else does
        self._seconds: float | None = None
        self._barren = 0
        self._arrived = False
        self._stopping = False
        self._events: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Task, bytes | Lost] | Exception] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ctxbench-ray", daemon=True)
        self._thread.start()

    # In the caller's thread

    def submit(self, job: Any) -> None:
        """Take a job."""
        try:
            task = Task(job, pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
        except Exception as error:
            self._outcomes.put((Task(job, b""), Lost(job, "", type(error).__name__, last_line(error))))
            return
        self._events.put((self._take, (task,)))

    def next(self) -> Any:
        """Wait for the next outcome: what the function returned, or :class:`ctxbench.Lost`.

        Raises:
            CtxbenchError: no job can be run any more.
        """
        told = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return _unpacked(self._outcomes.get(timeout=LOOK_SECONDS))
            except queue.Empty:
                if not self._arrived and time.monotonic() > told:
                    free = self._ray.available_resources().get("CPU", 0)
                    log.warning("waiting for Ray to start a worker; the cluster has %g CPUs free", free)
                    told = float("inf")

    def rest(self) -> Iterator[Any]:
        """Yield the results that have arrived; nothing more is begun."""
        self._stopping = True
        with contextlib.suppress(queue.Empty):
            while True:
                outcome = self._outcomes.get_nowait()
                if not isinstance(outcome, Exception):
                    yield _unpacked(outcome)

    def close(self) -> None:
        """End all actors, and with them their processes. May be called again."""
        self._stopping = True
        self._events.put(None)
        self._thread.join(END_SECONDS)  # it may be waiting for a cluster that is gone
        while self._workers:
            self._kill(self._workers.pop())

    # In the fleet's own thread

    def _run(self) -> None:
        try:
            while (event := self._events.get()) is not None:
                handle, arguments = event
                handle(*arguments)
                if not self._stopping:
                    self._deal()
        except Exception as error:
            self._outcomes.put(error if isinstance(error, CtxbenchError) else CtxbenchError(f"Ray: {last_line(error)}"))

    def _when(self, reference: Any, handle: Callable[..., None], *arguments: Any) -> None:
        """Have an event handled when what a reference stands for has come."""
        reference.future().add_done_callback(lambda future: self._events.put((handle, (*arguments, future))))

    def _take(self, task: Task) -> None:
        self._waiting.append(task)

    def _deal(self) -> None:
        """Start the actors that are missing, and give waiting jobs to free ones."""
        wanted = min(self._size, len(self._waiting) + len(self._suspects) + sum(bool(worker.tasks) for worker in self._workers))
        while sum(not worker.lost for worker in self._workers) < wanted:
            worker = Worker(self._class.remote(*self._arguments))
            self._workers.append(worker)
            self._when(worker.actor.hello.remote(), self._greet, worker)
        there = [worker for worker in self._workers if worker.node and not worker.lost]
        if self._suspects:
            self._deal_suspect(there)
        if not self._suspects and not any(self._is_suspect(worker) for worker in there):
            self._quiet = None
        open_to_all = [worker for worker in there if worker.node != self._quiet]
        for worker in open_to_all:
            if not worker.tasks and self._waiting:
                self._send(worker, self._waiting.popleft())
        ahead = 0 if self._seconds is None else min(MOST_AHEAD, int(AHEAD_SECONDS / max(self._seconds, 1e-6)))
        coming = sum(not worker.node for worker in self._workers)  # they will want something as well
        for length in range(1, ahead + 1):
            for worker in open_to_all:
                if len(worker.tasks) == length and len(self._waiting) > coming and not self._is_suspect(worker):
                    self._send(worker, self._waiting.popleft())

    def _deal_suspect(self, there: list[Worker]) -> None:
        """Empty the machine that is soonest idle, and run a suspect there."""
        nodes: dict[str, int] = {}
        for worker in there:
            nodes[worker.node] = nodes.get(worker.node, 0) + len(worker.tasks)
        if self._quiet not in nodes:
            self._quiet = min(nodes, key=lambda node: nodes[node], default=None)
        if self._quiet is not None and not nodes[self._quiet]:
            self._send(next(worker for worker in there if worker.node == self._quiet), self._suspects.popleft())

    @staticmethod
    def _is_suspect(worker: Worker) -> bool:
        return any(task.deaths or task.moves for task in worker.tasks)

    def _send(self, worker: Worker, task: Task) -> None:
        if not worker.tasks:
            worker.free_since = time.monotonic()
        worker.tasks.append(task)
        self._when(worker.actor.do.remote(task.data), self._answer, worker, task)

    def _greet(self, worker: Worker, future: Future[Arrived]) -> None:
        error = future.exception()
        if error is not None:
            self._lose(worker, error)
            return
        arrived = future.result()
        if arrived.differences:
            raise CtxbenchError(
                f"{arrived.machine} has other versions than this machine, so results would differ: {', '.join(arrived.differences)}; "
                "install the same on every machine (ray:same_versions=false runs all the same)"
            )
        worker.node, self._arrived = arrived.node, True

    def _answer(self, worker: Worker, task: Task, future: Future[Any]) -> None:
        first = worker.tasks[0] is task
        worker.tasks.remove(task)
        error = future.exception()
        if error is not None:
            self._lose(worker, error)
            self._again(task, blamed=first, error=error)
        else:
            self._count(worker)
            self._deliver(task, future.result())
        if worker.lost and not worker.tasks and worker in self._workers:
            self._workers.remove(worker)

    def _count(self, worker: Worker) -> None:
        now = time.monotonic()
        took = now - worker.free_since
        self._seconds = took if self._seconds is None else self._seconds + SMOOTHING * (took - self._seconds)
        worker.free_since, worker.fruitful, self._barren = now, True, 0

    def _deliver(self, task: Task, answer: bytes | NoResult | Unusable) -> None:
        if isinstance(answer, Unusable):
            raise CtxbenchError(f"a worker cannot run what it is given, {answer.message}")
        if isinstance(answer, NoResult) and answer.type == "WorkerDied":
            task.deaths += 1
            if task.deaths < DEATHS:
                self._suspects.append(task)
                return
            answer = attrs.evolve(answer, message=f"{answer.message}, also when it ran this job alone")
        if isinstance(answer, NoResult):
            self._outcomes.put((task, Lost(task.job, answer.stage, answer.type, answer.message)))
        else:
            self._outcomes.put((task, answer))

    def _again(self, task: Task, blamed: bool, error: BaseException) -> None:
        """A job whose actor is gone runs once more; one that was not begun, as if nothing had been."""
        if not blamed:
            (self._suspects if task.deaths or task.moves else self._waiting).appendleft(task)
            return
        task.moves += 1
        if task.moves < MOVES:
            self._suspects.append(task)
        else:
            message = f"{task.moves} Ray actors ended while they ran this job, lately with nothing beside it: {last_line(error)}"
            self._outcomes.put((task, Lost(task.job, "", "WorkerDied", message)))

    def _lose(self, worker: Worker, error: BaseException) -> None:
        """An actor answers no more, or not as it should."""
        if worker.lost:
            return
        worker.lost = True
        self._kill(worker)
        if not worker.tasks:
            self._workers.remove(worker)
        if not worker.fruitful:
            self._barren += 1
            if self._barren >= MAX_BARREN:
                raise CtxbenchError(f"{self._barren} Ray workers ended before they did anything, the last one: {last_line(error)}")

    def _kill(self, worker: Worker) -> None:
        with contextlib.suppress(Exception):  # it has ended already
            self._ray.kill(worker.actor)


def _unpacked(outcome: tuple[Task, bytes | Lost] | Exception) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    task, data = outcome
    if isinstance(data, Lost):
        return data
    try:
        return pickle.loads(data)
    except Exception as error:
        return Lost(task.job, "", type(error).__name__, last_line(error))
