"""A run that is stopped, by the user or by the system, keeps what had finished and goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctxbench import StoreError
from ctxbench.store import Store

RUN = ("run", "-m", "channel", "-n", "300", "-b", "64", "-c", "text", "-c", "codebook", "-t", "needle", "-a", "clean")
"""A run of 600 trials."""


def start(folder: Path) -> subprocess.Popen[str]:
    """That run, in a process group of its own."""
    command = [str(Path(sys.executable).with_name("ctxbench")), *RUN, "--workers", "1"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def stored(folder: Path) -> int:
    """Rows in the store; 0 while there is none, or while the run holds it."""
    try:
        with Store.open_read_only(folder / "ctxbench.duckdb") as store:
            return int(store.query("SELECT count(*) FROM trials").rows[0][0])
    except StoreError:
        return 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on(ctxbench, tmp_path, stop):
    """After Ctrl-C or kill -9 the store opens, holds whole rows, and the same command runs only the rest."""
    process = start(tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "ctxbench.duckdb").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(6)  # a few flushes
    if stop is signal.SIGINT:
        process.send_signal(signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    if stop is signal.SIGINT and process.returncode != 0:
        assert process.returncode == 130, err
        assert "the same command goes on from here" in err
        assert "Traceback" not in err
    before = stored(tmp_path)
    assert before > 0
    done = json.loads(ctxbench(*RUN, "--format", "json").stdout)
    assert (done["planned"], done["stored_before"], done["finished"]) == (600, before, 600 - before)
    assert done["errors"] == 0
    assert stored(tmp_path) == 600
    ctxbench("store", "verify")
