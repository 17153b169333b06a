"""What a model or an adapter was trained on, kept beside its weights in one file, so that no copy can hold one half of it.

``ctxbench_training.json`` names the training data and the base model, and lists records of n-grams (see :mod:`ctxbench.contamination`).
A model that ``ctxbench train`` tuned as a whole says so in its ``config.json`` too: without the file it counts as trained on unknown data.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ModelError, contamination
from ctxbench.config import ComponentConfig
from ctxbench.contamination import TrainingData
from ctxbench_transformers import templates

RECORD = contamination.FILE
MARK = "ctxbench_training"
"""Key of ``config.json`` in a model that was tuned as a whole; its value is the fingerprint of the data."""


LAYOUTS = "layouts"
"""Key of the record: the options of the codecs that were trained on."""
TEMPLATE = "chat_template"
"""Key of the record: the chat template that it was trained with, null for the base model's own. Early records do not have it."""
BASE = "base_model"
"""Key of the record: the base model's id on the hub, null for one that was a folder. Early records do not have it."""


@attrs.frozen(eq=False)
class TrainingRecord:
    """What is known of a training.

    Attributes:
        base: fingerprint of the base model.
        data: the data sets of this and earlier trainings; ``None`` if those of one of them are not known.
        layouts: the options of each codec whose pages it saw, by codec name.
        template: the chat template that was given for it, ``None`` for the base model's own; ``told`` says whether the record tells.
    """

    base: str | None
    data: tuple[TrainingData, ...] | None
    layouts: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    template: str | None = None
    told: bool = False


def read_record(folder: Path) -> TrainingRecord | None:
    """The record beside a model's or an adapter's weights, ``None`` if there is none.

    Raises:
        ModelError: it is there and broken.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    stat = path.stat()
    return _read(folder.resolve(), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _read(folder: Path, size: int, changed: int) -> TrainingRecord:
    """A record; size and time of change are in the key so that a rewritten file is read again."""
    data = contamination.read(folder)
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        known = None if record.get("earlier_unknown") else data
        layouts = dict(record.get(LAYOUTS) or {})
        return TrainingRecord(record.get("model_fingerprint"), known, layouts, record.get(TEMPLATE), TEMPLATE in record)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / RECORD}: broken training record ({type(error).__name__}: {error}); remove it to go without") from None


def of_model(folder: Path) -> tuple[TrainingData, ...] | None:
    """What a whole model was trained on. Empty if nothing says so; ``None`` if ctxbench trained it and the record is missing.

    Raises:
        ModelError: the record or config.json is broken.
    """
    record = read_record(folder)
    if record is not None:
        return record.data
    try:
        return None if MARK in json.loads((folder / "config.json").read_text("utf-8")) else ()
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from None


def of_adapter(folder: Path) -> tuple[TrainingData, ...] | None:
    """What an adapter was trained on; ``None`` if there is no record, for an adapter was trained on something.

    Raises:
        ModelError: the record is broken.
    """
    record = read_record(folder)
    return None if record is None else record.data


def of_reader(model: Path, adapter: Path | None) -> tuple[TrainingData, ...] | None:
    """What a model and its adapter were trained on, ``None`` if that is not known of one of them."""
    parts = [of_model(model), *([] if adapter is None else [of_adapter(adapter)])]
    known = [part for part in parts if part is not None]
    return contamination.together(*known) if len(known) == len(parts) else None


def layouts_of(model: Path, adapter: Path | None) -> dict[str, Mapping[str, Any]]:
    """The options of each codec whose pages a model and its adapter saw; the adapter's count first.

    Raises:
        ModelError: a record is broken.
    """
    records = [read_record(folder) for folder in (model, adapter) if folder is not None]
    return {codec: options for record in records if record for codec, options in record.layouts.items()}


def layouts_in(codecs: Iterable[ComponentConfig]) -> dict[str, dict[str, Any]]:
    """The options of each codec of a training set, defaults left open; none of a codec that it has in several layouts."""
    found: dict[str, list[dict[str, Any]]] = {}
    for codec in codecs:
        found.setdefault(codec.name, []).append(dict(codec.options))
    return {name: given[0] for name, given in found.items() if len(given) == 1}


_warned: set[tuple[str, str]] = set()


def warn_if_other_base(adapter: str, record: TrainingRecord | None, model_fingerprint: str) -> None:
    """Say on standard error, once, that an adapter was trained on another base model than the one it is put on."""
    key = (adapter, model_fingerprint)
    if record is not None and record.base not in (None, model_fingerprint) and key not in _warned:
        _warned.add(key)
        print(
            f"ctxbench: adapter {adapter!r} was trained on another base model (fingerprint {record.base}, here {model_fingerprint}); "
            "its answers here may mean nothing",
            file=sys.stderr,
        )


def warn_if_other_template(adapter: str, record: TrainingRecord | None, folder: Path, given: str | None) -> None:
    """Say on standard error, once, that an adapter was trained with another chat template than the one it is read with.

    ``given``: the reader's own; ``None`` is that of the base model in ``folder``, as in the record.
    """
    if record is None or not record.told or record.template == given:
        return
    own = templates.of_folder(folder)
    trained, read = (own if text is None else text for text in (record.template, given))
    if trained != read and (key := (adapter, f"template {hash(read)}")) not in _warned:
        _warned.add(key)
        what = "that of the base model alone: leave chat_template out" if record.template is None else f"{adapter}/chat_template.jinja"
        print(
            f"ctxbench: adapter {adapter!r} was trained with another chat template than the one here; its is {what}",
            file=sys.stderr,
        )
