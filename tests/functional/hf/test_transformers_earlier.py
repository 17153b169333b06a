"""``adapter``: an adapter that is trained further, on other data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from ctxbench import ConfigError, CtxbenchError, ModelError, UsageError
from ctxbench_transformers import provenance
from ctxbench_transformers.data import build
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.estimate import estimate
from ctxbench_transformers.training.loop import train
from tests.functional.hf.results import weights

MakeTraining = Callable[..., TrainConfig]


@pytest.fixture
def first(training: MakeTraining) -> TrainConfig:
    """A finished run whose adapter has every part that an adapter can have."""
    lora = {"r": 4, "alpha": 8, "dropout": 0.1, "use_dora": True, "use_rslora": True, "modules_to_save": ["merger"]}
    config = training("first", lora=lora, max_steps=3, evaluate_every=0)
    train(config)
    return config


@pytest.fixture
def other_data(make_data_config: Callable[..., Any], toys: Path, tmp_path: Path) -> Path:
    """Other records of the toy task."""
    folder = tmp_path / "other"
    build(make_data_config(output=str(folder), samples=8, validation=0.25, buckets=[4], seed=9))
    return folder


def further(training: MakeTraining, first: TrainConfig, output: str, **values: Any) -> TrainConfig:
    """A run that trains the first one's adapter."""
    return training(output, **{"adapter": first.output, "lora": {}, "max_steps": 3, "evaluate_every": 0} | values)


def test_it_begins_with_the_adapter_as_it_is(training: MakeTraining, first: TrainConfig, other_data: Path) -> None:
    """At a rate of 0 nothing changes, in any part; else it goes on from there, and is described as what it is."""
    still = further(training, first, "still", lr=0.0)
    planned = estimate(still)
    train(still)
    before, after = weights(first), weights(still)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert planned.trainable == sum(value.numel() for value in after.values())
    assert planned.training_bytes == estimate(first).training_bytes
    moved = further(training, first, "moved", data=str(other_data))
    train(moved)
    assert any(not torch.equal(before[key], value) for key, value in weights(moved).items())
    told = (Path(moved.output) / "README.md").read_text()
    assert "A LoRA adapter (rank 4, alpha 8, DoRA, rsLoRA, merger trained whole)" in told
    written, earlier = (json.loads((Path(c.output) / "adapter_config.json").read_text()) for c in (moved, first))
    assert written == earlier


def test_the_record_holds_both_trainings(
    training: MakeTraining, first: TrainConfig, other_data: Path, make_data_config: Callable[..., Any]
) -> None:
    """Whoever looks for contamination, or for layouts, must find the first data too; without its record that is unknown, not nothing."""
    moved = further(training, first, "moved", data=str(other_data))
    train(moved)
    record = json.loads((Path(moved.output) / provenance.RECORD).read_text())
    sets = [json.loads((Path(folder) / "ctxbench_data.json").read_text())["fingerprint"] for folder in (*first.data, other_data)]
    assert [some["fingerprint"] for some in record["training_data"]] == sets
    assert (record["earlier_unknown"], record["layouts"]) == (False, {"toy_blocks": {}})
    assert record["adapter_fingerprint"] != record["model_fingerprint"]
    folder = Path(first.output)
    kept = json.loads((folder / provenance.RECORD).read_text())
    (folder / provenance.RECORD).write_text(json.dumps(kept | {"layouts": {"toy_blocks": {"cell": 4}, "another": {"cell": 2}}}))
    train(further(training, first, "layouts", data=str(other_data)))
    told = json.loads((Path(moved.output).with_name("layouts") / provenance.RECORD).read_text())
    assert told["layouts"] == {"another": {"cell": 2}, "toy_blocks": {}}
    several = Path(first.output).with_name("several")
    build(make_data_config(output=str(several), samples=4, buckets=[4], codecs=[{"name": "toy_blocks", "label": label} for label in "ab"]))
    train(further(training, first, "both", data=str(several)))
    told = json.loads((Path(moved.output).with_name("both") / provenance.RECORD).read_text())
    assert told["layouts"] == {"another": {"cell": 2}}  # the new data have the codec in several: the first one's is no longer the one
    (folder / provenance.RECORD).unlink()
    train(further(training, first, "unknown", data=str(other_data)))
    assert json.loads((Path(moved.output).with_name("unknown") / provenance.RECORD).read_text())["earlier_unknown"] is True


