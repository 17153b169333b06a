"""Small models with random weights, one folder each: every architecture's whole path can be run in a second, without a download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ctxbench_transformers.testing import google, idefics, llava, qwen
from ctxbench_transformers.testing.qwen import QWEN2_VL_2B, QWEN_TEMPLATE, QWEN_TOKENS
from ctxbench_transformers.testing.recipes import Recipe, byte_tokenizer
from ctxbench_transformers.weights import quiet

SCALE = 6.0
"""Weights are this much larger than usual: a freshly initialised model says one token for ever, which would hide mistakes."""

RECIPES: dict[str, Recipe] = {**qwen.RECIPES, **idefics.RECIPES, **llava.RECIPES, **google.RECIPES}
ARCHITECTURES = tuple(RECIPES)
"""Names that :func:`build` takes: transformers' own model types, and ``pixtral`` for LLaVA with Pixtral's encoder."""
TRAINED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "idefics3", "smolvlm", "llava", "llava_next", "deepseek_ocr2")
"""Those whose training, adapters and quantised weights are tested too."""


def build(folder: Path | str, architecture: str = "qwen2_vl", *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """Write a model of ``architecture`` with random weights, its tokenizer, processor and chat template into ``folder``.

    About 200,000 parameters; the folder holds what a hub repository holds (safetensors only).
    """
    folder = Path(folder)
    recipe = RECIPES[architecture]
    tokenizer = recipe.tokenizer()
    parts = recipe.parts(tokenizer)
    torch.manual_seed(seed)
    with quiet():
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_config(parts.config).to(dtype)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1:
                    parameter.mul_(SCALE)
                elif "gate" in name and not parameter.any():  # a gate that is shut hides the images
                    parameter.fill_(1.0)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(folder)
    write_processor(folder, tokenizer, parts.processor, parts.template)
    return folder


def write_processor(folder: Path, tokenizer: Any, processor: dict[str, Any], template: str | None) -> None:
    """Write a tokenizer, ``processor_config.json`` and ``chat_template.jinja``, if there is one, as a hub repository holds them."""
    tokenizer.save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2), "utf-8")


__all__ = ["ARCHITECTURES", "QWEN2_VL_2B", "QWEN_TEMPLATE", "QWEN_TOKENS", "TRAINED", "build", "byte_tokenizer", "write_processor"]
