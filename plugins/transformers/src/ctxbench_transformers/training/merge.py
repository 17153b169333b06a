"""Adds an adapter into the weights of its base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ctxbench import ModelError
from ctxbench_transformers.resolved import checkpoint_dtype
from ctxbench_transformers.training.result import parts, round_model, save_model
from ctxbench_transformers.weights import Placement, load_adapter, load_weights


def merge_adapter(
    adapter: Path, source: Path, output: Path, *, dtype: str, chat_template: str | None, code: bool, marks: dict[str, Any]
) -> str:
    """Write the model in ``source`` with the adapter in its weights into ``output``, as its base was; returns the dtype of the weights.

    What the adapter adds is computed in float32 and added in float32; the sum is rounded to ``dtype`` (``auto``: the base's).

    Args:
        marks: what ``config.json`` says beside.

    Raises:
        ModelError: the adapter does not fit, or a weight is no number in ``dtype``.
    """
    dtype = checkpoint_dtype(source) if dtype == "auto" else dtype
    model = load_adapter(load_weights(source, Placement("cpu", dtype="float32"), trust_remote_code=code), adapter, merge=True)
    untie(model)
    round_model(model, dtype)
    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise ModelError(f"{adapter}: with it, {name} has values that {dtype} does not hold; choose another --dtype")
    for key, value in marks.items():
        setattr(model.config, key, value)
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig()  # the base's may hold what transformers refuses to write; its file is copied
    save_model(model, source, output, chat_template=chat_template, code=code)
    return dtype


def untie(model: Any) -> None:
    """Say in the config that the input and the output embeddings are two, where training has made them two (``modules_to_save: lm_head``).

    Else loaders would drop one of them, or take one for both.
    """
    first, last = (getattr(module, "weight", None) for module in (model.get_input_embeddings(), model.get_output_embeddings()))
    if first is None or last is None or first is last or first.data_ptr() == last.data_ptr():
        return
    for config in parts(model.config):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
