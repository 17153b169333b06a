"""The local executor: every job is yielded exactly once, whatever its process does, and never is more than one job lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

import pytest

from ctxbench import CtxbenchError, Lost
from ctxbench.executors import LocalExecutor, run_jobs
from tests.functional.worker_functions import Do, run, traces


def outcomes(jobs: list[Do], *, workers: int = 2, window: int = 4, **limits: float) -> list[Any]:
    """What an executor yields for the jobs."""
    return list(LocalExecutor(workers).map(run, jobs, window=window, limits=limits))


def lost(results: list[Any]) -> list[Lost]:
    return [result for result in results if isinstance(result, Lost)]


def kept(results: list[Any]) -> list[Any]:
    return sorted(result for result in results if not isinstance(result, Lost))


@pytest.mark.parametrize(("workers", "window"), [(0, 1), (1, 8), (2, 1), (3, 50)])
def test_every_job_is_yielded_once(workers, window):
    """Also with jobs that are sent ahead of time: 300 are short enough for that."""
    assert kept(outcomes([Do(number=i) for i in range(300)], workers=workers, window=window)) == [i**2 for i in range(300)]


@pytest.mark.parametrize("workers", [0, 2])
def test_no_jobs(workers):
    assert outcomes([], workers=workers) == []


def test_no_more_than_the_window_is_started():
    """Jobs that were taken and not yielded; results are page images, so more of them would fill the memory."""
    taken = 0

    def jobs():
        nonlocal taken
        for i in range(40):
            taken += 1
            yield Do(number=i)

    for yielded, _ in enumerate(LocalExecutor(2).map(run, jobs(), window=3)):
        assert taken - yielded <= 3
    assert taken == 40


def test_large_jobs_and_results():
    """Larger than any pipe's buffer, in both directions, with workers that are kept busy."""
    jobs = [Do("bytes", i, stage="x" * 300_000 if i % 2 else "") for i in range(12)]
    assert sorted(outcomes(jobs, window=6)) == [bytes([i]) * 3_000_000 for i in range(12)]


def test_workers_compute_with_one_thread_and_this_process_as_before(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert set(outcomes([Do("environment", i) for i in range(4)])) == {"1"}
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("what", "workers", "message"),
    [
        ("exit", 1, "the worker process ended with exit code 5, also when it ran this job alone"),
        ("segv", 2, "the worker process was killed by SIGSEGV (segmentation fault), also when it ran this job alone"),
        ("killed", 2, "the worker process was killed by SIGKILL (perhaps out of memory), also when it ran this job alone"),
    ],
)
def test_a_worker_that_dies_costs_one_job(what, workers, message):
    """The two jobs that end their process are lost, with the stage that they were in; all others give what they give alone."""
    jobs = [Do(what if i in (20, 33) else "square", i, stage="encode") for i in range(50)]
    results = outcomes(jobs, workers=workers, window=8)
    assert sorted(lost(results), key=lambda item: item.job.number) == [Lost(jobs[i], "encode", "WorkerDied", message) for i in (20, 33)]
    assert kept(results) == [i**2 for i in range(50) if i not in (20, 33)]


def test_a_lost_job_is_the_object_that_was_given():
    """Callers know jobs by identity too."""
    jobs = [Do("exit", 1), Do("system exit", 2), Do("hang", 3, stage="encode")]
    assert {id(item.job) for item in outcomes(jobs, encode=1.0)} == {id(job) for job in jobs}


def test_a_job_whose_worker_died_once_is_not_lost(tmp_path):
    """A process that somebody else killed costs nothing."""
    jobs = [Do("die once" if i % 10 == 5 else "square", i, str(tmp_path)) for i in range(40)]
    assert kept(outcomes(jobs)) == [i**2 for i in range(40)]
    assert sorted(path.name for path in tmp_path.glob("died-*")) == ["died-15", "died-25", "died-35", "died-5"]


def test_the_second_try_is_alone(tmp_path):
    """Between the second beginning and the end of a job whose worker died, no other job runs: out of memory is then its own doing."""
    jobs = [Do("exit" if i == 6 else "nap", i, str(tmp_path)) for i in range(18)]
    outcomes(jobs, workers=3, window=9)
    log = traces(tmp_path)
    first, second = (at for at, line in enumerate(log) if line == "begin 6")
    before = Counter(log[:second])
    running = [i for i in range(18) if i != 6 and before[f"begin {i}"] > before[f"end {i}"]]
    assert first < second
    assert running == []
    assert log.count("begin 6") == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_whatever_leaves_the_function_is_the_jobs_own_error(workers):
    """A plugin's SystemExit ends neither a worker nor the program."""
    what = {3: "system exit", 4: "generator", 6: "error"}
    jobs = [Do(what.get(i, "square"), i, stage="count") for i in range(8)]
    results = outcomes(jobs, workers=workers)
    assert sorted(lost(results), key=lambda item: item.job.number) == [
        Lost(jobs[3], "count", "SystemExit", "enough"),
        Lost(jobs[4], "count", "GeneratorExit", "odd"),
        Lost(jobs[6], "count", "ValueError", "wrong number"),
    ]
    assert kept(results) == [i**2 for i in (0, 1, 2, 5, 7)]


