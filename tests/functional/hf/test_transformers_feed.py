"""Batches made ahead by processes of their own, Muon, and float16 with loss scaling: the weights are those that they must be."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest
import torch
from safetensors.torch import load_file

from ctxbench_transformers.data import build
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import feed as feed_module
from ctxbench_transformers.training import prepare as prepare_module
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.estimate import estimate
from ctxbench_transformers.training.examples import ExampleError
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.optimizer import make_optimizers, set_rates
from ctxbench_transformers.training.prepare import make_trainer, prepare
from ctxbench_transformers.training.report import Reporter
from ctxbench_transformers.training.trainer import TrainingError
from tests.functional.hf.results import log, same, weights

MakeTraining = Callable[..., TrainConfig]
CPU = torch.device("cpu")


def children() -> set[int]:
    """Processes of this one that still run. Python's own tracker of resources stays as long as this process does."""
    resource_tracker.ensure_running()
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


# ---- made ahead


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_batches_made_ahead_are_those_of_their_steps(
    kind: str, training: MakeTraining, make_data_config: Callable[..., Any], tmp_path: Path
) -> None:
    """Two processes that shared a file's position, or a step that came before its turn, would train on other records; and they end."""
    build(make_data_config(output=str(tmp_path / "data"), format=kind, samples=12, buckets=[3, 5]))
    before = children()
    config = training(data=str(tmp_path / "data"), epochs=1.5, evaluate_every=0, save_every=3)
    ahead = attrs.evolve(config, output=str(tmp_path / "ahead"), dataloader_num_workers=2)
    train(config)
    train(ahead)
    assert same(ahead, config)
    train(attrs.evolve(ahead, epochs=3.0, output=str(tmp_path / "on")), resume=str(tmp_path / "ahead" / "checkpoints" / "step-00000003"))
    assert children() <= before


def test_ctrl_c_does_not_reach_who_makes_batches(training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends it to all processes: the training ends them, once it has kept its steps."""
    before = children()
    whole = training("whole", epochs=1, evaluate_every=0)
    ahead = attrs.evolve(whole, output=f"{whole.output}-ahead", dataloader_num_workers=2)
    train(whole)
    logged = Reporter.log

    def interrupted(self: Reporter, step: int, values: dict[str, float]) -> None:
        makers = children() - before
        assert makers or step > 2
        for pid in makers:
            os.kill(pid, signal.SIGINT)
        logged(self, step, values)

    monkeypatch.setattr(Reporter, "log", interrupted)
    assert train(ahead)["steps"] == 6
    assert same(ahead, whole)


def test_a_record_that_cannot_be_trained_on_is_one_line_whoever_reads_it(training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised in a worker, it would come with that process's traceback as its message."""

    def refuse(*_: Any) -> None:
        raise ExampleError("too long")

    before = children()
    monkeypatch.setattr(feed_module, "label", refuse)
    for workers in (0, 1):
        with pytest.raises(ExampleError) as caught:
            train(training(str(workers), dataloader_num_workers=workers, evaluate_every=0))
        assert str(caught.value) == "too long"
    del caught
    assert children() <= before


def test_a_run_that_stops_early_leaves_no_process(training: MakeTraining) -> None:
    """It has batches for which no step will come."""
    before = children()
    values: dict[str, Any] = {"lr": 0.3, "clip": 0, "warmup": 0, "schedule": "constant", "evaluate_every": 1, "evaluate_samples": 1}
    config = training(epochs=4, early_stopping={"patience": 1}, save_every=0, dataloader_num_workers=1, **values)
    assert train(config)["steps"] < 16
    assert children() <= before


# ---- Muon


def test_muon_trains_matrices_and_resumes_bit_for_bit(training: MakeTraining) -> None:
    """Two optimizers, whose moments are kept under the parameters' names; a vector or an embedding is AdamW's."""
    values: dict[str, Any] = {"optimizer": "muon", "muon_lr": 6e-3, "epochs": 1, "save_every": 2, "evaluate_every": 0}
    whole, broken, other = training("whole", **values), training("broken", **values), training("other", **values | {"muon_lr": None})
    for config in (whole, broken, other):
        train(config)
    middle = Path(broken.output) / "checkpoints" / "step-00000004"
    kept = load_file(middle / "optimizer.safetensors")
    assert {key.partition("/")[0] for key in kept} == {"momentum_buffer"}
    train(broken, resume=str(middle))
    assert same(whole, broken)
    assert not same(whole, other)
    assert log(whole)[-1]["loss"] < log(whole)[0]["loss"]
    assert estimate(whole).training_bytes == 3 * sum(value.nbytes for value in weights(whole).values())


def test_of_a_whole_model_muon_takes_the_matrices_of_layers(training: MakeTraining) -> None:
    """Orthogonalised updates of an embedding move words that were not in the batch."""
    config = training(method="full", optimizer="muon", muon_lr=6e-3)
    trainer = make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)
    muon, adamw = trainer.optimizers
    names = {parameter: name for name, parameter in trainer.parameters.items()}
    mine = [names[p] for group in muon.param_groups for p in group["params"]]
    rest = [names[p] for group in adamw.param_groups for p in group["params"]]
    assert sorted(mine + rest) == sorted(names.values())
    assert any(name.endswith("q_proj.weight") for name in mine)
    assert not [name for name in mine if "embed" in name or "norm" in name or name.endswith("bias")]
    set_rates(trainer.optimizers, 1e-3)
    assert {group["lr"] for group in muon.param_groups} == {2e-3}
    assert {group["lr"] for group in adamw.param_groups} == {1e-3}
    held = sum(4 * trainer.parameters[name].numel() for name in mine) + sum(8 * trainer.parameters[name].numel() for name in rest)
    gradients = sum(p.nbytes for p in trainer.parameters.values())
    assert estimate(config).training_bytes == gradients + held


