"""A small random model, and vLLM's stand-in in the place of vLLM."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ctxbench import Model, Prompt, load_plugins

STAND_IN = Path(__file__).parent / "stand_in"


def page(width: int, height: int, seed: int = 0) -> Image.Image:
    """A page of coloured noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Matrices this small run slower on many threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prompts() -> tuple[Prompt, ...]:
    """Two pages, none, one with a system message, and three; answers of different lengths."""
    return (
        Prompt((page(100, 60), page(30, 200, 1)), "hello the inn", max_new_tokens=6),
        Prompt((), "text only, and much longer than the others " * 4, max_new_tokens=3),
        Prompt((page(84, 84, 2),), "q" * 40, system="be brief", max_new_tokens=4),
        Prompt((page(28, 56, 3), page(56, 56, 4), page(140, 56, 5)), "three pages", max_new_tokens=3),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2-VL with random weights."""
    from ctxbench_transformers import testing

    return testing.build(tmp_path_factory.mktemp("qwen2_vl"), "qwen2_vl")


@pytest.fixture
def hf(folder: Path) -> Iterator[Callable[..., Model]]:
    """``hf(option=value)``: the same weights through transformers, one prompt at a time."""
    made: list[Model] = []

    def make(**options: Any) -> Model:
        made.append(load_plugins().model("hf", reference=str(folder), device="cpu", batch_invariant=True, **options))
        return made[-1]

    yield make
    for model in made:
        model.close()


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in's module, importable as ``vllm``."""
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("the real vLLM is installed: test_vllm_real.py runs it")
    monkeypatch.syspath_prepend(STAND_IN)
    for name in ("VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_NO_USAGE_STATS", "VLLM_LOGGING_LEVEL", "VLLM_LOGGING_STREAM"):
        monkeypatch.setenv(name, "as it was")  # and so it is put back
        monkeypatch.delenv(name)
    import vllm

    yield vllm
    vllm.engine.faults.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


@pytest.fixture
def made(vllm: Any, folder: Path) -> Iterator[Callable[..., Model]]:
    """``made(option=value)``: the model ``vllm`` on the same weights."""
    found: list[Model] = []

    def make(**options: Any) -> Model:
        found.append(load_plugins().model("vllm", reference=str(folder), **options))
        return found[-1]

    yield make
    for model in found:
        model.close()
