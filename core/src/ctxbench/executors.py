"""The local executor: this process, or a pool of worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import attrs

from ctxbench.errors import CtxbenchError
from ctxbench.interfaces import Executor

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def _check_workers(_: object, attribute: attrs.Attribute[int | None], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"workers must be 0 (no worker process), a count, or null for one a core, got {value!r}")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means


@attrs.frozen
class LocalExecutor(Executor):
    """Worker processes on this machine.

    Attributes:
        workers: processes; 0 works in this process, ``None`` uses one for each core.
    """

    workers: int | None = attrs.field(default=None, validator=_check_workers)

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any], *, window: int) -> Iterator[Any]:
        """See :meth:`ctxbench.Executor.map`.

        Raises:
            CtxbenchError: a worker process died (out of memory, as a rule).
        """
        workers = (os.cpu_count() or 1) if self.workers is None else self.workers
        if workers == 0:
            yield from (function(job) for job in jobs)
            return
        with _pool(workers) as pool:
            try:
                yield from _windowed(pool, function, iter(jobs), max(window, workers))
            except BrokenProcessPool as error:
                raise CtxbenchError(_died()) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _died() -> str:
    if not hasattr(sys.modules["__main__"], "__spec__") or sys.modules["__main__"].__spec__ is None:
        script = "; a script that calls ctxbench.run must do so under 'if __name__ == \"__main__\":'"
    else:
        script = ""
    return f"a worker process died, perhaps out of memory{script}; what had finished is stored. Try --workers 1, or 0 to see the cause"


def _pool(workers: int) -> ProcessPoolExecutor:
    """A pool whose workers compute with one thread each, since they already fill the cores, while this process keeps its own setting."""
    added = [name for name in _ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        # Not fork: the parent may hold a GPU, DuckDB's threads and locks.
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
        pool.submit(int)  # the first job starts every process, with the environment as it is now
    finally:
        for name in added:
            del os.environ[name]
    return pool


def _windowed(pool: ProcessPoolExecutor, function: Callable[[Any], Any], jobs: Iterator[Any], window: int) -> Iterator[Any]:
    running: set[Future[Any]] = set()
    exhausted = False
    while running or not exhausted:
        while not exhausted and len(running) < window:
            try:
                running.add(pool.submit(function, next(jobs)))
            except StopIteration:
                exhausted = True
        if running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
