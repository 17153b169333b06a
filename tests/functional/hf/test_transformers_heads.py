"""The heads of auxiliary losses, with which a training goes on that begins from another one's result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctxbench import ModelError, UsageError
from ctxbench_transformers import sources
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import heads
from ctxbench_transformers.training.auxiliary import HEAD
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.prepare import make_trainer, prepare
from tests.functional.hf.results import log
from tests.functional.hf.toy_parts import Letters

CPU = torch.device("cpu")
MakeTraining = Callable[..., TrainConfig]
LETTERS = {"loss": "tests.functional.hf.toy_parts:Letters"}
CELLS = {"loss": "page_cells", "options": {"cells": 1}}
STEADY = {"evaluate_every": 0, "schedule": "constant", "warmup": 0.0}


@pytest.fixture(params=["lora", "full"])
def first(request: Any, training: MakeTraining) -> TrainConfig:
    """A finished run whose losses have heads."""
    config = training("first", method=request.param, auxiliary=[LETTERS, CELLS], max_steps=4, **STEADY)
    train(config)
    return config


def further(training: MakeTraining, first: TrainConfig, output: str, **values: Any) -> TrainConfig:
    """A run that begins with what the first one left."""
    begin = {"model": first.output} if first.method == "full" else {"adapter": first.output}
    return training(output, **{**begin, "method": first.method, "auxiliary": [LETTERS, CELLS], "max_steps": 2, **STEADY} | values)


def begun(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The heads with which a run begins."""
    trainer = make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)
    return {name: p.detach() for name, p in trainer.parameters.items() if name.startswith(HEAD)}


def kept(config: TrainConfig) -> dict[str, torch.Tensor]:
    """Those that a run left."""
    return load_file(Path(config.output) / heads.PLACE)


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """Whether the tensors are the same by name and value."""
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


def test_a_further_training_begins_with_them(training: MakeTraining, first: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with the head of its own loss, wherever it stands in the config; one of another loss, or with other options, begins anew."""
    last = load_file(ckpt.Checkpoints(Path(first.output) / "checkpoints").latest() / "weights.safetensors")
    assert same(kept(first), {name: value for name, value in last.items() if name.startswith(HEAD)})
    assert same(begun(further(training, first, "same")), kept(first))
    turned = begun(further(training, first, "turned", auxiliary=[CELLS, LETTERS]))
    assert torch.equal(turned[f"{HEAD}1.weight"], kept(first)[f"{HEAD}0.weight"])
    assert {name for name in turned if name.startswith(f"{HEAD}0.")} == {name.replace("1", "0", 1) for name in kept(first) if "_1." in name}
    some = begun(further(training, first, "some", auxiliary=[{**LETTERS, "options": {"only": 5}}, CELLS]))
    assert not torch.equal(some[f"{HEAD}0.weight"], kept(first)[f"{HEAD}0.weight"])
    assert all(torch.equal(some[name], value) for name, value in kept(first).items() if "_1." in name)
    capsys.readouterr()
    train(further(training, first, "run", auxiliary=[CELLS]))
    assert f"auxiliary[0]: page_cells goes on with its head in {first.output}" in capsys.readouterr().err
    assert log(further(training, first, "run"))[0]["loss/page_cells"] < log(first)[0]["loss/page_cells"]


def test_of_entries_that_are_alike_each_has_its_own(training: MakeTraining, first: TrainConfig) -> None:
    """The first takes the first's; one more than there were begins anew."""
    two = further(training, first, "two", auxiliary=[LETTERS, LETTERS])
    train(two)
    left = kept(two)
    assert not torch.equal(left[f"{HEAD}0.weight"], left[f"{HEAD}1.weight"])
    third = begun(further(training, two, "third", auxiliary=[LETTERS] * 3))
    assert [torch.equal(third[f"{HEAD}{i}.weight"], left[f"{HEAD}{min(i, 1)}.weight"]) for i in range(3)] == [True, True, False]


def test_another_version_of_the_loss_begins_anew(training: MakeTraining, first: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its head may have come to mean something else."""
    monkeypatch.setattr(Letters, "version", 2)
    found = begun(further(training, first, "newer"))
    assert not torch.equal(found[f"{HEAD}0.weight"], kept(first)[f"{HEAD}0.weight"])


def test_they_are_no_part_of_the_model(training: MakeTraining, first: TrainConfig) -> None:
    """Neither of what loaders find nor of its fingerprint; and a run without heads leaves no file."""
    folder = Path(first.output)
    assert not [path for path in folder.glob("*.safetensors") if any(HEAD in name for name in load_file(path))]
    name = sources.model_fingerprint if first.method == "full" else sources.adapter_fingerprint
    before = name(folder)
    shutil.rmtree(folder / heads.PLACE.parent)
    assert name(folder) == before
    assert not begun(further(training, first, "none", auxiliary=[]))
    train(further(training, first, "none", auxiliary=[]))
    assert not (folder.with_name("none") / heads.PLACE.parent).exists()


def test_a_run_goes_on_with_the_heads_that_it_began_with_alone(training: MakeTraining, first: TrainConfig) -> None:
    """Others would have given other weights."""
    config = further(training, first, "out", save_every=1)
    train(config)
    checkpoint = str(Path(config.output) / "checkpoints" / "step-00000001")
    train(config, resume=checkpoint)
    changed = {name: value + 1 for name, value in kept(first).items()}
    file = Path(first.output) / heads.PLACE
    losses = json.dumps([[entry["loss"], 1, entry.get("options", {})] for entry in (LETTERS, CELLS)])
    save_file(changed, file, metadata={"losses": losses})
    with pytest.raises(UsageError, match=r"--resume: heads: .*heads\.safetensors is another one than that which .* was trained from"):
        train(config, resume=checkpoint)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no tensors", r"heads\.safetensors: broken \(.*without this file heads begin anew"),
        ({"weight": torch.zeros(2, 2)}, r"the head of auxiliary\[0\] has weight, and here it has bias, weight; without"),
        (
            {"weight": torch.zeros(2, 2), "bias": torch.zeros(4)},
            r"weight of the head of auxiliary\[0\] has shape \(2, 2\), and here it has \(4,",
        ),
    ],
)
def test_what_does_not_fit_is_told(content: Any, said: str, training: MakeTraining, first: TrainConfig) -> None:
    """With what to do about it."""
    file = Path(first.output) / heads.PLACE
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        tensors = {f"{HEAD}0.{name}": value for name, value in content.items()}
        save_file(tensors, file, metadata={"losses": json.dumps([[LETTERS["loss"], 1, {}]])})
    with pytest.raises(ModelError, match=said):
        begun(further(training, first, "out"))
