"""What a model or an adapter was trained on, kept beside its weights, so that an evaluation can tell when it asks for something learned.

``ctxbench_training.json`` names the training data; ``ctxbench_contexts.bin`` holds the first 8 bytes of the SHA-256 of every training
context, sorted, big-endian. By chance, one of a million contexts is taken for another with a probability below 1e-7 a question.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ctxbench import ModelError

RECORD = "ctxbench_training.json"
CONTEXTS = "ctxbench_contexts.bin"
_PREFIX = 16  # hexadecimal digits


@attrs.frozen(eq=False)
class TrainingRecord:
    """Fingerprints of the training data and of the base model, and the sorted prefixes of the contexts' hashes, dtype uint64."""

    data: str
    base: str | None
    prefixes: np.ndarray[Any, np.dtype[np.uint64]]

    def holds(self, context_sha256: str) -> bool:
        """Whether a context with this SHA-256 (64 hexadecimal digits) was trained on."""
        wanted = np.uint64(int(context_sha256[:_PREFIX], 16))
        place = int(np.searchsorted(self.prefixes, wanted))
        return place < len(self.prefixes) and bool(self.prefixes[place] == wanted)


def write_contexts(folder: Path, hashes: Iterable[str]) -> int:
    """Write the prefixes of SHA-256 hashes (hexadecimal); returns how many differ."""
    prefixes = np.unique(np.fromiter((int(value[:_PREFIX], 16) for value in hashes), dtype=np.uint64))
    (folder / CONTEXTS).write_bytes(prefixes.astype(">u8").tobytes())
    return len(prefixes)


def read_record(folder: Path) -> TrainingRecord | None:
    """The record beside a model's or an adapter's weights, ``None`` if there is none.

    Raises:
        ModelError: it is there and broken.
    """
    if not (folder / RECORD).is_file():
        return None
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        raw = (folder / CONTEXTS).read_bytes() if (folder / CONTEXTS).is_file() else b""
        prefixes = np.frombuffer(raw, dtype=">u8").astype(np.uint64)
        return TrainingRecord(str(record["data_fingerprint"]), record.get("model_fingerprint"), prefixes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / RECORD}: broken training record ({type(error).__name__}: {error}); remove it to go without") from None


_records: dict[str, TrainingRecord] = {}
_warned: set[tuple[str, str]] = set()


def register(folder: Path, fingerprint: str) -> None:
    """Remember the training record in ``folder``, if there is one, under the fingerprint that result rows carry."""
    record = read_record(folder)
    if record is not None:
        _records[fingerprint] = record


def warn_if_other_base(adapter: str, adapter_fingerprint: str, model_fingerprint: str) -> None:
    """Say on standard error, once, that an adapter was trained on another base model than the one it is put on."""
    record = _records.get(adapter_fingerprint)
    key = (adapter_fingerprint, model_fingerprint)
    if record is not None and record.base not in (None, model_fingerprint) and key not in _warned:
        _warned.add(key)
        print(
            f"ctxbench: adapter {adapter!r} was trained on another base model (fingerprint {record.base}, here {model_fingerprint}); "
            "its answers here may mean nothing",
            file=sys.stderr,
        )


def data_fingerprint(fingerprint: str) -> str | None:
    """The fingerprint of the data that the model or adapter of this fingerprint was trained on, if it is known."""
    record = _records.get(fingerprint)
    return record.data if record else None


def warn_if_trained_on(result: Any) -> None:
    """Say on standard error, once a reader and task, that a trial's context was among the training data."""
    for fingerprint in (result.adapter_fingerprint, result.model_fingerprint):
        record = _records.get(fingerprint)
        if record is None or result.context_sha256 is None or not record.holds(result.context_sha256):
            continue
        key = (fingerprint, result.task)
        if key not in _warned:
            _warned.add(key)
            what = f"adapter {result.adapter!r}" if fingerprint == result.adapter_fingerprint else f"model {result.model!r}"
            print(
                f"ctxbench: {what} was trained on a context that this run evaluates (task {result.task!r}, trial {result.trial_id}, "
                f"training data {record.data[:12]}); its score there measures memory",
                file=sys.stderr,
            )
