"""Losses beside that of the answers, and answers in other tokens: the parts that plugins offer to a training."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file

from ctxbench import ConfigError, UsageError
from ctxbench_transformers import weights as reading
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.auxiliary import HEAD, make_parts
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.estimate import estimate
from ctxbench_transformers.training.examples import ExampleError, label, make_batch
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.objective import Objective
from ctxbench_transformers.training.page_cells import PageCells
from ctxbench_transformers.training.prepare import make_trainer, prepare
from ctxbench_transformers.training.trainer import Trainer
from tests.functional.hf import toy_parts
from tests.functional.hf.results import log, same, weights
from tests.functional.hf.test_transformers_launch import LAUNCHERS, environment, written

CPU = torch.device("cpu")
MakeTraining = Callable[..., TrainConfig]
PARTS = "tests.functional.hf.toy_parts"
LETTERS = {"loss": f"{PARTS}:Letters", "weight": 0.5}
STEADY = {"lora": {"r": 4, "target_modules": ["all"], "dropout": 0.0}, "evaluate_every": 0, "schedule": "constant", "warmup": 0.0}
"""Nothing random between the steps."""


def trainer_of(config: TrainConfig) -> Trainer:
    """Before its first step."""
    return make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)


def test_the_loss_is_the_weighted_sum_of_means(training: MakeTraining) -> None:
    """Each over its own terms in the step, as computed here by hand; and the log has all of them."""
    config = training(auxiliary=[LETTERS, {"loss": "page_cells", "options": {"cells": 1}, "weight": 2}], **STEADY)
    trainer = trainer_of(config)
    letters, cells = trainer.objective.parts.losses
    (batches,) = [next(trainer.feed())]
    with torch.no_grad():
        found = [trainer.objective.losses(trainer.runtime.model, batch, 0) for batch in batches]
    sums = [float(sum(each[i] for each in found)) for i in range(3)]  # type: ignore[misc]
    squares = sum(int(batch.inputs["image_grid_thw"].prod(1).sum()) // 4 for batch in batches)
    answers = sum(int((batch.inputs["labels"] >= 0).sum()) for batch in batches)
    means = [sums[0] / answers, sums[1] / squares, sums[2] / (3 * squares)]
    for batch in batches:
        by_hand = trainer.objective.losses(trainer.runtime.model, batch, 0)
        (by_hand[0] / answers + by_hand[1] * (0.5 / squares) + by_hand[2] * (2 / (3 * squares))).backward()  # type: ignore[operator]
    norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.parameters.values() if p.grad is not None])
    train(config)
    first = log(config)[0]
    names = ["loss", f"loss/{PARTS}:Letters", "loss/page_cells"]
    assert [first[name] for name in names] == pytest.approx(means, rel=1e-5)
    assert first["total_loss"] == pytest.approx(means[0] + 0.5 * means[1] + 2 * means[2], rel=1e-5)
    assert first["grad_norm"] == pytest.approx(float(norm), rel=1e-5)
    assert isinstance(letters, toy_parts.Letters)
    assert isinstance(cells, PageCells)


def test_losses_do_not_depend_on_how_a_step_is_split(training: MakeTraining) -> None:
    """One pass of four records, or four of one; a record in two has no terms of the loss, so passes have different numbers of them."""
    some = [{"loss": f"{PARTS}:Letters", "options": {"only": 5}}]
    one = training("one", auxiliary=some, **STEADY, batch_size=4, accumulation=1)
    four = training("four", auxiliary=some, **STEADY, batch_size=1, accumulation=4)
    train(one)
    train(four)
    for key in ("loss", "total_loss", f"loss/{PARTS}:Letters", "grad_norm"):
        numbers = [[line.get(key, 0.0) for line in log(config)] for config in (one, four)]  # a step may have no such record
        assert sum(numbers[0]) > 0
        assert numbers[1] == pytest.approx(numbers[0], rel=1e-3), key


def test_what_is_learned_meanwhile_is_in_the_result_and_heads_are_not(training: MakeTraining, toys: Path) -> None:
    """Until ``answer_begin``, the vision part learns and nothing else changes; the adapter is an ordinary one."""
    config = training(auxiliary=[LETTERS], answer_begin=6, epochs=1.0, **STEADY, lr=1e-2)
    start = {name: p.detach().clone() for name, p in trainer_of(config).parameters.items()}
    train(config)
    lines = log(config)
    assert all("loss" not in line for line in lines)
    assert lines[-1][f"loss/{PARTS}:Letters"] < 0.8 * lines[0][f"loss/{PARTS}:Letters"]
    assert lines[0]["total_loss"] == pytest.approx(0.5 * lines[0][f"loss/{PARTS}:Letters"])
    kept = load_file(ckpt.Checkpoints(Path(config.output) / "checkpoints").latest() / "weights.safetensors")
    changed = {name for name, value in kept.items() if not torch.equal(value, start[name])}
    assert {name for name in changed if "visual" not in name} == {f"{HEAD}0.weight", f"{HEAD}0.bias"}
    assert len(changed) > 2
    assert not [name for name in weights(config) if HEAD in name]
    reading.add_adapter(reading.load_weights(Path(config.model), reading.Placement("cpu")), Path(config.output))


@pytest.mark.parametrize("entry", [LETTERS, {"loss": "page_cells"}])
def test_nothing_but_the_vision_part_computes_where_that_is_enough(training: MakeTraining, entry: dict[str, Any]) -> None:
    """Before the answers count, for losses that say so."""
    trainer = trainer_of(training(auxiliary=[entry], answer_begin=1, **STEADY))
    model, calls = trainer.runtime.model.get_base_model(), list[str]()
    model.model.visual.register_forward_hook(lambda *_: calls.append("vision"))
    model.model.language_model.register_forward_hook(lambda *_: calls.append("language"))
    batches = trainer.feed()
    trainer.step(batches)
    assert calls == ["vision"] * 2
    trainer.step(batches)
    assert calls == ["vision"] * 2 + ["vision", "language"] * 2


def test_heads_begin_alike_and_are_trained_by_adamw(training: MakeTraining) -> None:
    """Whatever was drawn before them; Muon is for hidden layers."""
    config = training(auxiliary=[LETTERS], optimizer="muon", method="full")
    trainers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        trainers.append(trainer_of(config))
    one, two = ({name: p for name, p in trainer.parameters.items() if HEAD in name} for trainer in trainers)
    assert one
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    muon = {id(p) for group in trainers[0].optimizers[0].param_groups for p in group["params"]}
    assert isinstance(trainers[0].optimizers[0], torch.optim.Muon)
    assert not [name for name, p in one.items() if id(p) in muon]


def test_the_answers_begin_to_count_at_their_step(training: MakeTraining) -> None:
    """And a loss counts from its first step to its last."""
    config = training(auxiliary=[{**LETTERS, "end": 5}, {"loss": "page_cells", "begin": 7}], answer_begin=3, **STEADY)
    train(config)
    letters, cells = f"loss/{PARTS}:Letters", "loss/page_cells"
    assert ["loss" in line for line in log(config)] == [False] * 3 + [True] * 6
    assert [letters in line for line in log(config)] == [True] * 5 + [False] * 4
    assert [cells in line for line in log(config)] == [False] * 7 + [True] * 2


def test_a_step_without_anything_to_learn_changes_nothing(training: MakeTraining) -> None:
    """Before the answers count, one whose records have no terms of the other loss."""
    config = training(auxiliary=[{"loss": f"{PARTS}:Letters", "options": {"only": 77}}], answer_begin=4, **STEADY)
    train(config)
    lines = log(config)
    assert [line.get("skipped") for line in lines] == [1.0] * 4 + [None] * 5
    assert [line["total_loss"] for line in lines[:4]] == [0.0] * 4


def test_heads_and_moments_come_back_on_resume(training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, with batches that are made ahead too; and another version of a loss is refused."""
    values: dict[str, Any] = {"auxiliary": [LETTERS, {"loss": "page_cells"}], "answer_begin": 3, "evaluate_every": 0, "optimizer": "muon"}
    whole, parted, ahead = (training(name, **values) for name in ("whole", "parted", "ahead"))
    train(whole)
    train(attrs.evolve(parted, max_steps=4, schedule="cosine"))
    monkeypatch.setattr(toy_parts.Letters, "version", 2)
    with pytest.raises(UsageError, match="versions of parts are"):
        train(parted, "latest")
    monkeypatch.undo()
    train(attrs.evolve(ahead, dataloader_num_workers=2))
    assert same(whole, ahead)
    broken = training("broken", **values, save_every=4)
    train(broken)
    ckpt.Checkpoints(Path(broken.output) / "checkpoints").at(9).rename(Path(broken.output) / "last")
    again = training("again", **values, save_every=4)
    Path(again.output).mkdir()
    (Path(broken.output) / "checkpoints").rename(Path(again.output) / "checkpoints")
    train(again, "latest")
    assert same(whole, again)


