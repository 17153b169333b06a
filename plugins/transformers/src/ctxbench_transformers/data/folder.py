"""The folder of a data set: there whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ConfigError
from ctxbench.contamination import FILE, Collector
from ctxbench_transformers.data.record import Record
from ctxbench_transformers.files import whole_folder, write_json

MANIFEST = "ctxbench_data.json"


@attrs.define
class Tally:
    """What is known of the data so far."""

    digest: Any = attrs.field(factory=hashlib.sha256)
    contexts: set[str] = attrs.field(factory=set)
    ngrams: Collector = attrs.field(factory=Collector)
    counts: dict[str, dict[str, int]] = attrs.field(factory=dict)
    languages: dict[str, int] = attrs.field(factory=dict)
    lengths: dict[str, list[int]] = attrs.field(factory=lambda: {"text": [], "visual": [], "answer": []})
    redrawn: int = 0

    def add(self, record: Record) -> None:
        """Count a record, and bind into the fingerprint all that it teaches: its id, context, pixels, texts and answer."""
        pages = [page.sha256 for page in record.pages]
        texts = [hashlib.sha256(text.encode()).hexdigest() for text in (record.job.system, record.text, record.sample.answer)]
        self.digest.update("\n".join([record.job.id, record.context_sha256, *texts, *pages, ""]).encode())
        if record.sample.context and record.context_sha256 not in self.contexts:
            self.contexts.add(record.context_sha256)
            self.ngrams.add_hashes(record.ngrams)
        for key, label in (("task", record.job.cell.task.label), ("codec", record.job.codec.label), ("split", record.job.split)):
            table = self.counts.setdefault(key, {})
            table[label] = table.get(label, 0) + 1
        language = record.sample.language
        self.languages[language] = self.languages.get(language, 0) + 1
        for key, value in record.tokens.items():
            self.lengths[key].append(value)

    def tokens(self) -> dict[str, dict[str, float]]:
        """Mean and maximum of each kind of tokens."""
        return {key: {"mean": round(sum(v) / len(v), 1), "max": max(v)} for key, v in self.lengths.items() if v}

    def manifest(self) -> dict[str, Any]:
        """What a manifest says of the records."""
        return {
            "fingerprint": self.digest.hexdigest(),
            "records": self.counts,
            "languages": self.languages,
            "contexts": len(self.contexts),
            "redrawn": self.redrawn,
            "tokens": self.tokens(),
        }


@contextlib.contextmanager
def new_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``output`` when the block ends, and leaves no trace if it raises.

    Raises:
        ConfigError: ``output`` exists and is not to be replaced, or cannot be written.
    """
    if output.exists() and not (overwrite and (output / MANIFEST).is_file()):
        hint = "give --overwrite to replace it" if (output / MANIFEST).is_file() else "it holds no training data of ctxbench; give another"
        raise ConfigError(f"output: {output} exists; {hint}")
    try:
        with whole_folder(output) as work:
            yield work
            if output.exists():
                shutil.rmtree(output)
    except OSError as error:
        raise ConfigError(f"output: {output}: {error.strerror or error}") from None


def write_manifest(folder: Path, manifest: dict[str, Any], tally: Tally) -> None:
    """The last files of a data set: its n-grams, and what it is."""
    trained_on = tally.ngrams.data(manifest["fingerprint"], covers(manifest))
    write_json(folder / FILE, {"training_data": [trained_on.plain()]})
    write_json(folder / MANIFEST, manifest)


def covers(manifest: dict[str, Any]) -> str:
    """What the n-grams of a data set are of."""
    tasks = ", ".join(sorted(manifest["records"].get("task", {})))
    return f"all {manifest['contexts']} contexts, training and validation, of {tasks}"
