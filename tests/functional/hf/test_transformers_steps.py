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
from ctxbench_transformers.training import loss, muon, optimizer, page_attention
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import Batch, Labelled, make_batch
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.objective import see
from ctxbench_transformers.training.places import VISION, Places, places_of
from ctxbench_transformers.training.prepare import make_trainer, prepare
from ctxbench_transformers.training.trainer import Trainer
from ctxbench_transformers.weights import Placement, load_weights
from tests.functional.hf.results import log

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


def learned(model: Any, inputs: dict[str, torch.Tensor], *, autocast: bool = False) -> list[torch.Tensor]:
    """The loss of a batch, and the gradients."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        total, _ = answer_loss(model, inputs)
    total.backward()  # type: ignore[no-untyped-call]
    return [total.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


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
    monkeypatch.setattr(loss, "unmasked", dict)
    plain = learned(model, inputs)
    monkeypatch.setattr(model.model, "get_rope_index", None)
    if architecture == "qwen2_vl":
        monkeypatch.setattr("transformers.vision_utils.torch.meshgrid", None)
    assert alike(learned(model, made), plain)


@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen3_vl"])
def test_tokens_of_a_batch_without_pages_are_counted_from_the_left(
    architecture: str, tiny_model: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever batch came before it."""
    folder = tiny_model(architecture)
    model, inputs = load_weights(folder, Placement("cpu", dtype="float32")), batch_of(folder, MIXED[1::2]).inputs
    monkeypatch.setattr(loss, "unmasked", dict)
    plain = learned(model, inputs)
    learned(model, batch_of(folder).inputs)
    made = places_of(model)(inputs)
    assert made.keys() - inputs.keys() == {"position_ids"}
    assert alike(learned(model, made), plain)


