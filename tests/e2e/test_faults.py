"""Components that end their process, or try to: each costs its own trials and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.faulty import Faulty

RUN = ("run", "-m", "channel", "-n", "30", "-b", "64", "-c", "faulty", "-c", "text", "-t", "needle", "-a", "clean", "--workers", "2")


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


@pytest.mark.parametrize(
    ("fault", "type_", "tries", "message"),
    [
        ("exit", "WorkerDied", 2, "the worker process ended with exit code 9, also when it ran this job alone"),
        ("system exit", "SystemExit", 1, "enough"),
    ],
)
def test_a_codec_that_ends_its_process(faulty, ctxbench, fault, type_, tries, message):
    """Every ninth text or so: one row with the reason each, tried twice if the process died; all other trials are right."""
    done = ctxbench(*RUN, "--format", "json", env={**faulty.environment, "FAULT": f"{fault}:9"})
    tried = Counter(faulty.notes("ends"))
    assert len(tried) > 1
    assert set(tried.values()) == {tries}
    counts = json.loads(done.stdout)
    assert (counts["planned"], counts["finished"], counts["errors"]) == (60, 60, len(tried))
    sql = "SELECT codec, error_stage, error_type, error_message, count(*) AS n FROM trials GROUP BY ALL ORDER BY ALL"
    rows = [list(row.values()) for row in json.loads(ctxbench("sql", sql, "--format", "json").stdout)]
    assert rows == [
        ["faulty", "encode", type_, message, len(tried)],
        ["faulty", None, None, None, 30 - len(tried)],
        ["text", None, None, None, 30],
    ]
