"""How the local executor ends: closed, interrupted, with its parent, or while a worker has nothing to do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxbench import CtxbenchError
from ctxbench.executors import LocalExecutor, after_interrupt
from ctxbench.executors.processes import how_it_ended
from tests.functional.worker_functions import Do, run, traces

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def take_all(results: Iterator[Any], found: list[Any], after_each: Callable[[], None] | None) -> None:
    """Append every result, and after an interrupt those that were ready; the interrupt is raised then."""
    try:
        for result in results:
            found.append(result)
            if after_each is not None:
                after_each()
    except KeyboardInterrupt as error:
        found.extend(after_interrupt(results, error))
        raise


def children() -> set[int]:
    """Worker processes of this one. Others, as the standard library's resource tracker, are left out."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit():
                continue
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (entry / "cmdline").read_bytes()
            if int(parent) == os.getpid() and state != "Z" and b"spawn_main" in command:
                found.add(int(entry.name))
    return found


@linux
def test_closing_ends_the_workers():
    """Also those that would run for ten more minutes, and at once: nothing is left when close returns."""
    results = LocalExecutor(2).map(run, [Do("square", 1), *(Do("hang", i) for i in range(5))], window=4)
    assert next(results) == 1
    assert children()
    results.close()
    assert children() == set()


@linux
def test_an_iterator_that_is_left_alone_leaves_nothing():
    """A caller that fails half way does not close anything by hand."""

    def caller():
        for _ in LocalExecutor(1).map(run, [Do("square", 1), Do("hang", 2)], window=2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        caller()
    until(lambda: not children())


@linux
def test_the_jobs_own_error_is_the_callers():
    """Jobs are made while the run goes on; what fails there is the caller's own fault and leaves no process behind."""

    def jobs():
        yield Do("square", 1)
        raise LookupError("no more")

    with pytest.raises(LookupError):
        list(LocalExecutor(1).map(run, jobs(), window=4))
    assert children() == set()


@linux
@pytest.mark.parametrize("where", ["caller", "wait"])
def test_an_interrupt_keeps_what_has_finished(tmp_path, where):
    """Three jobs are done and the fourth hangs: the three are yielded, then the interrupt comes, and the worker is gone."""
    jobs = [*(Do("square", i, str(tmp_path)) for i in (2, 3, 4)), Do("hang", 5, str(tmp_path)), Do("square", 6, str(tmp_path))]
    results = LocalExecutor(1).map(run, jobs, window=5)
    found: list[int] = []

    def interrupt() -> None:
        until(lambda: "begin 5" in traces(tmp_path))  # the answers before that have been sent
        os.kill(os.getpid(), signal.SIGINT)

    if where == "wait":
        threading.Thread(target=interrupt).start()

    with pytest.raises(KeyboardInterrupt):
        take_all(results, found, interrupt if where == "caller" else None)
    assert found == [4, 9, 16]
    assert children() == set()
    assert "begin 6" not in traces(tmp_path)


def test_after_an_interrupt_other_iterators_are_left_alone():
    """An executor need not be a generator; what it has is lost, nothing else."""
    results = iter([1, 2, 3])
    next(results)
    assert list(after_interrupt(results, KeyboardInterrupt())) == []
    assert next(results) == 2


def test_a_second_interrupt_is_not_swallowed():
    """The caller stops storing results when the user presses the key again."""

    def twice():
        try:
            yield 1
        except KeyboardInterrupt:
            yield 2
            raise KeyboardInterrupt from None

    results = twice()
    next(results)
    with pytest.raises(KeyboardInterrupt):
        list(after_interrupt(results, KeyboardInterrupt()))


@linux
def test_a_worker_that_is_killed_while_idle_costs_nothing(tmp_path):
    """Its end is nobody's fault; a new process takes its place."""
    results = LocalExecutor(1).map(run, (job for job in jobs_with_a_pause(tmp_path)), window=1)
    assert list(results) == [4, 9]


def jobs_with_a_pause(folder: Path):
    yield Do("square", 2)
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in children())
    yield Do("square", 3)


@linux
def test_workers_that_never_begin_a_job_end_the_pool(monkeypatch):
    """Something outside kills every process at once: one clear error instead of an endless row of processes."""
    monkeypatch.setattr("ctxbench.executors.processes.work", os._exit)
    with pytest.raises(CtxbenchError, match="a worker process died: it ended with exit code"):
        list(LocalExecutor(2).map(run, [Do(number=1)], window=4))


def test_ends_in_words():
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-9) == "was killed by SIGKILL (perhaps out of memory)"
    assert how_it_ended(-6) == "was killed by SIGABRT (aborted)"
    assert how_it_ended(-99) == "was killed by signal 99"
    assert how_it_ended(None) == "does not answer"


PARENT = """
import sys, time
from pathlib import Path
from ctxbench.executors import LocalExecutor
from tests.functional.worker_functions import Do, run, traces
if __name__ == "__main__":
    jobs = [Do("square", 1), *(Do(sys.argv[2], i, sys.argv[1]) for i in range(2, 20))]
    for _ in LocalExecutor(2).map(run, jobs, window=6):
        while len(traces(Path(sys.argv[1]))) < 2:
            time.sleep(0.02)  # until both workers are at it
        if sys.argv[3] == "exit":
            import os
            os._exit(3)  # as a model's library may
        if sys.argv[3] == "end":
            sys.exit("enough")  # the iterator is not closed: it is still referred to
"""


@linux
@pytest.mark.parametrize(
    ("what", "end"),
    [("hang", "kill"), ("hang in C", "kill"), ("spin", "term"), ("hang in C", "exit"), ("hang", "end")],
)
def test_workers_end_with_their_parent(tmp_path, what, end):
    """However it ends, and whatever they do: sleeping, computing, or in a call that lets no other code of Python run."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    mark = f"CTXBENCH_TEST={tmp_path}"
    environment = {**os.environ, "CTXBENCH_TEST": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, str(script), str(tmp_path), what, end]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        if end in ("kill", "term"):
            until(lambda: len(traces(tmp_path)) >= 2)  # both workers are at it
            parent.send_signal(signal.SIGKILL if end == "kill" else signal.SIGTERM)
        parent.wait(120)
    until(lambda: not marked(mark), 60)


def marked(mark: str) -> set[int]:
    """Living processes with this in their environment, whoever their parent is now."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.add(int(entry.name))
    return found
