"""What a planned experiment is: its parts, readers, cells and trials, and their order. :mod:`ctxbench.resolving` makes it from a config."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import attrs

from ctxbench.config import ExperimentConfig, TokenConfig, hash_of
from ctxbench.interfaces import Component, Metric, Model, Task, TokenCounter
from ctxbench.registry import Registry
from ctxbench.secrets import Secrets
from ctxbench.seeds import derive_seed, stable_hash
from ctxbench.session import Session
from ctxbench.shards import Shard

EVALUATION = "sample"
"""First part of every evaluation sample's seed. Training data must use another word here."""


@attrs.frozen
class Part:
    """A component in an experiment: how to make it again in another process, and what identifies it.

    Attributes:
        options: as the config gives them, secrets among them: never stored.
        config: what is stored of them. ``version`` and ``fingerprint`` as in :class:`~ctxbench.identity.Identity`.
        identity: hash of all that decides what the component does; ``unversioned`` leaves its version out.
        decodes: for a codec: whether it has a classical decoder. ``verbatim``: whether its carriers are the context itself.
        data: the component's own fingerprint, which it must still have when it works.
    """

    kind: str
    name: str
    label: str
    options: dict[str, Any] = attrs.field(repr=False)
    config: dict[str, Any]
    version: str
    fingerprint: str
    identity: str
    unversioned: str
    decodes: bool = False
    verbatim: bool = False
    data: str = ""

    def make(self, registry: Registry) -> Component:
        """Make the component anew."""
        return registry.make(self.kind, self.name, **self.options)


@attrs.frozen
class Reader:
    """A model with one adapter. Its weights are loaded when it first reads.

    Attributes:
        tokens: the rules that count its prompts.
        name, options: how to make it again in another process, as the config gives them, secrets among them: never stored.
    """

    label: str
    model_name: str
    adapter: str | None
    model: Model = attrs.field(eq=False, repr=False)
    config: dict[str, Any]
    version: str
    runtime: dict[str, Any]
    identity: str
    unversioned: str
    tokens: TokenConfig = TokenConfig()
    name: str = ""
    options: dict[str, Any] = attrs.field(factory=dict, repr=False, eq=False)

    @property
    def title(self) -> str:
        """The model and its adapter, in a sentence."""
        return f"model {self.label!r}" + (f" with adapter {self.adapter!r}" if self.adapter else "")

    @property
    def memory(self) -> str:
        """Equal for readers that share their weights in memory."""
        return self.model.shares or self.identity


@attrs.frozen(eq=False)
class Cell:
    """One combination of what an experiment varies; its trials differ in their sample alone.

    Attributes:
        id: hash of everything that decides an outcome but the sample.
        variant: the same without versions: equal for two releases of the components.
    """

    reader: Reader
    task: Part
    bucket: int
    codec: Part
    augmentation: Part
    seed: int
    id: str
    variant: str

    def trial_id(self, sample_seed: int, augmentation_seed: int) -> str:
        """Hash of the cell and the seeds: everything that decides a trial's outcome."""
        return hashlib.sha256(f"{self.id} {sample_seed} {augmentation_seed}".encode()).hexdigest()[:32]


@attrs.frozen
class Trial:
    """One cell for one sample. ``trial_id`` is a hash of everything that decides its outcome."""

    trial_id: str
    cell: Cell
    index: int
    sample_seed: int
    augmentation_seed: int

    @property
    def sample_key(self) -> tuple[str, int, int]:
        """Equal for trials of one experiment that share their sample: task, bucket, and which of the cell's samples."""
        return self.cell.task.label, self.cell.bucket, self.index


@attrs.frozen
class Group:
    """The trials of one sample in one codec: they share the sample, the encoding, the augmentations and the decoding."""

    task: Part
    bucket: int
    index: int
    sample_seed: int
    codec: Part
    trials: tuple[Trial, ...]