@pytest.mark.parametrize("prompts", [MIXED, MIXED[1::2]], ids=["pages", "text"])
@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"])
def test_rows_of_a_batch_need_no_mask(
    architecture: str, prompts: tuple[Prompt, ...], tiny_model: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fills them up is looked at by nothing: each token costs what it costs with a mask, and all layers attend without one."""
    folder = tiny_model(architecture)
    model, inputs = load_weights(folder, Placement("cpu", dtype="float32")), batch_of(folder, prompts).inputs
    kernel, masks = torch.nn.functional.scaled_dot_product_attention, list[Any]()

    def attend(*args: Any, **options: Any) -> torch.Tensor:
        if args[0].shape[0] == len(prompts):  # the language part's; pages attend one by one
            masks.append(options.get("attn_mask"))
        return kernel(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    made = places_of(model)(inputs)
    bare = learned(model, made)
    layers = model.config.get_text_config().num_hidden_layers
    assert masks == [None] * layers
    monkeypatch.setattr(loss, "unmasked", dict)
    masked = learned(model, made)
    assert [mask is not None for mask in masks[layers:]] == [True] * layers
    assert len(bare) == len(masked)
    assert all((one - two).norm() <= 1e-4 * two.norm() + 1e-6 for one, two in zip(bare, masked, strict=True))


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


# ---- pages that attend together

SIZES = {
    "several": MIXED,
    "equal": (Prompt((page(84, 56), page(84, 56)), "two"), Prompt((page(84, 56),), "one")),
    "one": (Prompt((page(84, 56),), "one"),),
}


def together(model: Any, config: TrainConfig, patch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let pages attend together, here on a CPU; gives the shape of the queries of each call of the kernel."""
    kernel, shapes = page_attention.scaled_dot_product_attention, list[tuple[int, ...]]()
    monitored = lambda query, *rest, **options: (shapes.append(tuple(query.shape)), kernel(query, *rest, **options))[1]  # noqa: E731
    patch.setattr(page_attention, "scaled_dot_product_attention", monitored)
    patch.setattr(page_attention, "DEVICES", ("cpu",))
    page_attention.attend_together(model, config, CPU)
    return shapes


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("sizes", list(SIZES))
def test_pages_that_attend_together_see_what_they_saw(
    sizes: str, autocast: bool, training: MakeTraining, tiny_model: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page itself, and nothing of its neighbours or of what fills it up: the loss, and the gradients of all parameters."""
    folder = tiny_model("qwen2_vl")
    model = load_weights(folder, Placement("cpu", dtype="float32"))
    inputs = places_of(model)(batch_of(folder, SIZES[sizes]).inputs)
    plain = learned(model, inputs, autocast=autocast)
    shapes = together(model, training(), monkeypatch)
    made = learned(model, inputs, autocast=autocast)
    pages = len(inputs["image_grid_thw"])
    longest = int(inputs["image_grid_thw"].prod(1).max())
    assert {shape[0] for shape in shapes} == {pages}
    assert {shape[2] for shape in shapes} == {longest if sizes != "several" else -(-longest // 16) * 16}
    assert len(shapes) == len(model.model.visual.blocks)
    assert len(made) == len(plain) == 1 + len(list(model.parameters()))
    for one, two in zip(made, plain, strict=True):
        tolerance = 0.05 if autocast else 1e-5
        assert (one - two).norm() <= tolerance * two.norm() + 1e-6
    monkeypatch.setattr(page_attention, "WASTE", 0)
    shapes.clear()
    again = learned(model, {**inputs, "image_cu_seqlens": inputs["image_cu_seqlens"].clone()}, autocast=autocast)
    assert {shape[0] for shape in shapes} == {1 if sizes == "several" else pages}
    assert autocast or all(torch.allclose(one, two, atol=1e-5) for one, two in zip(again, plain, strict=True))


def test_a_whole_training_may_let_pages_attend_together(training: MakeTraining, toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an evaluation between the steps, a teacher, layers computed twice, and the result written; nothing of it says how."""
    values: dict[str, Any] = {"method": "full", "auxiliary": [{"loss": "kept_vision", "options": {"teacher": "start"}}]}
    config, other = training("plain", **values), training("other", **values)
    train(config)
    monkeypatch.setattr(page_attention, "DEVICES", ("cpu",))
    train(other)
    for one, two in zip(log(config), log(other), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-3)
    assert page_attention.NAME not in "".join(path.read_text("utf-8") for path in Path(other.output).rglob("*.json"))
    train(training("thrifty", gradient_checkpointing=True, evaluate_every=0, max_steps=1))


def test_only_such_vision_parts_on_such_devices_attend_together(
    training: MakeTraining, tiny_model: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where the config asks for no attention of another kind."""
    for architecture, device, asked in (("qwen2_vl", "cpu", None), ("qwen2_vl", "cuda", "flash_attention_2"), ("qwen2_5_vl", "cuda", None)):
        model = load_weights(tiny_model(architecture), Placement("cpu"))
        page_attention.attend_together(model, training(attn_implementation=asked), torch.device(device))
        assert model.model.visual.config._attn_implementation == "sdpa"
    model = load_weights(tiny_model("qwen2_vl"), Placement("cpu"))
    page_attention.attend_together(model, training(attn_implementation="sdpa"), torch.device("cuda"))
    assert model.model.visual.config._attn_implementation == page_attention.NAME
    assert model.config._attn_implementation == model.config.text_config._attn_implementation == "sdpa"
    assert page_attention.NAME not in model.config.to_json_string(use_diff=False)


# ---- matrices of one shape


def test_no_step_pays_for_a_plan_of_its_length(training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN's attention, which builds one for each, is left out of training, and is there again afterwards."""
    taken = Trainer.step
    during = []

    def step(self: Trainer, made: Any) -> dict[str, float]:
        during.append(torch.backends.cuda.cudnn_sdp_enabled())
        return taken(self, made)

    monkeypatch.setattr(Trainer, "step", step)
    train(training("plans", max_steps=2, evaluate_every=0))
    assert during == [False, False]
    assert torch.backends.cuda.cudnn_sdp_enabled()


def steps_of(kind: type[torch.optim.Optimizer], **options: Any) -> tuple[list[torch.nn.Parameter], torch.optim.Optimizer]:
    """Parameters after five steps on gradients that are always the same; the last one never has any, another one now and then."""
    made = torch.Generator().manual_seed(3)
    shapes = [(24, 64)] * 3 + [(64, 24)] * 2 + [(32, 32), (1, 8), (8, 1), (64, 24), (24, 64)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=made)) for shape in shapes]
    parameters[3] = torch.nn.Parameter(torch.randn(24, 64, generator=made).T)
    made_by = kind([{"params": parameters}], **options)
    for step in range(5):
        for i, parameter in enumerate(parameters):
            gradient = torch.randn(parameter.shape, generator=made) * 10 ** (i % 3 - 1)
            parameter.grad = None if i == 9 or (i == 1 and step % 2) else gradient
        made_by.step()
    return parameters, made_by


@pytest.mark.parametrize("most", [2**26, 3000, 1])
@pytest.mark.parametrize(
    "options", [{"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.1}, {"nesterov": False, "weight_decay": 0.0, "momentum": 0.5}]
)
def test_stacked_muon_is_pytorch_s(options: dict[str, Any], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters up to the rounding of bfloat16, moments bit for bit, whatever the shapes and however many fit together."""
    monkeypatch.setattr(muon, "MOST", most)
    (plain, theirs), (stacked, ours) = (steps_of(kind, lr=0.05, **options) for kind in (torch.optim.Muon, muon.StackedMuon))
    begun, _ = steps_of(torch.optim.Muon, lr=0.0, **options)
    for one, two, begin in zip(stacked, plain, begun, strict=True):
        assert ours.state[one].keys() == theirs.state[two].keys()
        assert all(torch.equal(ours.state[one][key], theirs.state[two][key]) for key in theirs.state[two])
        assert (one - two).norm() <= 0.02 * (two - begin).norm()
    assert not ours.state[stacked[9]]
    assert torch.equal(stacked[9], begun[9])
    assert ours.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]


def test_training_with_stacked_muon(training: MakeTraining, toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoints are PyTorch's, and go on with either; on a CPU it is not taken."""
    values: dict[str, Any] = {"optimizer": "muon", "muon_lr": 6e-3, "epochs": 1, "evaluate_every": 0}
    plain, stacked = training("plain", **values), training("stacked", **values)
    train(plain)
    assert type(trainer_of(plain).optimizers[0]) is torch.optim.Muon
    monkeypatch.setattr(optimizer, "STACKED", ("cpu",))
    assert type(trainer_of(stacked).optimizers[0]) is muon.StackedMuon
    train(stacked)
    assert [line["loss"] for line in log(stacked)] == pytest.approx([line["loss"] for line in log(plain)], rel=0.02)
    train(stacked, resume=str(Path(plain.output) / "checkpoints" / "step-00000004"))
    assert log(stacked)[-1]["loss"] == pytest.approx(log(plain)[-1]["loss"], rel=0.02)
