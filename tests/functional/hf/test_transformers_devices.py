"""``run.devices`` with real models: replicas in processes of their own, on the device that every machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxbench import ConfigError
from ctxbench.config import make_config
from ctxbench.engine import run
from ctxbench_transformers import load

Folder = Callable[[str], Path]


def readings(tmp_path: Path, folder: Path, *devices: str) -> list[tuple[Any, ...]]:
    """What nine trials of two codecs answer, two a batch, and in which batches."""
    config = make_config(
        {
            "models": [{"name": f"hf:{folder}", "max_new_tokens": 5, "temperature": 3.0}],
            "tasks": ["toy_letters"],
            "codecs": ["toy_blocks"],
            "augmentations": ["clean"],
            "buckets": [3],
            "samples": 9,
            "tokens": {"family": "toy", "reference": "toy"},
            "store": str(tmp_path / f"{len(devices)}.duckdb"),
            "run": {"batch_size": 2, "devices": list(devices), "executor": {"name": "local", "workers": 0}},
        }
    )
    columns = "trial_id, status, error_message, prediction, reading_metadata->>'batch', reading_metadata->>'batch_size', prompt_tokens"
    with run(config) as store:
        return [tuple(row) for row in store.query(f"SELECT {columns} FROM results ORDER BY sample_index").rows]


def test_two_replicas_answer_as_one_model_does(toys: Path, tiny_model: Folder, tmp_path: Path) -> None:
    """Ids, batches by the hash of their prompts, and every token."""
    folder = tiny_model("qwen2_vl")
    alone = readings(tmp_path, folder)
    assert [row[1:3] for row in alone] == [("ok", None)] * 9
    assert len({row[3] for row in alone}) > 4
    assert readings(tmp_path, folder, "cpu", "cpu") == alone


def test_where_a_model_can_be_placed(tiny_model: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every GPU that there is, by its number; not where a map spreads it."""
    model = load(tiny_model("qwen2_vl"))
    assert model.placed("cpu") == {"device": "cpu"}
    for count, says in ((0, "has no CUDA device that torch can use"), (1, "has 1 CUDA device"), (2, "has 2 CUDA devices")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        with pytest.raises(ConfigError, match=f"^there is no cuda:{count}: this machine {says}$"):
            model.placed(f"cuda:{count}")
    assert model.placed("cuda:1") == {"device": "cuda:1"}
    assert load(tiny_model("qwen2_vl"), device_map="auto").placed("cuda:1") is None