@attrs.frozen
class Experiment:
    """A config with every component found and checked; ``notes`` are for whoever runs it."""

    config: ExperimentConfig
    session: Session
    readers: tuple[Reader, ...]
    tasks: tuple[Part, ...]
    codecs: tuple[Part, ...]
    augmentations: tuple[Part, ...]
    metrics: dict[str, tuple[Part, ...]]
    secrets: Secrets
    notes: tuple[str, ...] = ()
    _cells: dict[tuple[str, int, str], list[Cell]] = attrs.field(factory=dict, init=False, repr=False, eq=False)
    _orders: dict[tuple[str, int], list[int] | None] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    @property
    def config_hash(self) -> str:
        """SHA-256 of the canonical JSON of all that decides results (everything but ``run`` and ``store``), without secrets."""
        return hash_of(self.secrets.config)

    def versions(self) -> dict[str, str]:
        """Version of every distribution that offers a part of this experiment."""
        found = {o.distribution: o.version for o in self.session.registry.manager.origins.values()}
        return dict(sorted(found.items()))

    @property
    def shard(self) -> Shard:
        """The part of the plan that is to be run: by default the whole of it."""
        return Shard.parse(self.config.run.shard or "1/1")

    @property
    def size(self) -> int:
        """The number of trials in :meth:`groups`."""
        lengths = ((task, bucket) for task in self.tasks for bucket in self.config.buckets)
        samples = sum(self.shard.samples(self.samples(*length), cell) for cell, length in enumerate(lengths))
        return samples * len(self.codecs) * len(self.augmentations) * len(self.readers)

    def samples(self, task: Part, bucket: int) -> int:
        """How many samples a task has of a bucket in this plan: as many as the config says, or each that there is."""
        return self.config.samples or len(self._order(task, bucket) or ())

    def groups(self) -> Iterator[Group]:
        """Every trial of the shard, in groups that share their CPU work; samples outermost, so that a run cut short has whole samples."""
        shard = self.shard
        counts = [self.samples(task, bucket) for task in self.tasks for bucket in self.config.buckets]
        for index in range(max(counts)):
            for number, task in enumerate(self.tasks):
                for place, bucket in enumerate(self.config.buckets):
                    length = number * len(self.config.buckets) + place
                    if index >= counts[length] or not shard.holds(index, length):
                        continue
                    sample_seed = self._sample_seed(task, bucket, index)
                    # One draw of damage for each level and sample, whatever the codec and whatever the release: so they can be paired.
                    damage = [derive_seed("augmentation", sample_seed, level.name, level.config) for level in self.augmentations]
                    for codec in self.codecs:
                        cells = self._cells_of(task, bucket, codec)
                        trials = (self._trial(cell, index, sample_seed, damage) for cell in cells)
                        yield Group(task, bucket, index, sample_seed, codec, tuple(trials))

    def _sample_seed(self, task: Part, bucket: int, index: int) -> int:
        """Of unlimited samples, one that is drawn; of data that can run out, the row whose turn it is."""
        order = self._order(task, bucket)
        return derive_seed(EVALUATION, self.config.seed, task.name, bucket, index) if order is None else order[index]

    def _order(self, task: Part, bucket: int) -> list[int] | None:
        """The rows of data that can run out, in the order in which they are used; ``None`` for unlimited samples."""
        key = (task.label, bucket)
        if key not in self._orders:
            count = cast(Task, self.session.component(task)).supply(bucket)
            self._orders[key] = None if count is None else seeded_order(count, derive_seed(EVALUATION, self.config.seed, task.name))
        return self._orders[key]

    def _trial(self, cell: Cell, index: int, sample_seed: int, damage: Sequence[int]) -> Trial:
        augmentation_seed = damage[self.augmentations.index(cell.augmentation)]
        return Trial(cell.trial_id(sample_seed, augmentation_seed), cell, index, sample_seed, augmentation_seed)

    def trials(self) -> Iterator[Trial]:
        """Every trial, in the order of :meth:`groups`."""
        for group in self.groups():
            yield from group.trials

    def cells(self) -> Iterator[Cell]:
        """Every cell."""
        for task in self.tasks:
            for bucket in self.config.buckets:
                for codec in self.codecs:
                    yield from self._cells_of(task, bucket, codec)

    def _cells_of(self, task: Part, bucket: int, codec: Part) -> list[Cell]:
        key = (task.label, bucket, codec.label)
        if key not in self._cells:
            pairs = [(augmentation, reader) for augmentation in self.augmentations for reader in self.readers]
            self._cells[key] = [self._cell(reader, task, bucket, codec, augmentation) for augmentation, reader in pairs]
        return self._cells[key]

    def _cell(self, reader: Reader, task: Part, bucket: int, codec: Part, augmentation: Part) -> Cell:
        rules = self._rules(reader.tokens)
        common = [bucket, self.config.seed, self.config.system, rules]
        common += [{"prompt": self.config.prompt}] if self.config.prompt else []
        parts = (reader, task, codec, augmentation)
        full = stable_hash([*common, *(part.identity for part in parts)])[:32]
        variant = stable_hash([*common, *(part.unversioned for part in parts)])[:32]
        return Cell(reader, task, bucket, codec, augmentation, self.config.seed, full, variant)

    def _rules(self, config: TokenConfig) -> dict[str, Any]:
        counter = self.session.counter(config.rule, min_pixels=config.min_pixels, max_pixels=config.max_pixels)
        return counting(config, counter)

    def close(self) -> None:
        """Free the models."""
        for reader in self.readers:
            reader.model.close()


def seeded_order(count: int, seed: int) -> list[int]:
    """The numbers below ``count`` in an order that ``seed`` alone decides, on every machine: by the hashes of seed and number."""
    return sorted(range(count), key=lambda number: hashlib.sha256(f"{seed} {number}".encode()).digest())


def counting(config: TokenConfig, counter: TokenCounter) -> dict[str, Any]:
    """Whose rules count: the family, its version and its pixel budget or other options, and the reference tokenizer."""
    return {"family": config.rule, "version": counter.version, **counter.config, "reference": config.reference}


def metric_version(part: Part, metric: Metric) -> str:
    """The version under which a metric's scores are stored: its distribution's, its own, and a hash of its options and data."""
    return f"{part.version}/{stable_hash([part.config, part.fingerprint])[:8]}"
