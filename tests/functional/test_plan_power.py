"""``ctxbench run --plan-power``: what is said before a run."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from ctxbench_cli.main import cli
from ctxbench_stats.planning import plan_power


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*args: str, exit_code: int = 0):
        done = CliRunner().invoke(
            cli, ["run", "-m", "mock", "-c", "text", "-t", "needle", "-a", "clean", "--set", "run.executor.workers=0", *args]
        )
        assert done.exit_code == exit_code, done.output
        return done

    return run


def test_it_is_said_for_the_planned_samples(call):
    """On stderr, so that ``--format json`` stays one document; the run goes on, also where ``-n`` is too small."""
    done = call("-n", "3", "--plan-power", "5pp")
    for line in plan_power("5pp", 3):
        assert line in done.stderr
    assert "-n 3 is too small for 5 points" in done.stderr
    assert "3 trials run" in done.stdout
    assert "5 points" in call("-n", "3", "--plan-power", "5pp", "--dry-run").stderr


def test_what_is_no_difference_is_refused_before_anything_runs(call, tmp_path):
    """One line, exit code 2, no store."""
    error = call("--plan-power", "5", exit_code=2).stderr
    assert "expected a difference" in error
    assert not list(tmp_path.glob("*.duckdb"))


def test_a_small_installation_is_told_what_is_missing(call, monkeypatch):
    """The command is there without the statistics, and says what to install."""
    monkeypatch.setitem(sys.modules, "ctxbench_stats.planning", None)
    assert "pip install ctxbench-stats" in call("--plan-power", "5pp", exit_code=1).stderr
