"""Helpers for calling an executor, whichever plugin it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ctxbench.interfaces import Executor

T = TypeVar("T")


def run_jobs(
    executor: Executor,
    function: Callable[[Any], Any],
    jobs: Iterable[Any],
    *,
    window: int,
    limits: Mapping[str, float] | None = None,
    wait: float | None = None,
) -> Iterator[Any]:
    """``executor.map(...)``, with the time limits (seconds for each stage) if the executor takes any; see :meth:`ctxbench.Executor.map`.

    ``wait`` goes only to an executor that :attr:`~ctxbench.Executor.pauses`.
    """
    more: dict[str, Any] = {"limits": limits} if limits and takes_limits(executor) else {}
    if wait is not None and executor.pauses:
        more["wait"] = wait
    run: Callable[..., Iterator[Any]] = executor.map
    return run(function, jobs, window=window, **more)


def takes_limits(executor: Executor) -> bool:
    """True if the executor can stop a job whose stage takes too long."""
    parameters = inspect.signature(executor.map).parameters.values()
    return any(parameter.name == "limits" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def after_interrupt(results: Iterator[T], interrupt: KeyboardInterrupt) -> Iterator[T]:
    """Yield the results that an executor had ready when the caller was interrupted, and end its iterator.

    ``interrupt`` may have come out of the iterator itself, which then has nothing more to give, or have met the caller between two
    results. An iterator that is no generator is left alone, and its remaining results are lost.
    """
    throw = getattr(results, "throw", None)
    if throw is None:
        return
    try:
        result = throw(interrupt)
        while True:
            yield result
            result = next(results)
    except StopIteration:
        return
    except KeyboardInterrupt as again:
        if again is not interrupt:
            raise


def in_window(
    jobs: Iterable[Any],
    submit: Callable[[Any], object],
    take: Callable[[], Any],
    window: int,
    ready: Callable[[], bool] = lambda: True,
) -> Iterator[Any]:
    """The loop of an executor that runs jobs elsewhere: hands them out, and yields what comes of them.

    Args:
        jobs: where an executor :attr:`~ctxbench.Executor.pauses`, with ``None`` among them for "none just now".
        submit: takes a job.
        take: waits for the next outcome.
        window: jobs that are handed out and have no outcome yet, at most.
        ready: whether ``take`` would give something soon; ``None`` is yielded where it says no.
    """
    source = iter(jobs)
    exhausted = False
    unfinished = 0
    while True:
        while not exhausted and unfinished < window:
            try:
                job = next(source)
            except StopIteration:
                exhausted = True
            else:
                if job is None:
                    break
                submit(job)
                unfinished += 1
        if not unfinished and exhausted:
            return
        if not unfinished or not ready():
            yield None
            continue
        outcome = take()
        unfinished -= 1
        yield outcome
