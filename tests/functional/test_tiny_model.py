"""The model ``tiny``: names of adapters, options, and what a user without weights is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import ctxbench_tiny
from ctxbench import ConfigError, ModelError, Prompt, load_plugins
from ctxbench_transformers.testing import build


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the packaged weights: a random model of the same architecture."""
    build(tmp_path / "base")
    monkeypatch.setattr(ctxbench_tiny, "WEIGHTS", tmp_path)
    return tmp_path


def _adapter(folder: Path, base: Path) -> Path:
    import warnings

    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText, set_seed

    set_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = get_peft_model(
            AutoModelForImageTextToText.from_pretrained(base), LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        )
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def test_reads_through_the_code_path_of_hf(weights):
    """The embedded model must answer exactly as ``hf:<its folder>`` does, or it proves nothing about that path."""
    registry = load_plugins()
    prompts = [Prompt((Image.new("RGB", (56, 56), "red"),), "What is it?"), Prompt((), "And this?")]
    tiny, hf = registry.model("tiny", max_new_tokens=6), registry.model(f"hf:{weights / 'base'}", max_new_tokens=6)
    assert [r.text for r in tiny.read(prompts)] == [r.text for r in hf.read(prompts)]
    assert tiny.fingerprint == hf.fingerprint
    assert tiny.count(prompts[0]) == hf.count(prompts[0])


def test_packaged_adapter_by_name_and_own_adapter_by_folder(weights, tmp_path):
    """``--adapter codebook`` and ``--adapter FOLDER`` of the same files are the same adapter."""
    _adapter(weights / "adapters" / "codebook", weights / "base")
    assert ctxbench_tiny.adapters() == ["codebook"]
    registry = load_plugins()
    named, by_folder = registry.model("tiny", adapter="codebook"), registry.model("tiny", adapter=str(weights / "adapters" / "codebook"))
    assert named.adapter_fingerprint == by_folder.adapter_fingerprint != ""
    base = registry.model("tiny", max_new_tokens=12)
    adapted = registry.model("tiny", adapter="codebook", max_new_tokens=12)
    prompt = Prompt((Image.new("RGB", (84, 56), "blue"),), "What is it?")
    assert base.read([prompt])[0].text != adapted.read([prompt])[0].text


def test_config_names_no_folder_of_this_machine(weights):
    """A path in the config would make the same trial another one on another machine."""
    model = load_plugins().model("tiny", dtype="bfloat16", batch_size=4)
    assert str(weights) not in json.dumps(model.config)
    assert load_plugins().model("tiny", **model.config) == model


def test_unknown_adapter_names_those_there_are(weights):
    """A misspelt name must not be taken for a hub id and fetched."""
    _adapter(weights / "adapters" / "codebook", weights / "base")
    with pytest.raises(ModelError, match=r"adapter 'codebok' is neither a packaged one \(codebook\) nor a folder"):
        load_plugins().model("tiny", adapter="codebok")


def test_without_weights_the_error_says_how_to_make_them(tmp_path, monkeypatch):
    """A checkout without weights must fail when the model is made, not at its first answer."""
    monkeypatch.setattr(ctxbench_tiny, "WEIGHTS", tmp_path)
    with pytest.raises(ModelError, match=r"no weights in .* make them: python plugins/tiny/train/make\.py"):
        load_plugins().model("tiny")


def test_wrong_options_are_config_errors(weights):
    """Values out of range must be named, not passed on to torch."""
    with pytest.raises(ConfigError, match="dtype"):
        load_plugins().model("tiny", dtype="int8")
    with pytest.raises(ConfigError, match="max_new_tokens"):
        load_plugins().model("tiny", max_new_tokens=0)
