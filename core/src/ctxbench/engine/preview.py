"""What a config would run, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctxbench.config import ExperimentConfig
from ctxbench.engine.runner import pending
from ctxbench.plan import resolve
from ctxbench.registry import Registry, load_plugins
from ctxbench.store import Store


def preview(config: ExperimentConfig, registry: Registry | None = None) -> dict[str, Any]:
    """Counts of planned, stored and remaining trials, and what is varied. Every component is found and made; the store is only read.

    Raises:
        ConfigError: as :func:`ctxbench.run` would.
        StoreError: the store exists and cannot be read.
    """
    experiment = resolve(config, registry or load_plugins())
    try:
        trials = experiment.trials()
        to_run = trials
        if Path(config.store).exists():
            with Store.open_read_only(Path(config.store)) as store:
                to_run = pending(experiment, store, trials)
        return {
            "name": config.name,
            "config_hash": config.hash,
            "planned": len(trials),
            "stored": len(trials) - len(to_run),
            "to_run": len(to_run),
            "models": [reader.label if reader.adapter is None else f"{reader.label} + {reader.adapter}" for reader in experiment.readers],
            "tasks": [part.label for part in experiment.tasks],
            "buckets": list(config.buckets),
            "codecs": [part.label for part in experiment.codecs],
            "augmentations": [part.label for part in experiment.augmentations],
            "samples": config.samples,
            "metrics": {task: [part.label for part in parts] for task, parts in experiment.metrics.items()},
        }
    finally:
        experiment.close()
