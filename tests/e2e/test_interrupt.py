"""A run that is stopped, by the user or by the system, leaves no process, keeps what had finished and goes on from there."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ctxbench import StoreError
from ctxbench.store import Store
from tests.e2e.faulty import Faulty, handles_signals, plan_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes and their signals are looked up in /proc")

RUN = (
    *("run", "-m", "channel", "-n", "40", "-b", "64", "-c", "faulty", "-t", "needle", "-a", "clean"),
    *("--metric", "noted", "--metric", "hit_at_1", "--batch-size", "1", "--workers", "2"),
)
"""A run of 40 trials in two worker processes."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> str:
    return plan_of(tmp_path_factory.mktemp("whole"), *RUN)


@pytest.fixture
def faulty(tmp_path: Path, plan: str) -> Faulty:
    return Faulty(tmp_path, plan)


def stored(folder: Path) -> int:
    """Rows in the store; 0 while there is none, or while the run holds it."""
    try:
        with Store.open_read_only(folder / "ctxbench.duckdb") as store:
            return int(store.query("SELECT count(*) FROM trials").rows[0][0])
    except StoreError:
        return 0


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP, signal.SIGTERM], 129),
        ([signal.SIGKILL], -9),
    ],
    ids=lambda value: "-".join(item.name for item in value) if isinstance(value, list) else str(value),
)
def test_a_stopped_run_goes_on(faulty, ctxbench, tmp_path, stop, code):
    """20 trials are finished and both workers hang in C code. What is finished is stored, the workers end, and the rest runs later."""
    with faulty.start(*RUN, fault="hang:20") as process:
        until(lambda: len(faulty.notes("hangs")) == 2 and len(set(faulty.notes("scored"))) >= 19)
        scored = len(set(faulty.notes("scored")))
        for number in stop:
            if number is signal.SIGINT:
                os.killpg(process.pid, number)  # a terminal sends it to the workers too
            else:
                process.send_signal(number)
        out, err = process.communicate(timeout=180)
        until(lambda: not faulty.processes())
    assert (process.returncode, out) == (code, "")
    before = stored(tmp_path)
    assert before <= len(faulty.notes("encoded"))
    assert "Traceback" not in err
    if len(stop) == 1 and stop != [signal.SIGKILL]:  # a second signal may come late enough to end it at once
        assert before >= scored - 1  # one was perhaps just being scored
        assert err == f"interrupted; {before} trials of this run are stored; the same command goes on from here\n"
    done = json.loads(ctxbench(*RUN, "--format", "json", env=faulty.environment).stdout)
    assert (done["planned"], done["stored_before"], done["finished"], done["errors"]) == (40, before, 40 - before, 0)
    assert stored(tmp_path) == 40
    ctxbench("store", "verify")


MOMENTS = {
    "imports": (lambda faulty: True, 0.0),
    "more imports": (lambda faulty: True, 0.1),
    "plugins": (lambda faulty: True, 0.3),
    "store": (lambda faulty: (faulty.folder / "ctxbench.duckdb").exists(), 0.0),
    "tracker": (lambda faulty: len(faulty.processes()) > 1, 0.0),
    "worker": (lambda faulty: len(faulty.processes()) > 2, 0.0),
    "workers": (lambda faulty: len(faulty.processes()) > 3, 0.3),
    "jobs": (lambda faulty: faulty.notes("encoded"), 0.0),
    "scores": (lambda faulty: faulty.notes("scored"), 0.0),
}
"""When to stop the run, once the program has taken over the signals: a condition, and seconds after that."""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL], ids=lambda number: number.name
)
def test_no_moment_is_wrong(faulty, number):
    """No traceback, by the program or by a worker that has just started, the exit code that shells expect, and nothing left running."""
    for name, (condition, seconds) in MOMENTS.items():
        with faulty.start(*RUN, "--store", f"{name}.duckdb" if name != "store" else "ctxbench.duckdb", fault="hang:10") as process:
            until(lambda p=process, c=condition: handles_signals(p) and c(faulty))
            time.sleep(seconds)
            if number is signal.SIGKILL:
                process.kill()
            else:
                os.killpg(process.pid, number)
            _, err = process.communicate(timeout=180)
            until(lambda: not faulty.processes())
        (faulty.folder / "log").unlink(missing_ok=True)
        if number is not signal.SIGKILL:
            assert process.returncode == 128 + number, (name, err)
            assert err.startswith("interrupted"), (name, err)
            assert len(err.splitlines()) == 1, (name, err)


def test_a_model_that_ends_the_process(faulty, ctxbench):
    """Its workers end as well; the run is marked as interrupted when the store is next written, and goes on."""
    run = [*RUN[:2], "ends", *RUN[3:]]
    with faulty.start(*run, fault="model") as process:
        process.communicate(timeout=180)
        assert process.returncode == 3
        until(lambda: not faulty.processes())
    assert "finished" in ctxbench(*run, "-n", "2", env=faulty.environment).stdout
    statuses = json.loads(ctxbench("sql", "SELECT status FROM runs ORDER BY started_at", "--format", "json").stdout)
    assert [row["status"] for row in statuses] == ["interrupted", "finished"]