def test_attention_can_be_supervised(training: MakeTraining) -> None:
    """A loss that has no head of its own, and sees what the attention computes."""
    looking = [{"loss": f"{PARTS}:Looking", "weight": 1}]
    config = training(auxiliary=looking, attn_implementation="eager", **STEADY | {"epochs": 3, "lr": 1e-2})
    train(config)
    found = [line[f"loss/{PARTS}:Looking"] for line in log(config)]
    assert found[-1] < 0.7 * found[0]
    with pytest.raises(ConfigError, match="attn_implementation: eager"):
        train(training("other", auxiliary=looking, attn_implementation="sdpa"))


def test_cells_are_read_from_the_pixels_that_the_model_gets(training: MakeTraining) -> None:
    """Of a page of squares whose halves differ: each cell of each visual token, in the order of the tokens."""
    from PIL import Image

    from ctxbench import Prompt

    trainer = trainer_of(training())
    page = Image.new("RGB", (84, 56), "white")
    page.paste((0, 0, 0), (0, 0, 14, 28))  # left half of the first square
    page.paste((255, 0, 0), (56, 28, 84, 42))  # upper half of the last one
    encoded = trainer.runtime.encoder.encode_prompt(Prompt((page,), "?"))
    found = PageCells(cells=2).targets(None, encoded, encoded.ids)
    assert found is not None
    squares = found["bright"].reshape(6, 3, 2, 2)
    expected = torch.ones(6, 3, 2, 2, dtype=torch.uint8)
    expected[0, :, :, 0] = 0
    expected[5, 1:, 0, :] = 0
    assert torch.equal(squares, expected)
    assert PageCells().targets(None, trainer.runtime.encoder.encode_prompt(Prompt((), "?")), encoded.ids) is None


