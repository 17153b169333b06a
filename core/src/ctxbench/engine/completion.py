"""Counts how many trials of a plan are stored, in its store and in the stores of its shards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from ctxbench.config import ExperimentConfig
from ctxbench.engine.pending import CHUNK, chunks
from ctxbench.plan import Experiment
from ctxbench.plugin import ComponentRecord
from ctxbench.registry import Registry
from ctxbench.resolving import resolve
from ctxbench.session import Session
from ctxbench.shards import stores_beside
from ctxbench.store import Store
from ctxbench.store.snapshot import live


@attrs.define
class CellStatus:
    """One cell: trials that are planned, stored (errors among them), and errors."""

    task: str
    bucket: int
    codec: str
    augmentation: str
    model: str
    adapter: str | None
    planned: int = 0
    stored: int = 0
    errors: int = 0


@attrs.define
class Status:
    """A plan's progress. A trial that several stores hold counts once.

    Attributes:
        stores: trials of the plan in each store that was looked into, by path.
        cells: by cell, in the order of the plan.
    """

    name: str
    planned: int = 0
    stored: int = 0
    errors: int = 0
    stores: dict[str, int] = attrs.field(factory=dict)
    cells: list[CellStatus] = attrs.field(factory=list)

    @property
    def missing(self) -> int:
        """Trials that are in no store yet."""
        return self.planned - self.stored

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {**attrs.asdict(self), "missing": self.missing}


def status(config: ExperimentConfig, registry: Registry | None = None, components: Iterable[ComponentRecord] = ()) -> Status:
    """Count the stored trials of a plan. Stores are opened read-only; one that a run is writing is read through a snapshot.

    Looked into are the config's store and the stores of shards beside it.

    Raises:
        ConfigError: as :func:`ctxbench.run` would.
        StoreError: a store cannot be read.
    """
    experiment = resolve(config, Session.of(registry, components))
    try:
        with contextlib.ExitStack() as stack:
            paths = [path for path in (Path(config.store), *stores_beside(config.store)) if path.exists()]
            return _count(experiment, {str(path): stack.enter_context(live(path)) for path in paths})
    finally:
        experiment.close()


def _count(experiment: Experiment, stores: dict[str, Store]) -> Status:
    found = Status(experiment.config.name, stores=dict.fromkeys(stores, 0))
    cells: dict[str, CellStatus] = {}
    for cell in experiment.cells():
        parts = (cell.task.label, cell.bucket, cell.codec.label, cell.augmentation.label, cell.reader.label, cell.reader.adapter)
        cells[cell.id] = CellStatus(*parts)
    for groups in chunks(experiment.groups(), CHUNK):
        trials = {trial.trial_id: cells[trial.cell.id] for group in groups for trial in group.trials}
        states: dict[str, str] = {}
        for path, store in stores.items():
            known = store.stored(trials)
            found.stores[path] += len(known)
            for trial_id, row in known.items():
                states[trial_id] = "ok" if "ok" in (row.status, states.get(trial_id)) else row.status
        for trial_id, cell_status in trials.items():
            cell_status.planned += 1
            cell_status.stored += trial_id in states
            cell_status.errors += states.get(trial_id, "ok") == "error"
    found.cells = list(cells.values())
    for name in ("planned", "stored", "errors"):
        setattr(found, name, sum(getattr(cell, name) for cell in found.cells))
    return found
