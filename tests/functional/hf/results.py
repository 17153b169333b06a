"""What a training left behind, for the tests that compare results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ctxbench_transformers.training.config import TrainConfig


def weights(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The result's tensors."""
    name = "model.safetensors" if config.method == "full" else "adapter_model.safetensors"
    return load_file(Path(config.output) / name)


def same(left: TrainConfig, right: TrainConfig) -> bool:
    """Whether two results are equal bit for bit."""
    a, b = weights(left), weights(right)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def log(config: TrainConfig) -> list[dict[str, Any]]:
    """The logged numbers of each step."""
    return [json.loads(line) for line in (Path(config.output) / "log.jsonl").read_text().splitlines()]


def losses(config: TrainConfig) -> list[float]:
    """The logged losses; every step is there once, in order."""
    logged = log(config)
    assert [line["step"] for line in logged] == list(range(1, len(logged) + 1))
    return [line["loss"] for line in logged]
