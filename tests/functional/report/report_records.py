"""Records and stores to report on."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from ctxbench.images import page_sha256
from ctxbench.results import PageRow, RunRecord, TrialResult
from ctxbench.store import Store


def make_trial(number: int, right: bool = True, **columns: Any) -> TrialResult:
    """A trial of the model ``channel`` that reads a page of 64 visual tokens."""
    values: dict[str, Any] = {
        **{f"{part}_config": {} for part in ("model", "task", "codec", "augmentation")},
        "trial_id": f"t{number}",
        "model": "channel",
        "adapter": None,
        "model_fingerprint": "",
        "adapter_fingerprint": "",
        "task": "needle",
        "bucket": 512,
        "language": "en",
        "sample_index": number,
        "sample_seed": 1,
        "codec": "book",
        "augmentation": "clean",
        "augmentation_seed": 1,
        "status": "ok",
        "outcome": "correct" if right else "confabulated",
        "primary_score": "hit_at_1",
        "score": float(right),
        "question": f"What is number {number}?",
        "expected": "7319",
        "prediction": "7319" if right else "7219",
        "sample_metadata": {"depth": 0.5},
        "reference_tokens": 512,
        "encoded_tokens": 64,
        "carrier_tokens": 64,
        "carrier_visual_tokens": 64,
        "prompt_tokens": 100,
        "completion_tokens": 4,
        "compression_ratio": 8.0,
        "encoded_ratio": 8.0,
        "n_pages": 1,
        "channel_ok": False,
        "channel_correct": True,
        "channel_cer": 0.25,
        "read_seconds": 1.5,
        "pages": (page_row(f"{number:064x}"),),
    }
    return TrialResult(**{**values, **columns})


def page_row(sha256: str, path: str | None = None) -> PageRow:
    """A page of 224 x 224 px."""
    return PageRow(0, 224, 224, 224, 224, 224, 224, 1.0, False, 64, sha256, path)


def make_run(**changes: Any) -> RunRecord:
    """A run named ``r1``."""
    values: dict[str, Any] = {
        "run_id": "r1",
        "name": "a study",
        "config_hash": "c" * 64,
        "config": {"samples": 2},
        "seed": 7,
        "command": "ctxbench run study.yaml",
        "started_at": datetime.datetime(2031, 4, 1, 12, 30, tzinfo=datetime.UTC),
        "ctxbench_version": "0.1.0",
        "versions": {"ctxbench-core": "0.1.0"},
        "environment": {"libraries": {"numpy": "2.4.6"}},
        "python": "3.11.7",
        "platform": "Linux-x86_64",
        "git_revision": "abc123",
        "planned": 2,
    }
    return RunRecord(**{**values, **changes})


def make_store(path: Path, trials: list[TrialResult], **run: Any) -> Path:
    """A store with one finished run of these trials."""
    with Store.open(path) as store:
        store.start_run(make_run(**run))
        store.append("r1", trials)
        store.finish_run("r1", "finished", {"finished": len(trials), "errors": 0})
    return path


def keep_page(store: Path, shade: int) -> PageRow:
    """The row of a page whose image is kept beside the store."""
    image = Image.new("RGB", (224, 224), (shade, 0, 0))
    sha256 = page_sha256(image)
    file = store.with_name(store.name + ".pages") / sha256[:2] / f"{sha256}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
    return page_row(sha256, f"{sha256[:2]}/{sha256}.png")