def test_one_muon_step_is_the_formula_s(training: MakeTraining) -> None:
    """An orthogonalised gradient, scaled to the size of AdamW's updates: all singular values near 0.2 sqrt(largest side) times the rate."""
    weight = torch.nn.Parameter(torch.zeros(8, 32))
    weight.grad = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    (muon,) = make_optimizers(training(optimizer="muon", weight_decay=0.0), {"layer.weight": weight})
    set_rates((muon,), 0.1)
    muon.step()
    sizes = torch.linalg.svdvals(weight.detach()) / (0.1 * 0.2 * math.sqrt(32))
    assert 0.5 < sizes.min() <= sizes.max() < 1.5


# ---- float16


def test_float16_trains_and_resumes_bit_for_bit(training: MakeTraining) -> None:
    """The scale of the loss is part of where a run stands."""
    values: dict[str, Any] = {"precision": "fp16", "epochs": 1, "save_every": 2, "evaluate_every": 3, "evaluate_samples": 2}
    whole, broken, exact = training("whole", **values), training("broken", **values), training("exact", **values | {"precision": "fp32"})
    for config in (whole, broken, exact):
        train(config)
    middle = Path(broken.output) / "checkpoints" / "step-00000004"
    assert ckpt.read_state(middle).scaler == {**(ckpt.read_state(middle).scaler or {}), "scale": 2.0**16, "_growth_tracker": 4}
    train(broken, resume=str(middle))
    assert same(whole, broken)
    assert [line["loss"] for line in log(whole)] == pytest.approx([line["loss"] for line in log(exact)], rel=0.02)
    assert not same(whole, exact)
    assert {value.dtype for value in weights(whole).values()} == {torch.float32}
    assert estimate(whole).activation_bytes < estimate(exact).activation_bytes


def test_gradients_too_large_for_float16_cost_a_step_and_halve_the_scale(training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken, they would end the run; not counted, the schedule would shift."""
    monkeypatch.setattr(prepare_module, "INITIAL_SCALE", 2.0**40)
    config = training(precision="fp16", epochs=1, save_every=1, keep=9, evaluate_every=0)
    assert train(config)["steps"] == 6
    lines = log(config)
    assert lines[0]["skipped"] == 1.0
    assert "grad_norm" not in lines[0]
    assert [line["loss_scale"] for line in lines[:2]] == [2.0**39, 2.0**38]
    folder = Path(config.output) / "checkpoints"
    assert ckpt.read_state(folder / "step-00000001").scaler is not None
    first, second = (load_file(folder / f"step-0000000{step}" / "weights.safetensors") for step in (1, 2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize(("precision", "says"), [("fp16", "even without scaling: precision: bf16 or fp32"), ("fp32", "lower lr")])
def test_gradients_that_are_never_finite_end_the_run(
    precision: str, says: str, training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipped for ever, a run would do nothing to its end; taken, its weights would be lost."""
    monkeypatch.setattr(prepare_module, "INITIAL_SCALE", 1.0)
    monkeypatch.setattr(World, "sum_gradients", lambda _, parameters: [p.grad.fill_(math.inf) for p in parameters])
    with pytest.raises(TrainingError, match=f"gradients are not finite at step 1.*{says}"):
        train(training(precision=precision, evaluate_every=0))