def test_cells_need_a_model_with_such_patches(training: MakeTraining, tiny_model: Callable[[str], Path]) -> None:
    """Others are refused before the first step, with the reason."""
    with pytest.raises(ConfigError, match=r"page_cells: .* has no vision part like Qwen2-VL's"):
        train(training(model=str(tiny_model("llava")), auxiliary=[{"loss": "page_cells"}], lora={"r": 2}))


@pytest.mark.parametrize("teacher", ["base", "start"])
def test_pages_are_seen_as_before(training: MakeTraining, teacher: str) -> None:
    """By the base, or by the model as it began: the distance is none then, and what an adapter changed is taken back."""
    kept = {"loss": "kept_vision", "options": {"teacher": teacher}}
    first = training("first", **STEADY | {"lr": 3e-2})
    train(first)
    trainer = trainer_of(training("next", adapter=first.output, auxiliary=[kept], **STEADY))
    batch = next(trainer.feed())[0]
    model, inputs = trainer.runtime.model, batch.inputs
    with torch.no_grad():
        (_, loss) = trainer.objective.losses(model, batch, 0)
        seen = model.get_base_model().model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
        with model.disable_adapter():
            base = model.get_base_model().model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    by_hand = float(((seen - base).square().mean(1) / base.var(1)).sum())
    assert by_hand > 0.01
    assert float(loss or 0) == pytest.approx(by_hand if teacher == "base" else 0.0, rel=1e-4)
    again = training("again", adapter=first.output, auxiliary=[kept], answer_begin=30, max_steps=30, **STEADY | {"epochs": 30, "lr": 1e-2})
    train(again)
    distances = [line["loss/kept_vision"] for line in log(again)]
    assert distances[-1] < 0.5 * distances[0] if teacher == "base" else max(distances) < 1e-6


def test_only_the_pages_that_are_meant_count(training: MakeTraining) -> None:
    """By the labels of their codec and of their damage; without an adapter in the vision part there is nothing to keep."""
    for options, meant in (({"codecs": ["other"]}, False), ({"augmentations": ["other"]}, False), ({"augmentations": ["clean"]}, True)):
        config = training(auxiliary=[{"loss": "kept_vision", "options": {**options, "teacher": "start"}}], **STEADY)
        assert [bool(batch.targets[0]) for batch in next(trainer_of(config).feed())] == [meant] * 2
    for values in ({"method": "full"}, {"lora": {"r": 2, "target_modules": ["language"]}}):
        with pytest.raises(ConfigError, match="no adapter changes the vision part"):
            trainer_of(training(auxiliary=[{"loss": "kept_vision"}], **values))


def test_rows_of_a_pass_are_told_apart(training: MakeTraining) -> None:
    """Where some pages are meant and others are not, the terms are those of the former."""
    from ctxbench_transformers.training.kept_vision import KeptVision

    first = training("first", **STEADY | {"lr": 3e-2})
    train(first)
    trainer = trainer_of(training("next", adapter=first.output, auxiliary=[{"loss": "kept_vision"}], **STEADY | {"batch_size": 4}))
    batch, model = next(trainer.feed())[0], trainer.runtime.model
    (loss,) = trainer.objective.parts.losses
    assert isinstance(loss, KeptVision)
    with torch.no_grad():
        trainer.objective.losses(model, batch, 0)
        each = [float(loss.loss(batch.inputs, [found])) for found in batch.targets[0]]
        total = float(loss.loss(batch.inputs, batch.targets[0]))
    assert len({round(value, 6) for value in each}) > 1
    assert sum(each) == pytest.approx(total, rel=1e-5)


