"""What can be trained beside plain LoRA: DoRA, rsLoRA, whole modules; batches of like length; moments in 8 bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ctxbench_transformers
from ctxbench import ConfigError
from ctxbench_transformers import provenance
from ctxbench_transformers.data import Dataset, Datasets, build
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import Sampled, TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.estimate import estimate
from ctxbench_transformers.training.evaluate import evaluate
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.prepare import make_trainer, prepare
from ctxbench_transformers.training.schedule import Schedule
from ctxbench_transformers.weights import Placement, load_weights, quiet
from tests.functional.hf.results import weights

CPU = torch.device("cpu")
MakeTraining = Callable[..., TrainConfig]


LORA: dict[str, dict[str, Any]] = {
    "dora and rslora": {"use_dora": True, "use_rslora": True},
    "whole": {"modules_to_save": ["merger", "lm_head"], "target_modules": "all"},
}


@pytest.mark.parametrize("variant", LORA)
def test_a_variant_of_lora_is_the_same_in_plain_peft(variant: str, training: MakeTraining) -> None:
    """Its loss there must be the one that was measured in training: a scale or a module that is lost changes it and nobody is told."""
    lora = {"r": 4, "alpha": 8, "dropout": 0.0} | LORA[variant]
    config = training(lora=lora, lr=0.02, max_steps=3, evaluate_every=3, evaluate_samples=2, save_every=0)
    planned = estimate(config)
    train(config)
    trainer = make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)
    assert planned.trainable == sum(p.numel() for p in trainer.parameters.values()) == sum(v.numel() for v in weights(config).values())
    assert {p.dtype for p in trainer.parameters.values()} == {torch.float32}
    written = json.loads((Path(config.output) / "adapter_config.json").read_text())
    assert (written["use_dora"], written["use_rslora"]) == (variant != "whole", variant != "whole")
    assert written["modules_to_save"] == (["model.visual.merger", "lm_head"] if variant == "whole" else None)
    measured = json.loads((Path(config.output) / provenance.RECORD).read_text())["validation"]["loss"]

    def loss(model: Any) -> float:
        trainer.runtime.model = model
        return evaluate(trainer.runtime, trainer.validation[:2], {}, 6, World(), trainer.precision).pooled["loss"]

    base = load_weights(Path(config.model), Placement("cpu"))
    before = loss(base)
    with quiet(), warnings.catch_warnings():
        from peft import PeftModel

        warnings.simplefilter("ignore")  # peft asks transformers in an old way
        plain = PeftModel.from_pretrained(base, config.output)
    assert loss(plain) == pytest.approx(measured, rel=1e-4)
    assert abs(before - measured) > 1e-2
    prompts = [example.prompt for example in Datasets(config.data).split("validation")[:2]]
    short = {"max_new_tokens": 6}
    bare, adapted = ctxbench_transformers.load(config.model, **short), ctxbench_transformers.load(config.model, config.output, **short)
    own = [reading.text for reading in bare.read(prompts)]
    assert [reading.text for reading in adapted.read(prompts)] != own
    assert [reading.text for reading in bare.read(prompts)] == own  # the base in memory is as it was


def test_a_variant_resumes_bit_for_bit_in_bf16(training: MakeTraining) -> None:
    """Frozen weights in bfloat16, and what is trained in float32, the whole modules too."""
    lora = {"r": 4, "alpha": 8, "dropout": 0.1, "use_dora": True, "use_rslora": True, "modules_to_save": ["merger"]}
    whole, broken = (training(name, lora=lora, precision="bf16", epochs=1, save_every=2, evaluate_every=0) for name in ("whole", "broken"))
    train(whole)
    train(broken)
    (Path(broken.output) / "adapter_model.safetensors").unlink()
    train(broken, resume=str(Path(broken.output) / "checkpoints" / "step-00000004"))
    left, right = weights(whole), weights(broken)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert {value.dtype for value in left.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("method", "modules", "said"),
    [
        ("lora", ["mreger"], r"'mreger' matches no module with weights.*merger"),
        ("lora", ["merger", "visual"], r"visual\.merger is a part of model\.visual"),
        ("qlora", ["merger"], r"in 4 bit and cannot be trained"),
    ],
)
def test_modules_that_cannot_be_trained_whole_are_refused(method: str, modules: list[str], said: str, training: MakeTraining) -> None:
    """Each would train something else than was meant, or nothing."""
    with pytest.raises(ConfigError, match=said):
        train(training(method=method, lora={"modules_to_save": modules}))


def waiting(schedule: Schedule, lengths: Any) -> float:
    """What two processes, whose passes cost what their longest example does, wait for each other, as a share of their time."""
    spent = [[sum(int(lengths[some].max()) for some in schedule.indices(step, rank)) for rank in (0, 1)] for step in range(schedule.steps)]
    return 1 - sum(map(sum, spent)) / (2 * sum(map(max, spent)))


def test_examples_of_like_length_go_together(training: MakeTraining, toy_data: Path) -> None:
    """Each example still comes once an epoch, steps come in no order of length, and the padding falls; epochs that end in mid-step too."""
    config = training(group_by_length=True, epochs=4, batch_size=3, accumulation=2)
    chance = np.random.default_rng(0)
    lengths = chance.integers(10, 1000, 100)  # 100 is no multiple of 6: a step straddles two epochs
    plain, grouped = Schedule(config, 100), Schedule(config, 100, lengths=lengths)

    def passes(schedule: Schedule, world: int = 1) -> list[list[int]]:
        return [some for step in range(schedule.steps) for rank in range(world) for some in schedule.indices(step, rank)]

    def padded(schedule: Schedule) -> int:
        return sum(int(lengths[some].max()) * len(some) for some in passes(schedule))

    seen = [i for some in passes(grouped) for i in some]
    epochs = [seen[start : start + 100] for start in range(0, 400, 100)]
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    needed = 4 * int(lengths.sum())
    assert padded(grouped) - needed < (padded(plain) - needed) / 4
    order = [int(lengths[some].max()) for some in passes(grouped)[:30]]
    assert order not in (sorted(order), sorted(order, reverse=True))
    assert Schedule(config, 100, lengths=lengths.copy()).indices(20) == grouped.indices(20)
    two = attrs.evolve(config, accumulation=1)
    assert passes(Schedule(two, 100, 2, lengths), 2) == passes(grouped)
    assert waiting(Schedule(two, 100, 2, lengths), lengths) < 0.1
    sampled = attrs.evolve(two, sampling=(Sampled(),), epochs=0, max_steps=70)
    assert waiting(Schedule(sampled, 100, 2, lengths, [np.arange(100)]), lengths) < 0.1
    trainer = make_trainer(prepare(attrs.evolve(config, batch_size=12, accumulation=1), World(), CPU), ckpt.State(), CPU)
    counted = [row["tokens"] for row in trainer.train.rows]
    assert trainer.schedule.lengths is not None
    assert trainer.schedule.lengths.tolist() == [tokens["text"] + tokens["visual"] + tokens["answer"] for tokens in counted]
    assert {frozenset(trainer.train[i].sample.bucket for i in some) for some in passes(trainer.schedule)} == {
        frozenset([3]),
        frozenset([5]),
    }


def test_lengths_are_read_from_a_table_without_its_images(make_data_config: Callable[..., Any], toys: Path, tmp_path: Path) -> None:
    """Parquet keeps pages inside; both formats must count alike."""
    found = []
    for kind in ("parquet", "jsonl"):
        build(make_data_config(output=str(tmp_path / kind), samples=6, buckets=[3, 5], format=kind))
        found.append(Dataset(tmp_path / kind).split("train").lengths())
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_8_bit_moments_train_and_resume_bit_for_bit(training: MakeTraining) -> None:
    """What bitsandbytes keeps beside the moments (tables, scales, plain step counts) must come back as it was."""
    lora = {"r": 64, "alpha": 64, "dropout": 0.1}  # matrices of 4,096 elements and more, and smaller ones, which stay in 32 bit
    whole, broken, exact = (
        training(name, lora=lora, optimizer=kind, epochs=1, save_every=2, evaluate_every=0)
        for name, kind in (("whole", "adamw8bit"), ("broken", "adamw8bit"), ("exact", "adamw"))
    )
    for config in (whole, broken, exact):
        train(config)
    middle = Path(broken.output) / "checkpoints" / "step-00000004"
    kinds = {value.dtype for value in load_file(middle / "optimizer.safetensors").values()}
    assert {torch.uint8, torch.float32} <= kinds
    train(broken, resume=str(middle))
    assert all(torch.equal(value, weights(broken)[key]) for key, value in weights(whole).items())
    assert any(not torch.equal(value, weights(exact)[key]) for key, value in weights(whole).items())
    last = [json.loads((Path(c.output) / "log.jsonl").read_text().splitlines()[-1])["loss"] for c in (whole, exact)]
    assert last[0] == pytest.approx(last[1], rel=0.05)
    trainer = make_trainer(prepare(whole, World(), CPU), ckpt.State(), CPU)
    trainer.load(ckpt.Checkpoints(Path(whole.output) / "checkpoints").latest())
    held = sum(v.nbytes for state in trainer.optimizers[0].state.values() for key, v in state.items() if key[:5] in ("state", "absma"))
    trained = sum(p.nbytes for p in trainer.parameters.values())
    assert estimate(whole).training_bytes == 2 * trained + held
    assert estimate(exact).training_bytes == 4 * trained


def test_8_bit_moments_that_do_not_work_are_refused_before_the_weights_are_read(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package; where its kernels raise; where they do nothing without a word."""
    import bitsandbytes.optim

    def loaded(*_: Any, **__: Any) -> None:
        raise AssertionError("the weights were read")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr("ctxbench_transformers.training.prepare.load_trainable", loaded)
    config = training(optimizer="adamw8bit")
    for step, said in ((broken, "does not work on cpu: no kernel image"), (lambda *_: None, "its step changes nothing")):
        with monkeypatch.context() as patch:
            patch.setattr(bitsandbytes.optim.AdamW8bit, "step", step)
            with pytest.raises(ConfigError, match=said):
                train(config)
    monkeypatch.setattr("transformers.utils.is_bitsandbytes_available", lambda: False)
    with pytest.raises(ConfigError, match="needs bitsandbytes: pip install"):
        train(config)
