"""Several data sets as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctxbench import ConfigError, contamination, stable_hash
from ctxbench.config import ComponentConfig
from ctxbench.contamination import TrainingData
from ctxbench_transformers.data.dataset import Dataset, Example, Split


class JoinedSplit(Sequence[Example]):
    """The records of a split of several data sets, mixed so that any number of the first ones has each set's share of them."""

    def __init__(self, parts: Sequence[Split]) -> None:
        self.parts = parts
        places = [(part, i) for part, split in enumerate(parts) for i in range(len(split))]
        order = np.argsort([(i + 0.5) / len(parts[part]) for part, i in places], kind="stable")
        self.places = [places[i] for i in order]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        part, i = self.places[index]
        return self.parts[part][i]

    def lengths(self) -> list[int]:
        """Tokens of each record, as the data sets counted them."""
        return self._mixed([part.lengths() for part in self.parts])

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Fields of all records, without their pages."""
        found = [part.columns(names) for part in self.parts]
        return {name: self._mixed([columns[name] for columns in found]) for name in names}

    def _mixed(self, values: Sequence[Sequence[Any]]) -> list[Any]:
        return [values[part][i] for part, i in self.places]


class Datasets:
    """Folders that ``ctxbench data build`` or ``import`` made, as one data set.

    Raises:
        ConfigError: one is no data set or is named twice, or two judge the same task by different metrics.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self.folders = tuple(folders)
        real = [Path(folder).resolve() for folder in self.folders]
        twice = next((folder for folder, where in zip(self.folders, real, strict=True) if real.count(where) > 1), None)
        if twice is not None:
            raise ConfigError(f"data: {twice} is named twice; its share of the examples is set with sampling")
        self.sets = [Dataset(folder) for folder in self.folders]
        for task, score in ((task, score) for some in self.sets for task, score in some.primary_scores.items()):
            if self.primary_scores[task] != score:
                raise ConfigError(
                    f"data: task {task!r} is judged by {score!r} in one of the folders and by {self.primary_scores[task]!r} in another; "
                    "build one of them with a label of its own"
                )

    def __str__(self) -> str:
        return ", ".join(self.folders)

    @property
    def fingerprint(self) -> str:
        """That of the data set; of several, a hash of theirs in their order."""
        each = [some.fingerprint for some in self.sets]
        return each[0] if len(each) == 1 else stable_hash(each)

    @property
    def codecs(self) -> tuple[ComponentConfig, ...]:
        """What carried the contexts, in the words of the configs; each once."""
        found = [codec for some in self.sets for codec in some.codecs]
        return tuple(codec for i, codec in enumerate(found) if codec not in found[:i])

    @property
    def config(self) -> dict[str, Any]:
        """The config that made the data; of several sets the ``codecs`` of all, and in ``sets`` each one's."""
        if len(self.sets) == 1:
            return self.sets[0].config
        return {"codecs": [codec.plain() for codec in self.codecs], "sets": [some.config for some in self.sets]}

    @property
    def records(self) -> dict[str, dict[str, int]]:
        """Numbers of records by ``split``, ``codec`` and ``task``."""
        keys = dict.fromkeys(key for some in self.sets for key in some.records)
        return {key: _sum(some.records.get(key, {}) for some in self.sets) for key in keys}

    @property
    def languages(self) -> dict[str, int] | None:
        """Numbers of records by language, if they are known of all."""
        found = [some.languages for some in self.sets]
        known = [some for some in found if some is not None]
        return _sum(known) if len(known) == len(found) else None

    @property
    def longest(self) -> dict[str, int]:
        """The largest number of ``text``, ``visual`` and ``answer`` tokens in a record."""
        each = [some.longest for some in self.sets]
        return {key: max(some[key] for some in each) for key in each[0]}

    @property
    def primary_scores(self) -> dict[str, str]:
        """By task label, the metric that says whether an answer is right."""
        return {task: score for some in self.sets for task, score in some.primary_scores.items()}

    def training_data(self) -> tuple[TrainingData, ...]:
        """Records of the contexts' n-grams; see :meth:`Dataset.training_data`."""
        return contamination.together(*(some.training_data() for some in self.sets))

    def split(self, name: str) -> Split | JoinedSplit:
        """``train`` or ``validation``. A set that was made without validation records has none there."""
        splits = [some.split(name) for some in self.sets]
        return splits[0] if len(splits) == 1 else JoinedSplit(splits)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for some in counts:
        for key, n in some.items():
            total[key] = total.get(key, 0) + n
    return total
