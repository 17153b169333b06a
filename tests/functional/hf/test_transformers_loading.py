"""Naming a model: options, folders and hub ids that are none, fingerprints, and code that must not run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ctxbench
import ctxbench_transformers
from ctxbench import ModelError, Prompt, load_plugins
from ctxbench_transformers import sources

Folder = Callable[[str], Path]
PROMPTS = (Prompt((), "text only", max_new_tokens=8),)


def test_an_adapter_of_another_architecture_is_refused(tiny_model: Folder, tmp_path: Path) -> None:
    """peft warns about missing keys and goes on with random ones; the answers would be the base model's."""
    from ctxbench_transformers import settings
    from ctxbench_transformers.training.config import TrainConfig
    from ctxbench_transformers.training.result import save_result
    from ctxbench_transformers.training.trainable import load_trainable

    config = settings.make(TrainConfig, {"precision": "fp32", "lora": {"target_modules": ["q_proj"]}})
    trained = load_trainable(config, tiny_model("llava"), torch.device("cpu"))
    save_result(trained, config, tiny_model("llava"), tmp_path / "adapter")
    model = ctxbench_transformers.load(tiny_model("idefics3"), tmp_path / "adapter")
    with pytest.raises(ModelError, match="does not fit this model"):
        model.read(PROMPTS[:1])


def test_the_registry_makes_it_from_a_config_and_the_config_round_trips(tiny_model: Folder) -> None:
    """``hf:<folder>`` and options; batch size is no part of what identifies a trial."""
    registry = load_plugins()
    model = registry.model(f"hf:{tiny_model('qwen2_vl')}", dtype="float32", batch_size=2)
    assert "batch_size" not in model.config
    json.dumps(model.config)
    assert registry.make("model", "hf", **model.config) == model
    assert model.family == "qwen2-vl"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"dtype": "int7"}, "int7"), ({"temperature": -1}, "-1"), ({"quantization": "3bit"}, "3bit"), ({"max_new_tokens": 0}, "0")],
)
def test_wrong_options_quote_the_value(options: dict[str, Any], message: str, tiny_model: Folder) -> None:
    """A wrong value must fail before any weights are read."""
    with pytest.raises((TypeError, ValueError), match=message):
        ctxbench_transformers.load(tiny_model("qwen2_vl"), **options)


def test_a_model_without_a_reference_says_how_to_write_one() -> None:
    """``-m hf`` alone."""
    with pytest.raises(ctxbench.ConfigError, match="hf:<hub id or folder>"):
        load_plugins().model("hf")


def test_folders_that_are_no_model_say_what_is_missing(tiny_model: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line each: no folder, no config, no safetensors, an adapter, a broken file, weights that lack a tensor."""
    with pytest.raises(ModelError, match="no such folder"):
        ctxbench_transformers.load(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"no config\.json"):
        ctxbench_transformers.load(tmp_path)
    (tmp_path / "config.json").write_text((tiny_model("qwen2_vl") / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="safetensors"):
        ctxbench_transformers.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"):
        (tmp_path / name).write_text((tiny_model("qwen2_vl") / name).read_text())
    with pytest.raises(ModelError, match="cannot be loaded"):
        ctxbench_transformers.load(tmp_path).read(PROMPTS[:1])
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_model("qwen2_vl") / "model.safetensors")
    tensors.pop("lm_head.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 1 tensors"):
        ctxbench_transformers.load(tmp_path).read(PROMPTS[:1])
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        ctxbench_transformers.load(tiny_model("qwen2_vl"), tiny_model("llava"))


def test_smolvlm_without_num2words_says_what_to_install(tiny_model: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processor alone needs that package, which is an extra: the line names the extra, and no other model asks for it."""
    from transformers.models.smolvlm import processing_smolvlm

    smolvlm, others = tiny_model("smolvlm"), tiny_model("idefics3")
    monkeypatch.setattr(processing_smolvlm, "num2words", None)  # what transformers has there when the package is missing
    with pytest.raises(ModelError, match=r"needs the package num2words: pip install 'ctxbench-transformers\[smolvlm\]'$") as caught:
        ctxbench_transformers.load(smolvlm).count(PROMPTS[0])
    assert "\n" not in str(caught.value)
    assert ctxbench_transformers.load(others).count(PROMPTS[0]).prompt > 0


def test_a_hub_id_that_cannot_be_fetched_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, the error names the id and the way out."""
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> str:
        raise OSError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match="hf download some/model") as caught:
        ctxbench_transformers.load("some/model")
    assert "\n" not in str(caught.value)


def test_a_fingerprint_names_content_and_not_the_place(tiny_model: Folder, tmp_path: Path) -> None:
    """A copy has the same fingerprint; one changed byte of the chat template another."""
    folder = tiny_model("qwen2_vl")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert sources.model_fingerprint(copy) == sources.model_fingerprint(folder)
    (copy / "chat_template.jinja").write_text((folder / "chat_template.jinja").read_text() + " ")
    assert sources.model_fingerprint(copy) != sources.model_fingerprint(folder)


def test_remote_code_stays_off_unless_asked_for(tiny_model: Folder, tmp_path: Path) -> None:
    """A folder whose config points at its own Python must not run it."""
    folder = tmp_path / "remote"
    shutil.copytree(tiny_model("qwen2_vl"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "never_heard_of", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('this ran')\n")
    with pytest.raises(ModelError):
        ctxbench_transformers.load(folder).read(PROMPTS[:1])
