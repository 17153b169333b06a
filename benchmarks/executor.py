"""What the local executor's pool costs: ``python -m benchmarks.executor [--jobs 5000] [--large 200] [--repeat 3]``.

The same jobs by ``ctxbench.executors.LocalExecutor`` and by the standard library's ``ProcessPoolExecutor``, in turns, with two workers
and the same window: jobs that do nothing, jobs of one millisecond, and jobs that give 3 MB each. Processes are started before the
clock is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from PIL import Image

from ctxbench.executors import LocalExecutor

WORKERS = 2
WINDOW = 8
WARM = 2 * WORKERS
"""Jobs that only start the processes."""


def nothing(job: int) -> int:
    """A job that does nothing."""
    return job


def millisecond(job: int) -> int:
    """A job of one millisecond's work."""
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass
    return job


def page(job: int) -> Image.Image:
    """A job that gives an image of 3 MB."""
    return Image.new("RGB", (1000, 1000), (job % 256, 0, 0))


def slow_start(job: tuple[Callable[[int], Any], int]) -> Any:
    """The first jobs take long enough that every process gets one."""
    function, number = job
    if number < WARM:
        time.sleep(0.5)
    return function(number)


def ours(jobs: Iterable[Any]) -> Iterator[Any]:
    """The jobs' results by the local executor."""
    return LocalExecutor(WORKERS).map(slow_start, jobs, window=WINDOW)


def theirs(jobs: Iterable[Any]) -> Iterator[Any]:
    """The jobs' results by ProcessPoolExecutor, with as many jobs submitted and not finished."""
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        source, running, more = iter(jobs), set[Future[Any]](), True
        while running or more:
            while more and len(running) < WINDOW:
                job = next(source, None)
                if job is None:
                    more = False
                else:
                    running.add(pool.submit(slow_start, job))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def seconds(pool: Callable[[Iterable[Any]], Iterator[Any]], function: Callable[[int], Any], count: int) -> float:
    """Seconds for ``count`` jobs, after the processes have started."""
    start = 0.0
    done = -WARM
    for _ in pool((function, number) for number in range(count + WARM)):
        done += 1
        if done == 0:
            start = time.perf_counter()
        if done == count:
            return time.perf_counter() - start
    raise AssertionError("an executor lost jobs")


def main() -> None:
    """Print one line for each kind of job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000, help="small jobs")
    parser.add_argument("--large", type=int, default=200, help="jobs that give 3 MB each")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"{WORKERS} workers, window {WINDOW}, {os.cpu_count()} cores, median of {options.repeat} runs each, in turns")
    for function, count in ((nothing, options.jobs), (millisecond, options.jobs), (page, options.large)):
        times = [(seconds(ours, function, count), seconds(theirs, function, count)) for _ in range(options.repeat)]
        mine, reference = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{count} x {function.__name__}: {1e3 * mine / count:.3f} ms a job, ProcessPoolExecutor {1e3 * reference / count:.3f} ms,"
            f" ratio {mine / reference:.2f}"
        )


if __name__ == "__main__":
    main()
