"""Reads a data set back, one record at a time, in any order."""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ctxbench import ConfigError, DecodeError, Prompt, Sample, contamination, tokens
from ctxbench.config import ComponentConfig, make_config
from ctxbench.contamination import TrainingData
from ctxbench.images import MAX_PIXELS, open_page
from ctxbench.prompts import answer_room
from ctxbench_transformers.data.folder import MANIFEST, covers


@attrs.frozen(eq=False)
class Example:
    """A record as training uses it: the prompt that evaluation would send, and the answer.

    Attributes:
        augmentation: of its pages, with the options that the data set's config gives it; ``None`` if the config has no such.
        seed: of the sample, from which that of the pages' augmentation follows (:func:`ctxbench_transformers.data.plan.page_seed`).
    """

    id: str
    task: str
    prompt: Prompt
    sample: Sample
    codec: str = ""
    augmentation: ComponentConfig | None = None
    seed: int = 0

    @property
    def answer(self) -> str:
        """What the model should say."""
        return self.sample.answer


class Split(Sequence[Example]):
    """The records of one split."""

    def __init__(self, rows: Sequence[dict[str, Any]], folder: Path, augmentations: Sequence[ComponentConfig] = ()) -> None:
        self.rows = rows
        self.folder = folder
        self.augmentations = {each.label: each for each in augmentations}

    def __len__(self) -> int:
        return len(self.rows)

    def lengths(self) -> list[int]:
        """Tokens of each record, as the data set counted them: prompt, pages and answer."""
        return [sum(tokens.values()) for tokens in self.columns(["tokens"])["tokens"]]

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Fields of all records, without their pages; ``data`` is the folder, as it was given."""
        stored = [name for name in names if name != "data"]
        if isinstance(self.rows, _ParquetRows):
            found = self.rows.columns(stored)
        else:
            found = {name: [] for name in stored}
            for row in self.rows:
                for name in stored:
                    found[name].append(row[name])
        return found | {name: [str(self.folder)] * len(self) for name in names if name == "data"}

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.rows[index]
        metadata = row["metadata"] if isinstance(row["metadata"], dict) else json.loads(row["metadata"])
        pages = tuple(self._page(page) for page in row["pages"])
        sample = Sample(row["context"], row["question"], row["answer"], row["bucket"], row["language"], metadata)
        prompt = Prompt(pages, row["text"], row["system"], answer_room(tokens.count_text(row["answer"])))
        return Example(row["id"], row["task"], prompt, sample, row["codec"], self.augmentations.get(row["augmentation"]), row["seed"])

    def _page(self, page: str | dict[str, Any]) -> Image.Image:
        if isinstance(page, dict):
            return _decode(page["bytes"], page["path"])
        path = (self.folder / page).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise DecodeError(f"{self.folder}: the page {page!r} lies outside the data set")
        return open_page(path)


def _decode(data: bytes, name: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DecodeError(f"{name}: more than {MAX_PIXELS:,} pixels")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DecodeError(f"{name}: broken image: {' '.join(str(error).split())}") from None


class Dataset:
    """A folder that ``ctxbench data build`` made."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            self.manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text("utf-8"))
        except OSError:
            raise ConfigError(f"{self.folder}: no training data here ({MANIFEST}); make it with: ctxbench data build CONFIG") from None
        except ValueError as error:
            raise ConfigError(f"{self.folder / MANIFEST}: {error}") from None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the records' ids, contexts, pixels, texts and answers."""
        return str(self.manifest["fingerprint"])

    @property
    def config(self) -> dict[str, Any]:
        """The config that made it."""
        return dict(self.manifest["config"])

    @property
    def records(self) -> dict[str, dict[str, int]]:
        """Numbers of records by ``split``, ``codec`` and ``task``."""
        return dict(self.manifest["records"])

    @property
    def languages(self) -> dict[str, int] | None:
        """Numbers of records by language; early versions did not count them."""
        return self.manifest.get("languages")

    @property
    def longest(self) -> dict[str, int]:
        """The largest number of ``text``, ``visual`` and ``answer`` tokens in a record."""
        counted = self.manifest["tokens"]
        return {key: int(counted.get(key, {}).get("max", 0)) for key in ("text", "visual", "answer")}

    @property
    def primary_scores(self) -> dict[str, str]:
        """By task label, the metric that says whether an answer is right."""
        return dict(self.manifest["primary_scores"])

    @property
    def codecs(self) -> tuple[ComponentConfig, ...]:
        """What carried the contexts, as the data set's config names it."""
        return tuple(make_config({"codecs": [codec]}, str(self.folder)).codecs[0] for codec in self.manifest["config"]["codecs"])

    @property
    def augmentations(self) -> tuple[ComponentConfig, ...]:
        """What was done to pages, as the data set's config names it."""
        return tuple(
            make_config({"augmentations": [each]}, str(self.folder)).augmentations[0] for each in self.config.get("augmentations", ())
        )

    def training_data(self) -> tuple[TrainingData, ...]:
        """Records of the contexts' n-grams: as ``ctxbench data build`` wrote them, else (early versions wrote none) made here.

        Raises:
            ModelError: the file that holds them is broken.
        """
        written = contamination.read(self.folder)
        if written is not None:
            return written
        collector = contamination.Collector()
        for name in ("train", "validation"):
            for row in self.split(name).rows:
                collector.add(row["context"])
        return (collector.data(self.fingerprint, covers(self.manifest)),)

    def split(self, name: str) -> Split:
        """``train`` or ``validation``."""
        table, lines = self.folder / f"{name}.parquet", self.folder / f"{name}.jsonl"
        if table.is_file():
            return Split(_ParquetRows(table), self.folder, self.augmentations)
        if lines.is_file():
            return Split(_JsonRows(lines), self.folder, self.augmentations)
        raise ConfigError(f"{self.folder}: has no split {name!r}")


class _JsonRows(Sequence[Any]):
    """Lines by number; only where each begins is held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.starts = [0]
        with path.open("rb") as file:
            for line in file:
                self.starts.append(self.starts[-1] + len(line))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with self.path.open("rb") as file:
            file.seek(self.starts[index])
            return json.loads(file.read(self.starts[index + 1] - self.starts[index]))


class _ParquetRows(Sequence[Any]):
    """Rows by number; the row groups read last are kept decoded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[int, pq.ParquetFile] = {}
        metadata = self.file.metadata
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self.places = [(group, row) for group, rows in enumerate(groups) for row in range(rows)]
        self.group = functools.lru_cache(maxsize=8)(self._read_group)

    @property
    def file(self) -> pq.ParquetFile:
        """Opened once in each process: a file that a forked process shares would be read at the other's place."""
        process = os.getpid()
        if process not in self.files:
            self.files[process] = pq.ParquetFile(self.path)
        return self.files[process]

    def _read_group(self, group: int) -> pa.Table:
        return self.file.read_row_group(group, use_threads=False)  # the threads of a forked process are not there

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Columns of all rows; the images stay on the disk."""
        found: dict[str, list[Any]] = self.file.read(columns=list(names)).to_pydict()
        return found

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        group, row = self.places[index]
        return self.group(group).slice(row, 1).to_pylist()[0]
