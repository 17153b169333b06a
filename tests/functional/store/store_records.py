"""Records for the store's tests, importable by child processes as well."""

from __future__ import annotations

import datetime
from typing import Any

from ctxbench.results import PageRow, RunRecord, ScoreRow, TrialResult

STARTED = datetime.datetime(2031, 4, 1, 12, 30, 15, 250_000, tzinfo=datetime.UTC)


def run_record(**changes: Any) -> RunRecord:
    """A run named ``r1``."""
    values: dict[str, Any] = {
        "run_id": "r1",
        "name": "a test",
        "config_hash": "c" * 64,
        "config": {"samples": 2},
        "seed": 7,
        "command": "ctxbench run",
        "started_at": STARTED,
        "ctxbench_version": "0.1.0",
        "versions": {"ctxbench-core": "0.1.0"},
        "python": "3.11.7",
        "platform": "Linux",
        "git_revision": None,
        "planned": 2,
    }
    return RunRecord(**{**values, **changes})


def score_row(**changes: Any) -> ScoreRow:
    """A score of metric ``hit`` in version 1."""
    values = {"metric": "hit", "metric_version": "1", "name": "hit", "value": 1.0, "higher_is_better": True}
    return ScoreRow(**{**values, **changes})


def page_row(page: int = 0, sha256: str = "ab" * 32, **changes: Any) -> PageRow:
    """A page of 50 visual tokens."""
    values = {
        "page": page,
        "encoded_width": 140,
        "encoded_height": 280,
        "width": 150,
        "height": 290,
        "processed_width": 140,
        "processed_height": 280,
        "resize_factor": 0.9503,
        "budget_scaled": False,
        "visual_tokens": 50,
        "sha256": sha256,
    }
    return PageRow(**{**values, **changes})


def trial(number: int = 0, **changes: Any) -> TrialResult:
    """A right answer whose figures fit together: 100 reference tokens in one page of 50 visual tokens."""
    values: dict[str, Any] = {
        "trial_id": f"{number:032x}",
        "model": "channel",
        "adapter": None,
        "model_config": {},
        "model_fingerprint": "f",
        "adapter_fingerprint": "",
        "task": "needle",
        "task_config": {"variant": "single"},
        "bucket": 128,
        "language": "en",
        "sample_index": number,
        "sample_seed": 2**63 - 1 - number,
        "codec": "codebook",
        "codec_config": {"cell": 4},
        "augmentation": "clean",
        "augmentation_config": {},
        "augmentation_seed": number,
        "status": "ok",
        "outcome": "correct",
        "primary_score": "hit",
        "score": 1.0,
        "prediction": "7319",
        "reference_tokens": 100,
        "carrier_text_tokens": 0,
        "carrier_visual_tokens": 50,
        "carrier_tokens": 50,
        "formula_prompt_tokens": 80,
        "text_prompt_tokens": 120,
        "compression_ratio": 2.0,
        "prompt_ratio": 1.5,
        "n_pages": 1,
        "channel_ok": True,
        "channel_cer": 0.0,
        "scores": (score_row(),),
        "pages": (page_row(),),
    }
    return TrialResult(**{**values, **changes})


def failure(number: int = 0, **changes: Any) -> TrialResult:
    """A trial that ended in an error."""
    known = {
        "status": "error",
        "error_stage": "read",
        "error_type": "RuntimeError",
        "error_message": "no memory",
        "outcome": None,
        "score": None,
        "primary_score": None,
        "prediction": None,
        "compression_ratio": None,
        "carrier_tokens": None,
        "channel_ok": None,
        "channel_cer": None,
        "n_pages": None,
        "scores": (),
        "pages": (),
    }
    return trial(number, **{**known, **changes})