def test_it_resumes_bit_for_bit(training: MakeTraining, first: TrainConfig) -> None:
    """With the same adapter alone: another one under that name would have given other weights."""
    whole, broken = (further(training, first, name, max_steps=None, epochs=1) for name in ("whole", "broken"))
    train(whole)
    train(broken)
    (Path(broken.output) / "adapter_model.safetensors").unlink()
    checkpoint = str(Path(broken.output) / "checkpoints" / "step-00000004")
    train(broken, resume=checkpoint)
    left, right = weights(whole), weights(broken)
    assert all(torch.equal(left[key], right[key]) for key in left)
    with pytest.raises(UsageError, match=r"--resume: adapter: .* is another one than that which"):
        train(attrs.evolve(broken, adapter=whole.output), resume=checkpoint)
    with pytest.raises(UsageError, match=r"--resume: adapter: None is another one than that which"):
        train(attrs.evolve(broken, adapter=None, lora=first.lora), resume=checkpoint)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({"lora": {"r": 8}}, ConfigError, r"lora\.r: .*first is trained further as it is, with 4; leave it out"),
        ({"lora": {"modules_to_save": "lm_head"}}, ConfigError, r"lora\.modules_to_save: .* with merger; leave it out"),
        ({"method": "full"}, ConfigError, r"adapter: method: full trains the model's own weights; merge"),
        ({"adapter": "nowhere/at/all"}, ModelError, r"adapter 'nowhere/at/all': no such folder"),
    ],
)
def test_what_does_not_fit_is_refused(
    values: dict[str, Any], kind: type[CtxbenchError], said: str, training: MakeTraining, first: TrainConfig
) -> None:
    """In one line, before the weights are read."""
    with pytest.raises(kind, match=said):
        train(further(training, first, "out", **values))


def test_its_own_shape_may_be_said(training: MakeTraining, first: TrainConfig) -> None:
    """A config that was written for the first run and got one more line is no error."""
    train(further(training, first, "out", lora=attrs.asdict(first.lora), max_steps=1))


def test_an_adapter_of_another_base_is_refused(
    training: MakeTraining, first: TrainConfig, tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its weights would mean nothing there."""
    from ctxbench_transformers.testing import build as make

    with pytest.raises(ModelError, match=r"adapter: .*first was trained on another model than .*\(fingerprint"):
        train(further(training, first, "out", model=str(make(tmp_path / "base", "qwen2_5_vl"))))
    with pytest.raises(ConfigError, match="another_base: true is about adapter"):
        training("none", another_base=True)
    config = Path(first.output) / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"peft_type": "IA3"}))
    with pytest.raises(ModelError, match=r"peft_type 'IA3'; only LoRA"):
        train(further(training, first, "out"))


def test_it_may_go_on_upon_its_base_trained_further(training: MakeTraining, first: TrainConfig) -> None:
    """With the adapter's weights as they were, and both bases on record and in the card."""
    base = training("base", method="full", max_steps=1, evaluate_every=0)
    train(base)
    with pytest.raises(ModelError, match="another_base to true"):
        train(further(training, first, "refused", model=base.output))
    moved = further(training, first, "moved", model=base.output, another_base=True, lr=0.0)
    train(moved)
    before, after = weights(first), weights(moved)
    assert all(torch.equal(before[key], after[key]) for key in before)
    record, old = (json.loads((Path(c.output) / provenance.RECORD).read_text()) for c in (moved, first))
    assert record["adapter_base_fingerprint"] == old["model_fingerprint"] != record["model_fingerprint"]
    assert old["adapter_base_fingerprint"] is None
    told = [(Path(c.output) / "README.md").read_text() for c in (moved, first)]
    assert [f"another base model (fingerprint `{old['model_fingerprint']}`)" in text for text in told] == [True, False]
    train(further(training, moved, "again", model=base.output))  # it is this base's now
