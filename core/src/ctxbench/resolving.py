"""From a config to a planned experiment. Nothing runs here; a missing plugin, a wrong option or a model without weights fails here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs

from ctxbench.config import ComponentConfig, ExperimentConfig
from ctxbench.devices import check_devices
from ctxbench.errors import ConfigError, SampleError
from ctxbench.identity import identify
from ctxbench.interfaces import Codec, Task
from ctxbench.layouts import check_layouts, completed, strange
from ctxbench.plan import Experiment, Part, Reader
from ctxbench.plugin import plugin_work
from ctxbench.registry import Registry
from ctxbench.secrets import Secrets, secret_options
from ctxbench.session import Session
from ctxbench.suggest import nearest
from ctxbench.token_rules import rules_for


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
        _check_codecs(registry, config.codecs)
        augmentations = _parts(registry, "augmenter", config.augmentations, "augmentations")
        metrics = _metrics(config, registry, tasks)
        _parts(registry, "executor", [config.run.executor], "run.executor")
        _check_token_families(config, session)
        _check_supply(config, session, tasks)
        # Models come after all that is quick to refuse: what their options come to may take seconds to find out.
        readers = _readers(config, session)
        layouts, notes = completed(config.codecs, readers)
        codecs = _parts(registry, "codec", layouts, "codecs")
        notes += check_devices(config.run.devices, readers, registry)
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


def _check_codecs(registry: Registry, configs: Sequence[ComponentConfig]) -> None:
    """What is wrong with codecs, as far as it can be told before the models. One without options may get those of a model's layout."""
    for i, config in enumerate(configs):
        if config.options:
            part_of(registry, "codec", config, f"codecs[{i}]")
            continue
        try:
            registry.find("codec", config.name)
        except ConfigError as error:
            raise ConfigError(f"codecs[{i}]: {error}") from None


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
            count = _supply(part, task, bucket, where)
            if count is None and not config.samples:
                raise ConfigError(f"{where}: makes as many samples as are wanted, and has no 'all': use -n with a number (samples)")
            if count is not None and config.samples > count:
                of = f" of {bucket} tokens" if bucket else ""
                has = f"its data has {count} sample{'' if count == 1 else 's'}{of}, and each is used once"
                raise ConfigError(
                    f"{where}: {has}; {config.samples} are wanted: use -n {count} (samples: {count}) or less, -n all, or more data"
                )


def _supply(part: Part, task: Task, bucket: int, where: str) -> int | None:
    try:
        with plugin_work(f"task {part.name!r}"):
            return task.supply(bucket)
    except SampleError as error:
        raise ConfigError(f"{where}: {error}") from None


def plan_size(config: ExperimentConfig, session: Session) -> int:
    """The number of trials that a config comes to. No component is made but, where samples are ``all``, the tasks.

    Raises:
        ConfigError: a task is missing or refuses its options or its data.
    """
    cells = len(config.tasks) * len(config.buckets) * config.samples
    if not config.samples:
        with Secrets.of(config, session.registry).hidden():
            for i, part in enumerate(_parts(session.registry, "task", config.tasks, "tasks")):
                task = cast(Task, session.component(part))
                cells += sum(_supply(part, task, bucket, f"tasks[{i}] ({part.label})") or 0 for bucket in config.buckets)
    return cells * len(config.models) * len(config.adapters) * len(config.codecs) * len(config.augmentations)


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
    identity = (found.version, runtime, found.full, found.unversioned)
    return Reader(wanted.label, base, adapter, model, settings, *identity, name=wanted.name, options=wanted.options)
