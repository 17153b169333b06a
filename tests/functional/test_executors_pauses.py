"""The local executor's pauses and its jobs of the background: how the engine keeps it going beside a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from ctxbench import Lost
from ctxbench.executors import LocalExecutor, run_jobs
from tests.functional.worker_functions import Do, run, traces


@attrs.frozen
class Behind(Do):
    """A job of the background."""

    background: bool = True


def test_none_just_now_and_nothing_yet():
    """Jobs that are not known yet do not end the iteration, and a caller who waits for a long job is given a turn now and then."""
    later: list[Do] = [Do(number=3)]
    turns = 0

    def jobs():
        yield Do(number=2)
        while later:
            yield later.pop() if turns > 3 else None

    found = []
    for result in LocalExecutor(1).map(run, jobs(), window=4, wait=0.01):
        turns += result is None
        found += [] if result is None else [result]
    assert found == [4, 9]
    assert turns > 3


def test_without_pauses_none_is_yielded_by_nobody():
    """Callers that did not ask for pauses see results alone."""
    assert list(run_jobs(LocalExecutor(1), run, [Do("nap", 3)], window=2)) == [9]
    assert not LocalExecutor(0).pauses
    assert LocalExecutor(1).pauses


def test_an_executor_that_does_not_pause_is_not_asked_to():
    """Executors of other distributions need not know the argument."""
    given: dict[str, Any] = {}

    class Plain(LocalExecutor):
        pauses = False

        def map(self, function, jobs, *, window):  # type: ignore[override]
            given["window"] = window
            return iter(())

    assert list(run_jobs(Plain(), abs, [], window=3, wait=0.1)) == []
    assert given == {"window": 3}


@pytest.mark.parametrize("workers", [2, 3])
def test_jobs_of_the_background_leave_a_worker_free(tmp_path: Path, workers: int):
    """They end only when five others have, which come later: were all workers theirs, or did a job wait behind one, these would not.

    Before that are jobs so short that their like are sent ahead to a worker that is busy.
    """

    def jobs():
        yield from (Do(number=number, folder=str(tmp_path)) for number in range(6))
        yield from (Behind("wait", number, str(tmp_path)) for number in range(6, 9))
        while not any(line in ("begin 6", "begin 7", "begin 8") for line in traces(tmp_path)):
            yield None
        yield from (Do(number=number, folder=str(tmp_path)) for number in range(10, 15))

    results = LocalExecutor(workers).map(run, jobs(), window=14, wait=0.02)
    assert sorted(result for result in results if result is not None) == [number**2 for number in (*range(9), *range(10, 15))]


def test_a_worker_without_company_does_them_last(tmp_path: Path):
    """It has no choice, but what waits is done before."""
    jobs = [Do("nap", 0, str(tmp_path)), Behind(number=1, folder=str(tmp_path)), *(Do(number=i, folder=str(tmp_path)) for i in (2, 3))]
    assert len([result for result in LocalExecutor(1).map(run, jobs, window=4, wait=0.05) if result is not None]) == 4
    assert [line for line in traces(tmp_path) if line.startswith("begin")][-1] == "begin 1"


def test_a_job_of_the_background_whose_worker_dies_is_lost_alone(tmp_path: Path):
    """It is tried once more, as every job, and costs no other."""
    jobs = [Behind("exit", 1), Behind(number=2), Do(number=3)]
    results = [result for result in LocalExecutor(2).map(run, jobs, window=3, wait=0.05) if result is not None]
    assert sorted(result for result in results if isinstance(result, int)) == [4, 9]
    assert [result.job for result in results if isinstance(result, Lost)] == jobs[:1]
