"""From a config to trials. Nothing runs here; a missing plugin, a wrong option or a model without weights fails here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import attrs

from ctxbench.config import ComponentConfig, ExperimentConfig
from ctxbench.errors import ConfigError, CtxbenchError
from ctxbench.interfaces import Component, Metric, Model, Task
from ctxbench.registry import Registry, nearest
from ctxbench.seeds import canonical_json, derive_seed, stable_hash

EVALUATION = "sample"
"""First part of every evaluation sample's seed. Training data must use another word here."""


@attrs.frozen
class Part:
    """A component in an experiment: how to make it again in another process, and what identifies it."""

    kind: str
    name: str
    label: str
    options: dict[str, Any]
    config: dict[str, Any]
    identity: str

    def make(self, registry: Registry) -> Component:
        """Make the component anew."""
        return registry.make(self.kind, self.name, **self.options)


@attrs.frozen
class Reader:
    """A model with one adapter, loaded."""

    label: str
    adapter: str | None
    model: Model = attrs.field(eq=False, repr=False)
    config: dict[str, Any]
    identity: str


@attrs.frozen
class Trial:
    """One cell for one sample. ``trial_id`` is a hash of everything that decides its outcome."""

    trial_id: str
    reader: Reader
    task: Part
    bucket: int
    index: int
    codec: Part
    augmentation: Part
    sample_seed: int
    augmentation_seed: int


@attrs.frozen
class Experiment:
    """A config with every component found and checked."""

    config: ExperimentConfig
    registry: Registry
    readers: tuple[Reader, ...]
    tasks: tuple[Part, ...]
    codecs: tuple[Part, ...]
    augmentations: tuple[Part, ...]
    metrics: dict[str, tuple[Part, ...]]

    def versions(self) -> dict[str, str]:
        """Version of every distribution that offers a part of this experiment."""
        found = {o.distribution: o.version for o in self.registry.manager.origins.values()}
        return dict(sorted(found.items()))

    def trials(self) -> list[Trial]:
        """Every trial, samples outermost, so that a run cut short has whole samples."""
        return list(self._trials())

    def _trials(self) -> Iterator[Trial]:
        seed = self.config.seed
        for index in range(self.config.samples):
            for task in self.tasks:
                for bucket in self.config.buckets:
                    sample_seed = derive_seed(EVALUATION, seed, task.name, bucket, index)
                    for codec in self.codecs:
                        for augmentation in self.augmentations:
                            changed = derive_seed("augmentation", seed, sample_seed, codec.identity, augmentation.identity)
                            for reader in self.readers:
                                where = (task.identity, bucket, sample_seed, codec.identity, augmentation.identity, changed)
                                trial_id = stable_hash([reader.identity, *where, self._counting()])[:32]
                                yield Trial(trial_id, reader, task, bucket, index, codec, augmentation, sample_seed, changed)

    def _counting(self) -> list[Any]:
        """What else a row depends on: the system message and the rules that count tokens."""
        return [self.config.system, *attrs.astuple(self.config.tokens)]

    def close(self) -> None:
        """Free the models."""
        for reader in self.readers:
            reader.model.close()


def resolve(config: ExperimentConfig, registry: Registry) -> Experiment:
    """Find and make every component that a config names.

    Raises:
        ConfigError: something is missing or does not fit; the message gives the key path.
        ModelError: a model cannot be loaded.
    """
    tasks = _parts(registry, "task", config.tasks, "tasks")
    codecs = _parts(registry, "codec", config.codecs, "codecs")
    augmentations = _parts(registry, "augmenter", config.augmentations, "augmentations")
    metrics = _metrics(config, registry, tasks)
    _check_token_families(config, registry)
    _parts(registry, "executor", [config.run.executor], "run.executor")
    return Experiment(config, registry, _readers(config, registry), tasks, codecs, augmentations, metrics)


def _parts(registry: Registry, kind: str, configs: Sequence[ComponentConfig], key: str) -> tuple[Part, ...]:
    return tuple(_part(registry, kind, config, f"{key}[{i}]") for i, config in enumerate(configs))


def _part(registry: Registry, kind: str, config: ComponentConfig, path: str) -> Part:
    try:
        component = registry.make(kind, config.name, **config.options)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    settings = component.config
    return Part(kind, config.name, config.label, dict(config.options), settings, identify(registry, kind, config.name, component))


def identify(registry: Registry, kind: str, name: str, component: Component) -> str:
    """Hash of a component's name, origin, version and config: another hash may give another outcome.

    Raises:
        ConfigError: the component's config is not JSON.
    """
    origin = registry.find(kind, name).origin
    try:
        return stable_hash([kind, name, origin.distribution, origin.version, component.version, component.config])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind} {name!r} of {origin.distribution}: its config is not JSON: {error}") from None


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


def _check_token_families(config: ExperimentConfig, registry: Registry) -> None:
    tokens = config.tokens
    for key, family, options in (
        ("tokens.family", tokens.family, {"min_pixels": tokens.min_pixels, "max_pixels": tokens.max_pixels}),
        ("tokens.reference", tokens.reference, {}),
    ):
        try:
            counter = registry.token_counter(family, **{k: v for k, v in options.items() if v is not None})
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from None
        if key == "tokens.reference" and counter.text("") is None:
            raise ConfigError(f"{key}: {family!r} has no text tokenizer at hand{nearest(family, ())}")


def _readers(config: ExperimentConfig, registry: Registry) -> tuple[Reader, ...]:
    readers: list[Reader] = []
    for i, wanted in enumerate(config.models):
        for adapter in config.adapters:
            try:
                model = registry.model(wanted.name, adapter=adapter, **wanted.options)
            except ConfigError as error:
                raise ConfigError(f"models[{i}]: {error}") from None
            except CtxbenchError:
                for reader in readers:
                    reader.model.close()
                raise
            base = wanted.name.partition(":")[0]
            made_by = identify(registry, "model", base, model)
            identity = stable_hash([made_by, wanted.name, adapter, model.fingerprint, model.adapter_fingerprint])
            settings = {key: value for key, value in model.config.items() if key not in ("reference", "adapter")}
            readers.append(Reader(wanted.label, adapter, model, settings, identity))
    return tuple(readers)


def metric_version(registry: Registry, part: Part, metric: Metric) -> str:
    """The version under which a metric's scores are stored: its distribution's and its own."""
    return f"{registry.find('metric', part.name).origin.version}/{metric.version}/{stable_hash(canonical_json(part.config))[:8]}"
