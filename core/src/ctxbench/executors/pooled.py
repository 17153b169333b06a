"""Running jobs in a pool of worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from ctxbench.executors.jobs import in_window
from ctxbench.executors.pool import END_SECONDS, Pool


def run_in_pool(
    function: Callable[[Any], Any],
    jobs: Iterable[Any],
    workers: int,
    window: int,
    limits: Mapping[str, float],
    wait: float | None = None,
) -> Iterator[Any]:
    """Yield the result of each job, in the order in which they finish; see :meth:`ctxbench.Executor.map`, also for ``wait``.

    Raises:
        CtxbenchError: worker processes cannot be started.
    """
    window = max(window, 1)
    pool = Pool(function, min(workers, window), limits)
    try:
        yield from in_window(jobs, pool.submit, pool.take, window, partial(pool.ready, wait))
        pool.close(END_SECONDS)
    except KeyboardInterrupt:
        pool.stop()
        yield from pool.rest()
        raise
    finally:
        pool.close(0)
