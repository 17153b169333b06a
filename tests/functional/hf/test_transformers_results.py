"""What training leaves behind: a model folder as its base was, in the dtype that was asked for, that other programs load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import ctxbench_transformers
from ctxbench import ModelError
from ctxbench_transformers import provenance
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.weights import quiet

MakeTraining = Callable[..., TrainConfig]


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """What a loader reads that keeps, as vLLM's does, the files that the index names where there is an index."""
    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        named = set(json.loads(index.read_text())["weight_map"].values())
        files = [path for path in files if path.name in named]
    return {key: value for path in files for key, value in load_file(path).items()}


def test_a_tuned_model_is_a_folder_as_its_base_was(training: MakeTraining, published: Path) -> None:
    """A stale index hides all weights from vLLM, an emptied generation config loses the stop tokens, float32 doubles the files."""
    config = training(model=str(published), method="full", max_steps=1, evaluate_every=0, save_every=0)
    train(config)
    output = Path(config.output)
    before, after = read_weights(published), read_weights(output)
    assert after.keys() == before.keys()
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    assert any(not torch.equal(after[key], before[key]) for key in before)
    assert json.loads((output / "generation_config.json").read_text()) == json.loads((published / "generation_config.json").read_text())
    settings = json.loads((output / "config.json").read_text())
    assert settings["dtype"] == json.loads((published / "config.json").read_text())["dtype"] == "bfloat16"
    assert "float32" not in json.dumps(settings)
    with quiet():
        from transformers import AutoModelForImageTextToText

        model, info = AutoModelForImageTextToText.from_pretrained(output, dtype="auto", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert 7 in model.generation_config.eos_token_id


def test_the_dtype_of_the_result_can_be_chosen(training: MakeTraining, published: Path) -> None:
    """float32 to train on without loss, 16 bit to hand out; an adapter is written as it was trained unless asked otherwise."""

    def dtypes(**values: Any) -> set[torch.dtype]:
        name = "-".join(f"{value}" for value in values.values())
        config = training(name, model=str(published), max_steps=1, evaluate_every=0, save_every=0, **values)
        train(config)
        return {value.dtype for value in read_weights(Path(config.output)).values()}

    assert dtypes(method="full", output_dtype="float32") == {torch.float32}
    assert dtypes(method="lora") == {torch.float32}
    assert dtypes(method="lora", output_dtype="float16") == {torch.float16}


def test_an_adapter_for_a_template_is_trained_with_it_and_says_so(
    training: MakeTraining, tiny_model: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A base that was published without a template cannot be trained otherwise; read with another one, the adapter sees strange prompts."""
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model("qwen2_vl"), bare)
    own = (bare / "chat_template.jinja").read_text()
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        train(training("none", model=str(bare), max_steps=1))
    (tmp_path / "own.jinja").write_text("Read well. " + own)
    short: dict[str, Any] = {"max_steps": 1, "evaluate_every": 0}
    config = training("polite", model=str(bare), chat_template=str(tmp_path / "own.jinja"), **short)
    plain = training("plain", **short)
    train(config)
    train(plain)
    first = [json.loads((Path(c.output) / "log.jsonl").read_text())["loss"] for c in (config, plain)]
    assert first[0] != first[1]
    record = json.loads((Path(config.output) / provenance.RECORD).read_text())
    assert record["chat_template"] == record["training_config"]["chat_template"] == "Read well. " + own
    assert json.loads((Path(plain.output) / provenance.RECORD).read_text())["chat_template"] is None
    capfd.readouterr()
    ctxbench_transformers.load(bare, config.output, chat_template=f"{config.output}/chat_template.jinja")
    ctxbench_transformers.load(plain.model, plain.output)
    ctxbench_transformers.load(plain.model, plain.output, chat_template=own)
    assert "chat template" not in capfd.readouterr().err
    ctxbench_transformers.load(bare, config.output, chat_template=own)
    assert f"its is {config.output}/chat_template.jinja" in capfd.readouterr().err
    ctxbench_transformers.load(plain.model, plain.output, chat_template="{{ messages }}")
    assert "leave chat_template out" in capfd.readouterr().err


def test_a_tuned_model_brings_the_template_that_it_was_trained_with(training: MakeTraining) -> None:
    """It is the model's own from then on, in every program."""
    own = "Read well. " + (Path(training().model) / "chat_template.jinja").read_text()
    config = training(method="full", chat_template=own, max_steps=1, evaluate_every=0)
    train(config)
    assert load_processor(Path(config.output)).chat_template == own
