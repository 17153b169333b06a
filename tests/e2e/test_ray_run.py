"""``ctxbench run --executor ray`` with a Ray of its own: quiet, and gone when the run is."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.faulty import Faulty, plan_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

RUN = (
    *("run", "-m", "channel", "-n", "12", "-b", "64", "-c", "faulty", "-t", "needle", "-a", "clean"),
    *("--metric", "noted", "--metric", "hit_at_1", "--batch-size", "1", "--workers", "2"),
)
"""A run of 12 trials in two worker processes."""


def folders() -> set[Path]:
    """Where Rays that were started by runs keep their files."""
    return set(Path(tempfile.gettempdir()).glob("ctxbench-ray-*"))


def test_an_interrupted_run_leaves_nothing_of_ray_and_goes_on_without_it(ctxbench, tmp_path, tmp_path_factory):
    """Both workers hang in C code. What is finished is stored, every process ends, and another executor runs the rest."""
    faulty = Faulty(tmp_path, plan_of(tmp_path_factory.mktemp("whole"), *RUN))
    before = folders()
    with faulty.start(*RUN, "--executor", "ray:object_store_mb=80", fault="hang:6") as process:
        until(lambda: len(faulty.notes("hangs")) == 2 and faulty.notes("scored"))
        started = folders() - before
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes of the run
        out, err = process.communicate(timeout=180)
        until(lambda: not faulty.processes())
    assert (process.returncode, out) == (130, "")
    assert started & folders() == set()
    done = json.loads(ctxbench(*RUN, "--format", "json", env=faulty.environment).stdout)
    stored = done["stored_before"]
    assert err == f"interrupted; {stored} trials of this run are stored; the same command goes on from here\n"
    assert 1 <= stored < 12
    assert (done["planned"], done["finished"], done["errors"]) == (12, 12 - stored, 0)


def test_what_is_wrong_with_options_is_told_before_anything_starts(ctxbench):
    """``--executor`` takes options as codecs do, and ``--workers`` is one of them."""
    done = ctxbench("run", "-m", "channel", "--executor", "ray", "--workers", "0", exit_code=2)
    assert "workers must be at least 1, got 0" in done.stderr
    done = ctxbench("run", "-m", "channel", "--executor", "ray:adress=auto", exit_code=2)
    assert "did you mean 'address'" in done.stderr
