"""The command as a user runs it: the installed console script, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ctxbench = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = Path(sys.executable).with_name("ctxbench")


@pytest.fixture
def ctxbench(tmp_path: Path) -> Ctxbench:
    """``ctxbench("run", "-n", "1", exit_code=0)`` runs the command in ``tmp_path`` and checks its exit code."""

    def call(*args: object, exit_code: int | None = 0, stdin: str | bytes = "", env: dict[str, str] | None = None):
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [str(SCRIPT), *map(str, args)],
            capture_output=True,
            cwd=tmp_path,
            input=data,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            timeout=3600,  # a command that hangs must end some day; a slow machine is no failure
            check=False,
        )
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        assert "Traceback" not in err, err
        if exit_code is not None:
            assert done.returncode == exit_code, f"exit code {done.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(args, done.returncode, out, err)

    return call


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]