def test_answers_in_other_tokens(training: MakeTraining) -> None:
    """They are what is trained, as far as they are to be learned, and what validation measures the loss of."""
    config = training(answers=f"{PARTS}:Backwards", **STEADY | {"evaluate_every": 9})
    trainer = trainer_of(config)
    parts, encoder, example = trainer.objective.parts, trainer.runtime.encoder, trainer.train[0]
    made = label(encoder, example, parts)
    *ids, end = encoder.answer_ids(example.answer)
    said = [*reversed(ids), end]
    assert made.encoded.ids[-len(said) :].tolist() == said
    assert made.labels[made.labels != -100].tolist() == said[1:]
    assert make_batch([made], 0).targets == ()
    train(config)
    still = training("still", answers=f"{PARTS}:Backwards", **STEADY | {"evaluate_every": 1, "lr": 0, "max_steps": 1})
    train(still)
    with torch.no_grad():
        by_hand = [
            trainer.objective.losses(trainer.runtime.model, make_batch([label(encoder, e, parts)], 0), 0)[0] for e in trainer.validation
        ]
    counted = sum(len(example.answer) for example in trainer.validation)  # a token a letter and one at the end, without the given one
    assert log(still)[-1]["val_loss"] == pytest.approx(float(sum(by_hand)) / counted, rel=1e-5)  # type: ignore[arg-type]
    with pytest.raises(ExampleError, match="of which 1 are said to be learned or not"):
        train(training("bad", answers=f"{PARTS}:NoLearning"))


def test_what_cannot_be_is_said_before_anything_is_read(training: MakeTraining) -> None:
    """With the setting, and what to do."""
    for values, message in (
        ({"auxiliary": [{}]}, "auxiliary\\[0\\].loss: which loss"),
        ({"auxiliary": [{"loss": "page_cell"}]}, "did you mean 'page_cells'"),
        ({"auxiliary": [{"loss": "no.such:Loss"}]}, "auxiliary\\[0\\]: no.such:Loss: No module named"),
        ({"auxiliary": [{"loss": f"{PARTS}:Nothing"}]}, "has no attribute"),
        ({"auxiliary": [{"loss": f"{PARTS}:Backwards"}]}, "is no AuxiliaryLoss"),
        ({"answers": f"{PARTS}:Letters"}, "is no AnswerWriter"),
        ({"auxiliary": [{"loss": "page_cells", "options": {"cell": 7}}]}, "unexpected keyword argument 'cell'"),
        ({"auxiliary": [{"loss": "page_cells", "options": {"cells": 0}}]}, "cells: "),
        ({"auxiliary": [LETTERS], "fsdp": True}, "set fsdp to false"),
        ({"auxiliary": [LETTERS], "gradient_checkpointing": True}, "set gradient_checkpointing to false"),
        ({"answer_begin": 3}, "nothing to learn from"),
        ({"answer_begin": 3, "auxiliary": [{**LETTERS, "begin": 3}]}, "nothing to learn from"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_parts(training(**values))
    with pytest.raises(ConfigError, match="did you mean 'page_cells'"):
        estimate(training(auxiliary=[{"loss": "page_cell"}]))


def test_names_in_the_log_are_told_apart(training: MakeTraining) -> None:
    """Two of the same loss, by their places."""
    config = training(auxiliary=[LETTERS, {"loss": "page_cells"}, LETTERS])
    names = Objective(config, make_parts(config)).names
    assert names == ["loss", f"loss/{PARTS}:Letters.0", "loss/page_cells", f"loss/{PARTS}:Letters.2"]


@pytest.mark.long
def test_two_processes_share_the_terms(training: MakeTraining, toys: Path, tmp_path: Path) -> None:
    """One process's losses and weights, also where a process has no record with terms, and before the answers count."""
    values: dict[str, Any] = {"auxiliary": [{"loss": "page_cells"}], "answer_begin": 3, **STEADY, "weight_decay": 0.1}
    one = training("one", **values, accumulation=4)
    train(one)
    two = training("two", **values, accumulation=2)
    command = [
        sys.executable,
        "-m",
        *LAUNCHERS["torchrun"].split(),
        "-m",
        "ctxbench_transformers.training",
        str(written(two, tmp_path / "c")),
    ]
    done = subprocess.run(command, env=environment(toys), capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    for key in ("loss", "total_loss", "loss/page_cells", "grad_norm"):
        numbers = [[line.get(key, 0.0) for line in log(config)] for config in (one, two)]
        assert numbers[1] == pytest.approx(numbers[0], rel=1e-3), key
    left, right = weights(one), weights(two)
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=1e-3, atol=1e-4)
    record = json.loads((Path(two.output) / "ctxbench_training.json").read_text())
    assert record["training_config"]["auxiliary"] == [
        {"loss": "page_cells", "options": {}, "weight": 1.0, "begin": 0, "end": None},
    ]
