"""Which record gets which task, bucket, language and augmentation, and which seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar, cast

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import ConfigError, Registry, Task, derive_seed
from ctxbench.config import ComponentConfig
from ctxbench_transformers.data.config import DataConfig

T = TypeVar("T")
SplitName = Literal["train", "validation"]
NAMESPACE = "train"
"""First part of every seed here. Evaluation's seeds begin with another word, so no evaluation can draw a training sample's seed."""


@attrs.frozen
class Cell:
    """One combination of what a record varies."""

    task: ComponentConfig
    bucket: int
    language: str | None
    augmentation: ComponentConfig

    def task_options(self) -> dict[str, object]:
        """The task's options with the language among them."""
        return self.task.options if self.language is None else {**self.task.options, "language": self.language}


@attrs.frozen
class Job:
    """One record to be made.

    Attributes:
        prompt: the template of the user's turn; empty for the usual one.
        attempt: how often its seed was drawn anew.
    """

    split: SplitName
    codec: ComponentConfig
    cell: Cell
    index: int
    seed: int
    system: str
    prompt: str = ""
    attempt: int = 0

    @property
    def id(self) -> str:
        """Unique in the data set."""
        return f"{self.split}-{self.codec.label}-{self.index:06d}"

    @property
    def sample_seed(self) -> int:
        """The seed of the sample; every codec gets samples of its own."""
        where = (self.split, self.seed, self.codec.label, self.cell.task.label, self.cell.bucket, self.index, self.attempt)
        return derive_seed(NAMESPACE, *where)

    @property
    def page_seed(self) -> int:
        """The seed of the pages' augmentation."""
        return page_seed(self.sample_seed, self.cell.augmentation.label)


def page_seed(sample_seed: int, augmentation: str) -> int:
    """The seed of the augmentation of a record's pages."""
    return derive_seed(NAMESPACE, "augmentation", sample_seed, augmentation)


def cells(config: DataConfig) -> tuple[list[Cell], npt.NDArray[np.float64]]:
    """Every combination, and its share; shares sum to 1."""
    languages: Sequence[str | None] = config.languages or (None,)
    found, shares = [], []
    for task, w_task in _weighted(config.tasks, config.task_weights):
        for bucket, w_bucket in _weighted(config.buckets, config.bucket_weights):
            for language in languages:
                for augmentation, w_augmentation in _weighted(config.augmentations, config.augmentation_weights):
                    if share := w_task * w_bucket * w_augmentation:
                        found.append(Cell(task, bucket, language, augmentation))
                        shares.append(share)
    return found, np.array(shares) / sum(shares)


def _weighted(values: Sequence[T], weights: Sequence[float]) -> list[tuple[T, float]]:
    return list(zip(values, weights or [1.0] * len(values), strict=True))


def jobs(config: DataConfig, split: SplitName) -> Iterator[Job]:
    """The records of a split in the order they are written: index outermost, so that a data set cut short is a balanced one.

    Each index takes the cell that is furthest behind its share: after any number of records no cell is off by more than one or so.
    """
    combinations, shares = cells(config)
    count = config.samples if split == "train" else round(config.samples * config.validation)
    given = np.zeros(len(combinations))
    for index in range(count):
        place = int(np.argmax(shares * (index + 1) - given))
        given[place] += 1
        for codec in config.codecs:
            template = wording(config.templates, config.seed, split, codec, index)
            yield Job(split, codec, combinations[place], index, config.seed, config.system, template)


def wording(templates: Sequence[str], seed: int, split: SplitName, codec: ComponentConfig, index: int) -> str:
    """The template of a record. Codecs draw on their own, so that none has a wording of its own by chance of the order."""
    if len(templates) == 1:
        return templates[0]
    return templates[derive_seed(NAMESPACE, "prompt", split, seed, codec.label, index) % len(templates)]


def total(config: DataConfig) -> int:
    """Records of both splits."""
    return len(config.codecs) * (config.samples + round(config.samples * config.validation))


def check(config: DataConfig, registry: Registry) -> None:
    """Make every component once.

    Raises:
        ConfigError: one is unknown or refuses its options, or a task has no language to set.
    """
    for key, kind in (("codecs", "codec"), ("tasks", "task"), ("augmentations", "augmenter")):
        for i, component in enumerate(getattr(config, key)):
            try:
                registry.make(kind, component.name, **component.options)
            except ConfigError as error:
                raise ConfigError(f"{key}[{i}]: {error}") from None
    for i, task in enumerate(config.tasks):
        if config.languages and "language" in task.options:
            raise ConfigError(f"tasks[{i}].language: set it here or in 'languages', not in both")
        if config.languages and "language" not in registry.options("task", task.name).known:
            raise ConfigError(f"languages: task {task.name!r} has no option 'language'")


def primary_scores(config: DataConfig, registry: Registry) -> dict[str, str]:
    """By task label, the score that decides whether an answer is correct."""
    return {task.label: cast(Task, registry.make("task", task.name, **task.options)).primary_score for task in config.tasks}
