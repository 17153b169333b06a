"""What a run records about itself: versions, git revision, platform."""

from __future__ import annotations

import datetime
import platform
import subprocess
import uuid

import ctxbench
from ctxbench.plan import Experiment
from ctxbench.results import RunRecord


def git_revision() -> str | None:
    """The commit of the working directory's repository, with ``-dirty`` if tracked files differ from it; ``None`` outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def run_record(experiment: Experiment, command: str, planned: int) -> RunRecord:
    """The record of a run that begins now."""
    config = experiment.config
    return RunRecord(
        run_id=uuid.uuid4().hex,
        name=config.name,
        config_hash=config.hash,
        config=config.plain(),
        seed=config.seed,
        command=command,
        started_at=datetime.datetime.now(datetime.UTC),
        ctxbench_version=ctxbench.__version__,
        versions=experiment.versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        git_revision=git_revision(),
        planned=planned,
    )
