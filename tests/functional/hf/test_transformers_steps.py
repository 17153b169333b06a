"""What makes a step fast on a GPU gives what the plain way gives: places that are made ahead, pages side by side, matrices of one shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ctxbench import Prompt
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import Batch, Labelled, make_batch
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.objective import see
from ctxbench_transformers.training.places import VISION, Places, places_of
from ctxbench_transformers.training.prepare import make_trainer, prepare
from ctxbench_transformers.training.trainer import Trainer
from ctxbench_transformers.weights import Placement, load_weights

Folder = Callable[[str], Path]
MakeTraining = Callable[..., TrainConfig]
CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # transformers' processors and numpy 2


def page(width: int, height: int) -> Image.Image:
    """A page of coloured noise."""
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


MIXED = (
    Prompt((page(112, 56), page(28, 196)), "two pages"),
    Prompt((), "text only, and longer than the others " * 3),
    Prompt((page(84, 84),), "one"),
    Prompt((), "short"),
)


def batch_of(folder: Path, prompts: tuple[Prompt, ...] = MIXED) -> Batch:
    """A batch in which every token is to be said."""
    encoder = Encoder(load_processor(folder))
    made = [encoder.encode_prompt(prompt) for prompt in prompts]
    return make_batch([Labelled(each, each.ids.clone()) for each in made], 0)


def learned(model: Any, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The loss of a batch, and the gradients."""
    model.zero_grad()
    loss, _ = answer_loss(model, inputs)
    loss.backward()  # type: ignore[no-untyped-call]
    return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def alike(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    """Bit for bit."""
    return len(one) == len(two) and all(map(torch.equal, one, two))


# ---- places


@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"])
def test_places_made_ahead_are_the_model_s_own(architecture: str, tiny_model: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of several sizes beside rows without any: the loss and the gradients are the same bit for bit, and the model makes none."""
    folder = tiny_model(architecture)
    model, inputs = load_weights(folder, Placement("cpu", dtype="float32")), batch_of(folder).inputs
    made = places_of(model)(inputs)
    assert made.keys() - inputs.keys() == {"position_ids", *(VISION if architecture == "qwen2_vl" else ())}
    plain = learned(model, inputs)
    monkeypatch.setattr(model.model, "get_rope_index", None)
    if architecture == "qwen2_vl":
        monkeypatch.setattr("transformers.vision_utils.torch.meshgrid", None)
    assert alike(learned(model, made), plain)


@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen3_vl"])
def test_a_batch_without_pages_is_left_as_it_is(architecture: str, tiny_model: Folder) -> None:
    """Its tokens are counted from the left, whatever batch came before it."""
    folder = tiny_model(architecture)
    model, inputs = load_weights(folder, Placement("cpu", dtype="float32")), batch_of(folder, MIXED[1::2]).inputs
    assert places_of(model)(inputs) is inputs


@pytest.mark.parametrize("architecture", ["llava", "idefics3", "gemma3"])
def test_other_models_get_what_they_got(architecture: str, tiny_model: Folder) -> None:
    """They number nothing sample by sample."""
    model = load_weights(tiny_model(architecture), Placement("cpu"))
    assert places_of(model) == Places()


def test_the_vision_part_alone_takes_places_too(tiny_model: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else computes, as before the answers count."""
    folder = tiny_model("qwen2_vl")
    model, inputs = load_weights(folder, Placement("cpu", dtype="float32")), batch_of(folder).inputs
    seen: list[torch.Tensor] = []
    model.model.visual.register_forward_hook(lambda _, __, output: seen.append(output.pooler_output))
    made = places_of(model)(inputs)
    see(model, inputs)
    monkeypatch.setattr("transformers.vision_utils.torch.meshgrid", None)
    see(model, made)
    assert torch.equal(*seen)


def trainer_of(config: TrainConfig) -> Trainer:
    """Before its first step."""
    return make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)


def test_the_batches_of_a_training_have_places(training: MakeTraining, toys: Path) -> None:
    """Whoever makes them, and of adapted models as well."""
    for workers in (0, 1):
        feed = trainer_of(training(dataloader_num_workers=workers)).feed()
        assert all({"position_ids", *VISION} <= batch.inputs.keys() for batch in next(feed))
        feed.close()
