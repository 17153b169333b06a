"""What a run records about itself: versions, git revision, platform."""

from __future__ import annotations

import datetime
import platform
import subprocess
import uuid
from typing import Any

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


def run_record(experiment: Experiment, command: str, planned: int, environment: dict[str, Any]) -> RunRecord:
    """The record of a run that begins now. ``planned``: trials that are still to run."""
    config, secrets = experiment.config, experiment.secrets
    return RunRecord(
        run_id=uuid.uuid4().hex,
        name=config.name,
        config_hash=experiment.config_hash,
        config=secrets.config,
        seed=config.seed,
        command=secrets.redact(command),
        started_at=datetime.datetime.now(datetime.UTC),
        ctxbench_version=ctxbench.__version__,
        versions=experiment.versions(),
        environment=environment,
        python=platform.python_version(),
        platform=platform.platform(),
        git_revision=git_revision(),
        planned=planned,
    )
