"""What a config would run, without running it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ctxbench.config import ExperimentConfig
from ctxbench.engine.pending import Survey, survey
from ctxbench.plugin import ComponentRecord
from ctxbench.registry import Registry
from ctxbench.resolving import plan_size, resolve
from ctxbench.session import Session
from ctxbench.store import Store


def size(config: ExperimentConfig, registry: Registry | None = None, components: Iterable[ComponentRecord] = ()) -> int:
    """The number of trials of a plan, before anything of it is made.

    Raises:
        ConfigError: a task's data cannot be counted.
    """
    session = Session.of(registry, components)
    with session.active():
        return plan_size(config, session)


def preview(config: ExperimentConfig, registry: Registry | None = None, components: Iterable[ComponentRecord] = ()) -> dict[str, Any]:
    """Counts of planned, stored and remaining trials, and what is varied. Every component is found and made; the store is only read.

    Raises:
        ConfigError: as :func:`ctxbench.run` would.
        StoreError: the store exists and cannot be read.
    """
    experiment = resolve(config, Session.of(registry, components))
    try:
        found = Survey(planned=experiment.size)
        if Path(config.store).exists():
            with Store.open_read_only(Path(config.store)) as store:
                found = survey(experiment, store)
        return {
            "name": config.name,
            "config_hash": experiment.config_hash,
            "planned": found.planned,
            "stored": found.stored,
            "to_run": found.to_run,
            "models": [reader.label if reader.adapter is None else f"{reader.label} + {reader.adapter}" for reader in experiment.readers],
            "tasks": [part.label for part in experiment.tasks],
            "buckets": list(config.buckets),
            "codecs": [part.label for part in experiment.codecs],
            "augmentations": [part.label for part in experiment.augmentations],
            "samples": config.samples or "all",
            "notes": list(experiment.notes),
            "metrics": {task: [part.label for part in parts] for task, parts in experiment.metrics.items()},
        }
    finally:
        experiment.close()
