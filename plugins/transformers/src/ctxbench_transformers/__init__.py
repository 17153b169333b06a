"""ctxbench models: local vision-language models (VLMs) of Hugging Face transformers, LoRA adapters, and their training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxbench import ModelRecord, hookimpl

if TYPE_CHECKING:
    from ctxbench_transformers.model import HFModel

__version__ = "0.1.0"


def load(folder: Path | str, adapter: Path | str | None = None, **options: Any) -> HFModel:
    """The model in a folder (or under a hub id), with a LoRA adapter if one is named: what ``hf:<folder>`` loads in a config.

    Options are the fields of :class:`ctxbench_transformers.model.HFModel`. Weights are read when the model is first used.

    Raises:
        ModelError: the folder or the adapter is missing or incomplete.
        TypeError, ValueError: an option has the wrong type or is out of range.
    """
    from ctxbench_transformers.model import HFModel

    return HFModel(str(folder), str(adapter) if adapter is not None else None, **options)


@hookimpl
def ctxbench_models() -> Iterable[ModelRecord]:
    """The model ``hf``."""
    yield ModelRecord("hf", "hf:<hub id or folder>: a local vision-language model, read greedily.", "ctxbench_transformers.model:HFModel")


@hookimpl
def ctxbench_commands(cli: Any) -> None:
    """The commands ``data`` and ``train``."""
    from ctxbench_transformers.commands import add_commands

    add_commands(cli)


__all__ = ["load"]
