"""Small random models of every architecture, and a toy codec, task and token counter that need no other plugin."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxbench.registry import load_plugins

TOYS = '''
import ctxbench, numpy as np
from ctxbench import Carrier, Codec, ImageTokens, Sample, Task, TokenCounter
from PIL import Image


class Blocks(Codec):
    """One 28 px square a character, its grey a multiple of the character's code."""

    can_decode = False

    def encode(self, text):
        grey = (np.frombuffer(text.encode("latin-1"), np.uint8) * np.uint8(61)).repeat(28)  # a, b, c, d are 29, 90, 151, 212
        return Carrier(pages=(Image.fromarray(np.tile(grey, (28, 1))).convert("RGB"),))

    def hint(self, language):
        return "Read."


class Letters(Task):
    primary_score = "toy_exact"

    def __init__(self, language="en"):
        self.language = language

    @property
    def config(self):
        return {"language": self.language}

    def sample(self, bucket, seed):
        letters = "".join(np.random.default_rng(seed).choice(list("abcd"), bucket))
        return Sample(letters, f"{bucket}?", letters, bucket, self.language, {"seed": seed})

    def solve(self, context, question):
        return context


class Count(TokenCounter):
    def text(self, text):
        return len(text)

    def image(self, width, height):
        return ImageTokens((width // 28) * (height // 28), width, height)


class Exact(ctxbench.Metric):
    def score(self, prediction, sample):
        return {"toy_exact": float(prediction == sample.answer)}


@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("toy_blocks", "Grey squares.", Blocks)


@ctxbench.hookimpl
def ctxbench_tasks():
    yield ctxbench.TaskRecord("toy_letters", "Say the letters.", Letters)


@ctxbench.hookimpl
def ctxbench_metrics():
    yield ctxbench.MetricRecord("toy_exact", "Equal or not.", Exact)


@ctxbench.hookimpl
def ctxbench_token_counters():
    yield ctxbench.TokenCounterRecord("toy", "A token a character, and a square.", Count)
'''


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Matrices this small run slower on many threads, and one thread adds in one order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_model("llava")``: the folder of a small random model, built once."""
    from ctxbench_transformers import testing

    @functools.cache
    def build(architecture: str) -> Path:
        return testing.build(tmp_path_factory.mktemp(architecture), architecture)

    return build


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base as a hub holds it: bfloat16, in several files with their index, and with generation settings of its own."""
    from ctxbench_transformers.testing import build
    from ctxbench_transformers.weights import quiet

    whole = build(tmp_path_factory.mktemp("whole"), dtype=torch.bfloat16)
    folder = tmp_path_factory.mktemp("published")
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    with quiet():
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_pretrained(whole, dtype="auto")
        model.save_pretrained(folder, max_shard_size="200KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    own = json.loads((folder / "generation_config.json").read_text())
    own |= {"do_sample": True, "temperature": 0.01, "eos_token_id": [own["eos_token_id"], 7]}
    (folder / "generation_config.json").write_text(json.dumps(own))
    return folder


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the toy plugin, installed for this process; put it on PYTHONPATH for another."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "ctxbench_toys.py").write_text(TOYS, "utf-8")
    info = folder / "ctxbench_toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ctxbench-toys\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[ctxbench]\ntoys = ctxbench_toys\n", "utf-8")
    sys.path.insert(0, str(folder))
    load_plugins(reload=True)
    yield folder
    sys.path.remove(str(folder))  # before other modules' tests look at what is installed
    sys.modules.pop("ctxbench_toys", None)
    load_plugins(reload=True)


@pytest.fixture(scope="module")
def toy_data(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 6 validation records of the toy task."""
    from ctxbench_transformers.data import build

    folder = tmp_path_factory.mktemp("data") / "set"
    build(data_config(output=str(folder), samples=24, validation=0.25, buckets=[3, 5]))
    return folder


def data_config(**values: Any) -> Any:
    """A config of the toy task."""
    from ctxbench_transformers import settings
    from ctxbench_transformers.data import DataConfig

    toy: dict[str, Any] = {"codecs": ["toy_blocks"], "tasks": ["toy_letters"], "tokens": {"family": "toy", "reference": "toy"}}
    return settings.make(DataConfig, toy | values)


@pytest.fixture
def make_data_config() -> Callable[..., Any]:
    """:func:`data_config`, for tests."""
    return data_config


@pytest.fixture
def training(tiny_model: Callable[[str], Path], toy_data: Path, tmp_path: Path) -> Callable[..., Any]:
    """``training(lr=1)``: a config of a few steps on the toy data; 24 records, 4 a step."""

    from ctxbench_transformers import settings
    from ctxbench_transformers.training.config import TrainConfig

    def make(output: str = "out", **values: Any) -> TrainConfig:
        base: dict[str, Any] = {
            "model": str(tiny_model("qwen2_vl")),
            "data": str(toy_data),
            "output": str(tmp_path / output),
            "epochs": 1.5,
            "batch_size": 2,
            "accumulation": 2,
            "lr": 3e-3,
            "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
            "precision": "fp32",
            "warmup": 0.2,
            "save_every": 2,
            "evaluate_every": 3,
        }
        return settings.make(TrainConfig, base | values)

    return make
