"""The stages of ``stages.yaml``: what each trains, from which weights, on which tracks."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import torch
import yaml

from tinytrain import words
from tinytrain.attention_loss import COLUMNS, Head, looking_heads
from tinytrain.batches import Example
from tinytrain.curriculum import Track
from tinytrain.model import make_config
from tinytrain.pages import GLYPHS_A_TILE, RENDER
from tinytrain.sources import TaskSource, make_source
from tinytrain.training import Settings, Trainer

CURRICULUM = ("weight", "climb", "focus")


def load_stages(path: Path) -> dict[str, Any]:
    """The parsed file."""
    parsed: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return parsed


def make_tracks(options: dict[str, dict[str, Any]]) -> list[Track]:
    """The tracks that a stage describes."""
    made = []
    for name, option in options.items():
        own = {key: option[key] for key in CURRICULUM if key in option}
        source = make_source({key: value for key, value in option.items() if key not in CURRICULUM})
        made.append(Track(name, source, **own))
    return made


def make_model(options: dict[str, Any], seed: int = 0, words: int = 0) -> Any:
    """A new model with random weights, for ``words`` words beside the bytes. Attention is plain: on a CPU in bfloat16 it is the fastest."""
    from transformers import Qwen2VLForConditionalGeneration

    torch.manual_seed(seed)
    return Qwen2VLForConditionalGeneration._from_config(make_config(**options, words=words), attn_implementation="eager")


def with_adapter(model: Any, options: dict[str, Any]) -> Any:
    """``model`` frozen, with a new LoRA adapter in training."""
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that its next major release drops
        return get_peft_model(model, LoraConfig(**options))


def base_of(config: dict[str, Any], name: str) -> str:
    """The stage whose checkpoint has the base that a stage's adapter is for; a stage without an adapter is its own."""
    while "adapter" in config["stages"][name]:
        name = config["stages"][name]["after"]
    return name


def make_trainer(config: dict[str, Any], name: str, folder: Path, *, begun: bool = False) -> Trainer:
    """The trainer of a stage, at its start: weights of the stage that it builds on, from ``folder``, or new ones.

    Args:
        begun: the caller restores the stage's own checkpoint, so that of the stage before is not needed; an adapter's base is.
    """
    stage = config["stages"][name]
    settings = Settings(**stage["settings"])
    model = make_model(config["model"], settings.seed, len(words.entries()) if "adapter" in stage else 0)
    visual = model.model.visual
    looking: list[Head] = []
    before = torch.load(folder / f"{stage['after']}.pt", weights_only=True) if "after" in stage and not begun else None
    if "adapter" in stage:
        model.load_state_dict(words.with_words(base_weights(config, name, folder)), strict=False)
        if settings.look:
            looking = looking_heads(model, _printed())
        torch.manual_seed(settings.seed)
        model = with_adapter(model, stage["adapter"])
        if before is not None and "adapter" in config["stages"][stage["after"]]:
            model.load_state_dict(before["model"], strict=False)
    trainer = Trainer(model, visual, make_tracks(stage["tracks"]), settings, config["model"]["hidden"], looking)
    if before is not None:
        trainer.start_from(before if "adapter" not in stage else {**before, "model": {}})
    return trainer


def _printed() -> list[Example]:
    """Copies of printed pages, to see where the base looks."""
    source = TaskSource("json_restore", "render", [128], codec_options={**RENDER, "columns": GLYPHS_A_TILE * COLUMNS - 1})
    return [source.make(random.Random(i), 128) for i in range(8)]


def base_weights(config: dict[str, Any], name: str, folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the base that a stage's adapter is for."""
    weights: dict[str, torch.Tensor] = torch.load(folder / f"{base_of(config, name)}.pt", weights_only=True)["model"]
    return weights
