"""From a config to trials. Nothing runs here; a missing plugin, a wrong option or a model without weights fails here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import attrs

from ctxbench.config import ComponentConfig, ExperimentConfig, TokenConfig, hash_of
from ctxbench.errors import ConfigError, SampleError
from ctxbench.identity import identify
from ctxbench.interfaces import Codec, Component, Metric, Model, Task, TokenCounter
from ctxbench.layouts import check_layouts, completed, strange
from ctxbench.plugin import plugin_work
from ctxbench.registry import Registry
from ctxbench.secrets import Secrets, secret_options
from ctxbench.seeds import derive_seed, stable_hash
from ctxbench.session import Session
from ctxbench.shards import Shard
from ctxbench.suggest import nearest
from ctxbench.token_rules import rules_for

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
    """A model with one adapter. Its weights are loaded when it first reads. ``tokens``: the rules that count its prompts."""

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
        lengths = len(self.tasks) * len(self.config.buckets)
        samples = sum(self.shard.samples(self.config.samples, cell) for cell in range(lengths))
        return samples * len(self.codecs) * len(self.augmentations) * len(self.readers)

    def groups(self) -> Iterator[Group]:
        """Every trial of the shard, in groups that share their CPU work; samples outermost, so that a run cut short has whole samples."""
        shard = self.shard
        for index in range(self.config.samples):
            for number, task in enumerate(self.tasks):
                for place, bucket in enumerate(self.config.buckets):
                    if not shard.holds(index, number * len(self.config.buckets) + place):
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
        key = (task.label, bucket)
        if key not in self._orders:
            count = cast(Task, self.session.component(task)).supply(bucket)
            self._orders[key] = None if count is None else seeded_order(count, derive_seed(EVALUATION, self.config.seed, task.name))
        order = self._orders[key]
        return derive_seed(EVALUATION, self.config.seed, task.name, bucket, index) if order is None else order[index]

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


def resolve(config: ExperimentConfig, session: Session) -> Experiment:
    """Find and make every component that a config names. No weights are loaded.

    Raises:
        ConfigError: something is missing or does not fit; the message gives the key path.
        ModelError: a model cannot be found.
    """
    registry = session.registry
    secrets = Secrets.of(config, registry)
    with secrets.hidden():
        tasks = _parts(registry, "task", config.tasks, "tasks")
        _check_token_families(config, session)
        readers = _readers(config, session)
        layouts, notes = completed(config.codecs, readers)
        codecs = _parts(registry, "codec", layouts, "codecs")
        augmentations = _parts(registry, "augmenter", config.augmentations, "augmentations")
        metrics = _metrics(config, registry, tasks)
        _parts(registry, "executor", [config.run.executor], "run.executor")
        _check_supply(config, session, tasks)
    notes += strange(codecs, readers)
    return Experiment(config, session, readers, tasks, codecs, augmentations, metrics, secrets, tuple(notes))


def _parts(registry: Registry, kind: str, configs: Sequence[ComponentConfig], key: str) -> tuple[Part, ...]:
    return tuple(part_of(registry, kind, config, f"{key}[{i}]") for i, config in enumerate(configs))


def part_of(registry: Registry, kind: str, config: ComponentConfig, path: str) -> Part:
    """Make a component once, to check it and to know its identity.

    Raises:
        ConfigError: it is missing or refuses its options; the message begins with ``path``, its place in the config.
    """
    try:
        component = registry.make(kind, config.name, **config.options)
        entry = registry.find(kind, config.name)
        found = identify(kind, config.name, entry.origin, component, config.options, secrets=secret_options(entry.record, component))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    same = (found.config, found.version, found.fingerprint, found.full, found.unversioned)
    made = Part(kind, config.name, config.label, dict(config.options), *same, data=component.fingerprint)
    if isinstance(component, Codec):
        return attrs.evolve(made, decodes=bool(component.can_decode), verbatim=bool(component.verbatim))
    return made


def _metrics(config: ExperimentConfig, registry: Registry, tasks: Sequence[Part]) -> dict[str, tuple[Part, ...]]:
    """The metrics of each task: the config's, or else the task's own; the one that decides *correct* is always among them."""
    found = {}
    for i, part in enumerate(tasks):
        task = cast(Task, part.make(registry))
        wanted = list(config.metrics) or [ComponentConfig(name, name) for name in task.metrics]
        if task.primary_score and all(metric.name != task.primary_score for metric in wanted):
            wanted.append(ComponentConfig(task.primary_score, task.primary_score))
        key = "metrics" if config.metrics else f"tasks[{i}] metrics"
        found[part.label] = _parts(registry, "metric", wanted, key)
    return found


def _check_token_families(config: ExperimentConfig, session: Session) -> None:
    tokens = config.tokens
    # With no family named, a budget is for the models' own rules, which are checked with them.
    budget = {} if tokens.family is None else {"min_pixels": tokens.min_pixels, "max_pixels": tokens.max_pixels}
    for key, family, options in (
        ("tokens.family", tokens.rule, budget),
        ("tokens.reference", tokens.reference, {}),
    ):
        try:
            counter = session.counter(family, **options)
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from None
        if key == "tokens.reference" and counter.text("") is None:
            raise ConfigError(f"{key}: {family!r} has no text tokenizer at hand{nearest(family, ())}")


def _check_supply(config: ExperimentConfig, session: Session, parts: Sequence[Part]) -> None:
    """Every task has as many samples of every bucket as are wanted of it."""
    for i, part in enumerate(parts):
        task = cast(Task, session.component(part))
        for bucket in config.buckets:
            where = f"tasks[{i}] ({part.label})"
            if not bucket and not task.whole:
                raise ConfigError(f"{where}: makes contexts of a given length and needs a bucket; null is for tasks with whole documents")
            try:
                with plugin_work(f"task {part.name!r}"):
                    count = task.supply(bucket)
            except SampleError as error:
                raise ConfigError(f"{where}: {error}") from None
            if count is not None and config.samples > count:
                of = f" of {bucket} tokens" if bucket else ""
                has = f"its data has {count} sample{'' if count == 1 else 's'}{of}, and each is used once"
                raise ConfigError(f"{where}: {has}; {config.samples} are wanted: use -n {count} (samples: {count}) or less, or more data")


def _readers(config: ExperimentConfig, session: Session) -> tuple[Reader, ...]:
    readers: list[Reader] = []
    for i, wanted in enumerate(config.models):
        for adapter in config.adapters:
            try:
                reader = _reader(session.registry, wanted, adapter)
                readers.append(attrs.evolve(reader, tokens=rules_for(reader.model, config.tokens, session)))
            except ConfigError as error:
                raise ConfigError(f"models[{i}]: {error}") from None
    return tuple(readers)


def _reader(registry: Registry, wanted: ComponentConfig, adapter: str | None) -> Reader:
    model = registry.model(wanted.name, adapter=adapter, **wanted.options)
    check_layouts(model.layouts)
    base = wanted.name.partition(":")[0]
    entry = registry.find("model", base)
    runtime = dict(model.runtime)
    weights = (wanted.name, adapter, runtime, model.adapter_fingerprint)
    secrets = secret_options(entry.record, model)
    found = identify("model", base, entry.origin, model, wanted.options, *weights, secrets=secrets)
    settings = {key: value for key, value in found.config.items() if key not in ("reference", "adapter")}
    return Reader(wanted.label, base, adapter, model, settings, found.version, runtime, found.full, found.unversioned)


def metric_version(part: Part, metric: Metric) -> str:
    """The version under which a metric's scores are stored: its distribution's, its own, and a hash of its options and data."""
    return f"{part.version}/{stable_hash([part.config, part.fingerprint])[:8]}"
