"""Which records the entries of ``sampling`` mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctxbench import ConfigError
from ctxbench_transformers.data import JoinedSplit, Split
from ctxbench_transformers.training.config import Sampled, TrainConfig
from ctxbench_transformers.training.order import Indices, weights

CONDITIONS = ("data", "codec", "task", "augmentation", "language", "bucket")
"""Columns of a record that an entry can ask for."""
SHOWN = 8
"""Values of a column in a message."""


def groups(config: TrainConfig, train: Split | JoinedSplit) -> tuple[Indices, ...]:
    """The records of each entry, by number: those that meet its conditions, and not those of an entry before it.

    Raises:
        ConfigError: an entry has no records.
    """
    if not config.sampling:
        return ()
    columns = {name: np.array(values) for name, values in train.columns(CONDITIONS).items()}
    free = np.full(len(train), True)
    found = []
    for number, entry in enumerate(config.sampling):
        own = free & _meets(entry, columns)
        if not own.any():
            met = _meets(entry, columns).any()
            why = "entries before it have all of its records" if met else f"no record is such; the data have {_values(columns)}"
            raise ConfigError(f"sampling[{number}]: {why}")
        free &= ~own
        found.append(np.flatnonzero(own))
    return tuple(found)


def _meets(entry: Sampled, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Whether each record meets an entry's conditions."""
    wanted = {name: getattr(entry, name) for name in CONDITIONS} | {"data": [str(Path(folder)) for folder in entry.data]}
    met = [np.isin(columns[name], values) for name, values in wanted.items() if values]
    return np.logical_and.reduce(met) if met else np.full(len(columns["codec"]), True)


def _values(columns: dict[str, np.ndarray]) -> str:
    """What there is to ask for; of many values the first ones."""
    found = {name: [str(value) for value in np.unique(values)] for name, values in columns.items()}
    return "; ".join(f"{name} {', '.join(some[:SHOWN])}{', ...' * (len(some) > SHOWN)}" for name, some in found.items())


def check_phases(config: TrainConfig, steps: int) -> None:
    """See that there is something to draw from at each of a run's steps.

    Raises:
        ConfigError: at a step no entry takes part.
    """
    changes = {0, *(step for entry in config.sampling for step in (entry.begin, entry.end) if step is not None)}
    for step in sorted(changes):
        if config.sampling and step < steps and not sum(weights(config, step)):
            raise ConfigError(f"sampling: at step {step + 1} of {steps} no entry takes part; see their begin, end and weight")
