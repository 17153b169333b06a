"""Records to store, and Python scripts that use a store in another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctxbench.store import Store

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # store_records; child processes get it the same way


@pytest.fixture
def store(tmp_path: Path):
    """A new store with the run ``r1``, open for writing."""
    from store_records import run_record

    with Store.open(tmp_path / "s.duckdb") as opened:
        opened.start_run(run_record())
        yield opened


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``python(code, *args)`` starts a Python process that can import ``store_records``; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        lines = f"import sys; sys.path.insert(0, {str(FOLDER)!r})\nfrom store_records import *\nfrom ctxbench import StoreError\n"
        lines += "from ctxbench.store import Store\n"
        command = [sys.executable, "-c", lines + code, *map(str, args)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
