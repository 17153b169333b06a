"""All that is known of a model and its adapter before weights are read; the same for every backend that reads such folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ctxbench import Reading
from ctxbench.contamination import TrainingData
from ctxbench_transformers import provenance, sources


@attrs.frozen(eq=False)
class Located:
    """A model's folder and its adapter's, and what their files say.

    Attributes:
        adapter_folder: ``None`` without an adapter.
        fingerprint: of every file of the model that decides an answer. ``adapter_fingerprint``: the adapter's, or an empty string.
        family: the token counter whose rule the processor should follow, if one is known.
        training_data: what both were trained on; ``None`` if that is not known.
        layouts: the options of each codec whose pages they were trained on, by codec name.
    """

    folder: Path
    adapter_folder: Path | None
    fingerprint: str
    adapter_fingerprint: str
    family: str | None
    training_data: tuple[TrainingData, ...] | None
    layouts: Mapping[str, Mapping[str, Any]]


def locate(
    reference: str, adapter: str | None, *, revision: str | None = None, code: bool = False, chat_template: str | None = None
) -> Located:
    """Find a model and its adapter, each a folder or an id on the hub; ``code``: with Python files of the model's own.

    An adapter that was trained on another base model or with another chat template is called out on standard error.

    Raises:
        ModelError: one of them is missing or incomplete.
    """
    folder = sources.check_model(sources.locate(reference, revision, code=code), reference)
    where = None if adapter is None else sources.check_adapter(sources.locate(adapter, what="adapter"), adapter)
    found = Located(
        folder=folder,
        adapter_folder=where,
        fingerprint=sources.model_fingerprint(folder),
        adapter_fingerprint=sources.adapter_fingerprint(where) if where else "",
        family=sources.token_family(folder),
        training_data=provenance.of_reader(folder, where),
        layouts=provenance.layouts_of(folder, where),
    )
    if adapter is not None and where is not None:
        record = provenance.read_record(where)
        provenance.warn_if_other_base(adapter, record, found.fingerprint)
        provenance.warn_if_other_template(adapter, record, folder, chat_template)
    return found


def with_training_data(readings: Sequence[Reading], data: Sequence[TrainingData] | None) -> list[Reading]:
    """The readings, each with the fingerprints of what the weights were trained on, if that is known and anything."""
    if not data:
        return list(readings)
    trained = sorted(each.fingerprint for each in data)
    return [attrs.evolve(reading, metadata={**reading.metadata, "training_data": trained}) for reading in readings]
