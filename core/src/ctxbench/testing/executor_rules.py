"""The rules that every executor keeps."""

from __future__ import annotations

import collections
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import attrs

from ctxbench.interfaces import Executor, Lost
from ctxbench.testing import jobs
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.rule import NotApplicable, Rule, require, shown
from ctxbench.testing.subject import Subject

_PATIENCE = 1.0


@attrs.frozen
class ExecutorGiven:
    """What the rules try an executor with: numbers of jobs and the window."""

    cases: tuple[tuple[int, int], ...] = ((0, 2), (1, 1), (20, 3), (3, 50))

    def work(self, executor: Executor) -> None:
        """A little of what an executor is for."""
        list(executor.map(jobs.square, range(3), window=2))


def every_job_is_done_exactly_once(subject: Subject, given: ExecutorGiven) -> str:
    """One result a job, in any order, for no jobs, fewer than the window and more."""
    for count, window in given.cases:
        found = list(subject.component.map(jobs.square, iter(range(count)), window=window))
        many = collections.Counter(found)
        wanted = {number * number for number in range(count)}
        require(not wanted - many.keys(), f"of {count} jobs, {len(wanted - many.keys())} gave no result (window {window})")
        extra = sum(many.values()) - count
        require(extra == 0 and many.keys() == wanted, f"{count} jobs gave {sum(many.values())} results: {shown(found)} (window {window})")
    return f"{sum(count for count, _ in given.cases)} jobs"


def the_window_is_kept(subject: Subject, given: ExecutorGiven) -> None:
    """Never more than ``window`` jobs taken and not yet yielded: results are pages, and all of them at once do not fit into memory."""
    for window in (1, 3):
        most = _most_taken(subject.component, window)
        require(most <= window, f"with a window of {window} it had taken {most} jobs whose results had not been received")


def _most_taken(executor: Executor, window: int) -> int:
    taken = received = most = 0

    def source() -> Iterator[int]:
        nonlocal taken, most
        for number in range(12):
            taken += 1
            most = max(most, taken - received)
            yield number

    for _ in executor.map(jobs.square, source(), window=window):
        received += 1
    return most


def closing_cancels(subject: Subject, given: ExecutorGiven) -> None:
    """After the iterator is closed no further job is taken or started."""
    window, count = 3, 40
    with tempfile.TemporaryDirectory() as folder:
        taken = 0

        def source() -> Iterator[tuple[str, int]]:
            nonlocal taken
            for number in range(count):
                taken += 1
                yield folder, number

        results = cast("Iterator[int]", subject.component.map(jobs.mark, source(), window=window))
        require(hasattr(results, "close"), "map must return an iterator that can be closed: a generator, as a rule")
        next(results)
        with contextlib.closing(results):  # type: ignore[type-var]
            pass
        at_close = taken
        end = time.monotonic() + _PATIENCE  # gives an executor that goes on the time to be seen
        while time.monotonic() < end and taken == at_close:
            time.sleep(0.05)
        started = len(list(Path(folder).iterdir()))
    require(taken == at_close, f"after closing it took {taken - at_close} more jobs")
    require(started <= 1 + window, f"{started} jobs ran, though the iterator was closed after the first result and the window is {window}")


def a_job_that_ends_its_process_loses_no_other(subject: Subject, given: ExecutorGiven) -> str:
    """A job that ends its process gives ``Lost`` for itself; every other job still gives its result, once."""
    here = {process for _, process in subject.component.map(jobs.process, range(2), window=2)}
    if os.getpid() in here:
        raise NotApplicable("it works in this process")
    return _loses_one(subject, jobs.end_process, "ends its process")


def an_exception_costs_one_job(subject: Subject, given: ExecutorGiven) -> str:
    """An exception that leaves the function gives ``Lost`` for its job; every other job still gives its result, once."""
    return _loses_one(subject, jobs.fail, "raises ZeroDivisionError")


def _loses_one(subject: Subject, function: Callable[[tuple[int, bool]], int], what: str) -> str:
    """Of six jobs the third is lost; returns what its ``Lost`` says."""
    todo = [(number, number == 2) for number in range(6)]
    found = list(subject.component.map(function, todo, window=2))
    ended = [result for result in found if isinstance(result, Lost)]
    done = sorted(result for result in found if not isinstance(result, Lost))
    require(done == [0, 1, 3, 4, 5], f"beside a job that {what}, the other jobs 0, 1, 3, 4 and 5 gave {done}")
    right = len(ended) == 1 and ended[0].job is todo[2]
    require(right, f"the job that {what} must give one Lost that holds the very job, got {shown(ended)}")
    good = isinstance(ended[0].type, str) and isinstance(ended[0].message, str) and ended[0].message.strip()
    require(good and "\n" not in ended[0].message, f"Lost must say what happened on one line, got {shown(ended[0])}")
    return f"{ended[0].type}: {ended[0].message}"


RULES: tuple[Rule, ...] = (
    *COMMON,
    *map(
        Rule,
        (
            every_job_is_done_exactly_once,
            the_window_is_kept,
            closing_cancels,
            an_exception_costs_one_job,
            a_job_that_ends_its_process_loses_no_other,
        ),
    ),
)
"""Every rule for executors."""