def test_a_workers_keyboard_interrupt_is_not_the_users():
    """A component may raise it; nobody pressed a key."""
    results = outcomes([Do("keyboard", 1), Do("square", 2)])
    assert [(item.type, item.job.number) for item in lost(results)] == [("KeyboardInterrupt", 1)]
    assert kept(results) == [4]


def test_a_keyboard_interrupt_in_this_process_ends_the_iteration():
    with pytest.raises(KeyboardInterrupt):
        outcomes([Do("keyboard", 1)], workers=0)


def test_what_cannot_be_pickled_is_lost():
    """A job, a result, and a result that cannot be read back."""
    jobs = [Do("lambda", 1), Do("odd", 2), Do(what=lambda: 0, number=3), Do("square", 4)]  # type: ignore[arg-type]
    results = outcomes(jobs)
    found = {item.job.number: item for item in lost(results)}
    assert sorted(found) == [1, 2, 3]
    assert "pickle" in found[1].message
    assert found[2].type == "ValueError"
    assert kept(results) == [16]


@pytest.mark.parametrize(("what", "workers"), [("hang in C", 2), ("spin", 1), ("spin", 0), ("hang", 0)])
def test_a_stage_that_takes_too_long_is_lost_without_a_second_try(tmp_path, what, workers):
    """Also in a call that never comes back to Python; the jobs beside it and behind it are not touched."""
    folder = str(tmp_path)
    jobs = [Do(what if i == 12 else "square", i, folder, stage="encode" if i == 12 else "augment") for i in range(24)]
    results = outcomes(jobs, workers=workers, window=6, encode=1.5)
    assert lost(results) == [Lost(jobs[12], "encode", "TimeLimit", "encode took longer than 1.5 s (run.limits.encode)")]
    assert kept(results) == [i**2 for i in range(24) if i != 12]
    assert traces(tmp_path).count("begin 12") == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_limit_of_nothing_is_no_limit(workers):
    assert kept(outcomes([Do("square", 3, stage="encode")], workers=workers, encode=0)) == [9]


def test_a_function_that_workers_cannot_load_is_one_error():
    """Not an endless row of new processes."""
    with pytest.raises(CtxbenchError, match=r"a worker process cannot load what it is to run: .*no number"):
        list(LocalExecutor(2).map(BROKEN, [1, 2], window=4))


class _Broken:
    """A function that can be pickled and not unpickled."""

    def __call__(self, job: Any) -> Any:
        return job

    def __reduce__(self) -> Any:
        return (int, ("no number",))


BROKEN = _Broken()


def test_a_script_without_a_guard_is_told_so(tmp_path):
    """Its workers run the script again, and can never start."""
    script = tmp_path / "script.py"
    script.write_text("from ctxbench.executors import LocalExecutor\nprint(list(LocalExecutor(2).map(abs, [-1, -2], window=4)))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "a script that calls ctxbench.run must do so under 'if __name__ == \"__main__\":'" in done.stderr
    assert done.stdout == ""


def test_another_thread_may_use_it():
    """And the thread that began may end: Linux would take its end for the parent's."""
    results = LocalExecutor(2).map(run, [Do(number=i) for i in range(40)], window=4)
    found: list[Any] = []
    beginner = threading.Thread(target=lambda: found.extend(next(results) for _ in range(5)))
    beginner.start()
    beginner.join()
    assert sorted([*found, *results]) == [i**2 for i in range(40)]


def test_the_order_of_ends_decides_the_order_of_results(tmp_path):
    """A slow job holds nobody up: it ends only when others have."""
    assert outcomes([Do("slow", 0, str(tmp_path)), *(Do(number=i, folder=str(tmp_path)) for i in range(1, 6))])[0] != 0


def test_limits_go_only_to_executors_that_take_them():
    """Executors of other distributions need not know the argument."""
    given: dict[str, Any] = {}

    class Plain(LocalExecutor):
        def map(self, function, jobs, *, window):  # type: ignore[override]
            given["plain"] = window
            return iter(())

    class Limited(LocalExecutor):
        def map(self, function, jobs, *, window, limits=None):
            given["limited"] = (window, limits)
            return iter(())

    for executor in (Plain(), Limited()):
        assert list(run_jobs(executor, abs, [], window=3, limits={"encode": 2.0})) == []
    assert given == {"plain": 3, "limited": (3, {"encode": 2.0})}
