"""Running jobs in a pool of worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

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
    source = iter(jobs)
    exhausted = False
    unfinished = 0
    try:
        while True:
            while not exhausted and unfinished < window:
                try:
                    job = next(source)
                except StopIteration:
                    exhausted = True
                else:
                    if job is None:
                        break
                    pool.submit(job)
                    unfinished += 1
            if not unfinished and exhausted:
                break
            if not unfinished or not pool.ready(wait):
                yield None
                continue
            outcome = pool.take()
            unfinished -= 1
            yield outcome
        pool.close(END_SECONDS)
    except KeyboardInterrupt:
        pool.stop()
        yield from pool.rest()
        raise
    finally:
        pool.close(0)
