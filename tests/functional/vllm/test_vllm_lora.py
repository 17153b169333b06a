"""LoRA adapters: what vLLM would leave out is refused, and what it takes goes with every request."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxbench import Model, ModelError, Prompt
from ctxbench_vllm import lora

Make = Callable[..., Model]
Prompts = tuple[Prompt, ...]
LANGUAGE = ("language_model.layers.0.self_attn.q_proj", "language_model.layers.1.mlp.down_proj")
TOWER = ("visual.blocks.0.attn.qkv", "visual.merger.mlp.0")
CONVOLUTION = ("visual.patch_embed.proj",)


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """``adapter(modules)``: a LoRA adapter beside these modules, with weights that change every answer."""

    def make(modules: Sequence[str], name: str = "adapter", **options: Any) -> Path:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForImageTextToText

        torch.manual_seed(1)
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft asks transformers by a deprecated name
            adapted = get_peft_model(model, LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": list(modules), **options}))
        for key, parameter in adapted.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(parameter, std=0.4)
        adapted.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("module", "language"),
    [
        ("model.language_model.layers.0.mlp.down_proj", True),
        ("model.layers.0.mlp.down_proj", True),  # Qwen2-VL's, as adapters of earlier years name them
        ("language_model.model.layers.0.mlp.down_proj", True),
        ("model.text_model.layers.0.mlp.down_proj", True),
        ("lm_head", True),
        ("model.visual.blocks.0.attn.qkv", False),
        ("visual.blocks.0.attn.qkv", False),
        ("model.visual.merger.mlp.0", False),
        ("model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj", False),
        ("model.vision_model.encoder.layers.0.self_attn.q_proj", False),
        ("model.multi_modal_projector.linear_1", False),
        ("model.connector.modality_projection.proj", False),
        ("model.something_new.layers.0.proj", False),
    ],
)
def test_what_is_not_the_language_model_counts_as_vision(module: str, language: bool) -> None:
    """A name that is not known must fall on the side that is refused."""
    assert lora.is_language(module) is language


def test_an_adapter_of_the_language_model_goes_with_every_request(
    vllm: Any, made: Make, hf: Make, prompts: Prompts, adapter: Callable[..., Path]
) -> None:
    """Answers are those of the adapted model, and not one prompt is asked without it."""
    folder = adapter(LANGUAGE)
    model = made(adapter=str(folder))
    texts = [r.text for r in model.read(prompts)]
    assert texts == [r.text for r in hf(adapter=str(folder)).read(prompts)]
    assert texts != [r.text for r in hf().read(prompts)]
    llm = vllm.made[-1]
    requests = [of[3] for kind, of in llm.llm_engine.told if kind == "add"]
    assert [(request.lora_int_id, request.lora_path) for request in requests] == [(1, str(folder))] * 4
    assert {name: llm.arguments[name] for name in ("enable_lora", "max_lora_rank", "enable_tower_connector_lora")} == {
        "enable_lora": True,
        "max_lora_rank": 8,
        "enable_tower_connector_lora": False,
    }
    assert model.adapter_fingerprint == hf(adapter=str(folder)).adapter_fingerprint


def test_the_rank_is_the_largest_of_any_module(made: Make, vllm: Any, prompts: Prompts, adapter: Callable[..., Path]) -> None:
    """A pattern raises single modules above ``r``; vLLM refuses an adapter whose rank is above what it was told."""
    made(adapter=str(adapter(LANGUAGE, rank_pattern={"down_proj": 24}))).read(prompts[:1])
    assert vllm.made[-1].arguments["max_lora_rank"] == 32


def test_weights_of_the_vision_part_are_refused(made: Make, adapter: Callable[..., Path]) -> None:
    """vLLM would leave them out and answer as if nothing were amiss; the message says how to go on."""
    with pytest.raises(ModelError) as caught:
        made(adapter=str(adapter([*LANGUAGE, *TOWER])))
    said = str(caught.value)
    assert "2 modules of the vision part (model.visual.blocks.0.attn.qkv" in said
    assert "tower_lora: true" in said
    assert "merge_and_unload" in said
    assert "\n" not in said


def test_with_tower_lora_they_are_used(
    vllm: Any, made: Make, hf: Make, prompts: Prompts, adapter: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The switch must reach vLLM, and the user must know that it is an experiment there."""
    folder = adapter(TOWER)
    texts = [r.text for r in made(adapter=str(folder), tower_lora=True).read(prompts)]
    assert texts == [r.text for r in hf(adapter=str(folder)).read(prompts)]
    assert vllm.made[-1].arguments["enable_tower_connector_lora"] is True
    made(adapter=str(folder), tower_lora=True)
    assert capsys.readouterr().err.count("experimental in vLLM") == 1


def test_a_convolution_is_refused_even_so(made: Make, adapter: Callable[..., Path]) -> None:
    """vLLM has LoRA for linear layers alone: with tower LoRA on, the patch embedding's weights were left out without an error."""
    with pytest.raises(ModelError, match=r"visual\.patch_embed\.proj, which is no linear layer"):
        made(adapter=str(adapter([*TOWER, *CONVOLUTION])), tower_lora=True)


def test_a_model_whose_vision_part_takes_no_lora_is_refused(
    vllm: Any, made: Make, prompts: Prompts, adapter: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM says so in its log alone, and answers without the weights. If it cannot be found out, that counts as no."""
    from vllm.model_executor.model_loader import utils

    folder = adapter(TOWER)
    for cannot in (lambda config: type("Other", (), {"supports_tower_connector_lora": False}), lambda config: 1 / 0):
        monkeypatch.setattr(utils, "get_model_cls", cannot)
        with pytest.raises(ModelError, match="no LoRA on the vision part of this architecture"):
            made(adapter=str(folder), tower_lora=True).read(prompts[:1])
        assert vllm.made[-1].llm_engine.dead


def test_other_adapters_than_plain_lora_are_refused(made: Make, adapter: Callable[..., Path]) -> None:
    """Whole modules beside the matrices, and weights of another method."""
    with pytest.raises(ModelError, match="more than plain LoRA"):
        made(adapter=str(adapter(LANGUAGE, modules_to_save=["lm_head"])))
    folder = adapter(LANGUAGE, name="dora", use_dora=True)
    with pytest.raises(ModelError, match="lora_magnitude_vector is no LoRA weight"):
        made(adapter=str(folder))


def test_a_rank_beyond_vllms_is_refused(made: Make, adapter: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing that ``max_lora_rank`` could be."""
    monkeypatch.setattr(lora, "RANKS", (1, 2))
    with pytest.raises(ModelError, match="rank 4, and vLLM takes 2 at most"):
        made(adapter=str(adapter(LANGUAGE)))


def test_what_vllm_says_of_an_adapter_is_told(vllm: Any, made: Make, prompts: Prompts, adapter: Callable[..., Path]) -> None:
    """An adapter that it refuses is an error of the run and never an answer without it; the engine's memory is freed."""
    vllm.engine.faults["adapter"] = "expected target modules in {'qkv_proj'}"
    with pytest.raises(ModelError, match="vLLM cannot load it: ValueError: expected target modules"):
        made(adapter=str(adapter(LANGUAGE))).read(prompts[:1])
    assert vllm.made[-1].llm_engine.dead


def test_a_broken_file_is_one_line(made: Make, adapter: Callable[..., Path]) -> None:
    """Half a download must not be a traceback."""
    folder = adapter(LANGUAGE)
    (folder / "adapter_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ModelError, match="its weights cannot be read"):
        made(adapter=str(folder))
    assert json.loads((folder / "adapter_config.json").read_text())["peft_type"] == "LORA"
