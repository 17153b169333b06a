"""What a run leaves behind: the adapter, or a model folder as its base was, the record of what it was trained on, and the model card."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ctxbench import contamination
from ctxbench.contamination import TrainingData
from ctxbench_transformers import provenance
from ctxbench_transformers.data import Datasets
from ctxbench_transformers.files import write_json
from ctxbench_transformers.resolved import checkpoint_dtype
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import heads, sharding
from ctxbench_transformers.training.card import write_card
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.trainable import trained_parameters
from ctxbench_transformers.training.trainer import Trainer
from ctxbench_transformers.weights import quiet

INDEX = ".safetensors.index.json"
GENERATION = "generation_config.json"
TEMPLATE = "chat_template.jinja"


def write_result(trainer: Trainer, data: Datasets) -> None:
    """Write the weights (the best, where early stopping asks for them), their record and their card, in one process."""
    best = trainer.best_step
    if best is not None and best != trainer.state.step:
        ckpt.load_weights_into(trainer.checkpoints.at(best), trainer.parameters)
    config = trainer.config
    if config.fsdp:
        sharding.ungroup(trainer.runtime.model, keep=trainer.world.first)
    if not trainer.world.first:
        return
    output = Path(config.output)
    if config.method == "full":
        setattr(trainer.runtime.model.config, provenance.MARK, data.fingerprint)
    save_result(trainer.runtime.model, config, trainer.source, output)
    heads.write(output, config, trainer.objective.parts.losses, trainer.parameters)
    record = _record(trainer, data, best)
    write_json(output / provenance.RECORD, record)
    write_card(output, record, output)


def _record(trainer: Trainer, data: Datasets, best: int | None) -> dict[str, Any]:
    config, state = trainer.config, trainer.state
    seen, layouts = _before(trainer)
    codecs = {codec.name for codec in data.codecs}
    return {
        "training_data": [some.plain() for some in contamination.together(seen or (), data.training_data())],
        "earlier_unknown": seen is None,
        "data_fingerprint": data.fingerprint,
        "data_config": data.config,
        "data_records": data.records,
        "data_languages": data.languages,
        provenance.LAYOUTS: {name: some for name, some in layouts.items() if name not in codecs} | provenance.layouts_in(data.codecs),
        "training_config": config.plain(),
        provenance.TEMPLATE: config.chat_template,
        # Whether the base's name is one on the hub can be told here and now alone: a folder of that name may come and go.
        provenance.BASE: None if Path(config.model).expanduser().is_dir() else config.model,
        "model_fingerprint": state.identity["model"],
        "adapter_fingerprint": state.identity.get("adapter"),
        "adapter_base_fingerprint": state.identity.get("adapter_base"),
        "processes": trainer.world.size,
        "steps": best or state.step,
        "validation": state.validation if best is None else state.best_validation,
        "changes": state.changes,
    }


def _before(trainer: Trainer) -> tuple[tuple[TrainingData, ...] | None, Mapping[str, Any]]:
    """What the weights that are trained further had seen, ``None`` if that is not known, and in which layouts."""
    if trainer.config.method == "full":
        folder, seen = trainer.source, provenance.of_model(trainer.source)
    elif trainer.adapter is not None:
        folder, seen = trainer.adapter, provenance.of_adapter(trainer.adapter)
    else:
        return (), {}  # a new adapter
    record = provenance.read_record(folder)
    return seen, record.layouts if record is not None else {}


def save_result(model: Any, config: TrainConfig, source: Path, output: Path) -> None:
    """Write the adapter, or the whole model as its base in ``source`` was.

    The weights are rounded to ``config.output_dtype`` where they are.
    """
    if config.method == "full":
        dtype = checkpoint_dtype(source) if config.output_dtype == "auto" else config.output_dtype
        round_model(model, dtype)
        save_model(model, source, output, chat_template=config.chat_template, code=config.trust_remote_code)
        return
    if config.output_dtype != "auto":
        with torch.no_grad():
            for parameter in trained_parameters(model).values():
                parameter.data = parameter.data.to(getattr(torch, config.output_dtype))
    _save(model, output)
    if config.chat_template is not None:
        (output / TEMPLATE).write_text(config.chat_template, "utf-8")


def round_model(model: Any, dtype: str) -> None:
    """Put a model's weights into ``dtype`` where they are, and say so in its config and in that of each part."""
    model.to(getattr(torch, dtype))
    for config in parts(model.config):
        config.dtype = getattr(torch, dtype)


def parts(config: Any) -> Iterator[Any]:
    """A model's config and those within it."""
    yield config
    for name in getattr(config, "sub_configs", ()):
        if getattr(config, name, None) is not None:
            yield from parts(getattr(config, name))


def save_model(model: Any, source: Path, output: Path, *, chat_template: str | None, code: bool) -> None:
    """Write a whole model as its base in ``source`` was: with its tokenizer, processor, chat template and generation settings.

    Args:
        chat_template: in place of the base's.
        code: with the Python files that come with the base.
    """
    _save(model, output)
    if chat_template is not None:
        (output / TEMPLATE).write_text(chat_template, "utf-8")
    # The model in memory may generate by other settings; the folder keeps those that its base came with, or none.
    (output / GENERATION).unlink(missing_ok=True)
    kinds = (".json", ".jinja", ".txt", ".model", *([".py"] if code else []))
    for path in source.iterdir():
        # An index of the base's files would hide the new ones: loaders read what it names.
        own = path.name == provenance.RECORD or path.name.endswith(INDEX)
        if path.is_file() and path.suffix in kinds and not own and not (output / path.name).exists():
            shutil.copyfile(path, output / path.name)


def _save(model: Any, output: Path) -> None:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(output)
