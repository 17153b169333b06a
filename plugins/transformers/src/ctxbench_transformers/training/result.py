"""What a run leaves behind: the adapter, or a model folder as its base was, and the record of what it was trained on."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from ctxbench import contamination
from ctxbench_transformers import provenance
from ctxbench_transformers.data import Dataset
from ctxbench_transformers.files import write_json
from ctxbench_transformers.resolved import checkpoint_dtype
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.trainable import trained_parameters
from ctxbench_transformers.training.trainer import Trainer
from ctxbench_transformers.weights import quiet

INDEX = ".safetensors.index.json"
GENERATION = "generation_config.json"


def write_result(trainer: Trainer, data: Dataset) -> None:
    """Write the weights (the best, where early stopping asks for them) and their record, in one process."""
    best = trainer.best_step
    if best is not None and best != trainer.state.step:
        ckpt.load_weights_into(trainer.checkpoints.at(best), trainer.parameters)
    if not trainer.world.first:
        return
    config, state = trainer.config, trainer.state
    output = Path(config.output)
    if config.method == "full":
        setattr(trainer.runtime.model.config, provenance.MARK, data.fingerprint)
    save_result(trainer.runtime.model, config, trainer.source, output)
    earlier = provenance.of_model(trainer.source) if config.method == "full" else ()
    record = {
        "training_data": [some.plain() for some in contamination.together(earlier or (), data.training_data())],
        "earlier_unknown": earlier is None,
        "data_fingerprint": data.fingerprint,
        "data_config": data.manifest["config"],
        provenance.LAYOUTS: provenance.layouts_in(data.codecs),
        "training_config": config.plain(),
        provenance.TEMPLATE: config.chat_template,
        "model_fingerprint": state.identity["model"],
        "processes": trainer.world.size,
        "steps": best or state.step,
        "validation": state.validation if best is None else state.best_validation,
        "changes": state.changes,
    }
    write_json(output / provenance.RECORD, record)


def save_result(model: Any, config: TrainConfig, source: Path, output: Path) -> None:
    """Write the adapter, or the whole model with the base's tokenizer, processor, chat template and generation settings.

    The weights are rounded to ``config.output_dtype`` where they are.
    """
    _round(model, config, source)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(output)
    if config.chat_template is not None:
        (output / "chat_template.jinja").write_text(config.chat_template, "utf-8")
    if config.method != "full":
        (output / "README.md").unlink(missing_ok=True)  # peft's empty model card
        return
    # The model in memory generates by the settings of evaluation; the folder keeps those that its base came with, or none.
    (output / GENERATION).unlink(missing_ok=True)
    kinds = (".json", ".jinja", ".txt", ".model", *([".py"] if config.trust_remote_code else []))
    for path in source.iterdir():
        # An index of the base's files would hide the new ones: loaders read what it names.
        own = path.name == provenance.RECORD or path.name.endswith(INDEX)
        if path.is_file() and path.suffix in kinds and not own and not (output / path.name).exists():
            shutil.copyfile(path, output / path.name)


def _round(model: Any, config: TrainConfig, source: Path) -> None:
    """Put the weights into the dtype of the result: by default an adapter's as they were trained, a whole model's as its base has them."""
    if config.output_dtype == "auto" and config.method != "full":
        return
    dtype = getattr(torch, checkpoint_dtype(source) if config.output_dtype == "auto" else config.output_dtype)
    if config.method == "full":
        model.to(dtype)
        _say_dtype(model.config, dtype)
        return
    with torch.no_grad():
        for parameter in trained_parameters(model).values():
            parameter.data = parameter.data.to(dtype)


def _say_dtype(config: Any, dtype: torch.dtype) -> None:
    """A config names a dtype, and so does that of each part."""
    config.dtype = dtype
    for part in getattr(config, "sub_configs", ()):
        if getattr(config, part, None) is not None:
            _say_dtype(getattr(config, part), dtype)
