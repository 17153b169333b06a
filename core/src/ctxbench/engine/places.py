"""Which models read elsewhere, and where: on the devices of ``run.devices``, or wherever the executor offers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ctxbench.devices import moves, placements
from ctxbench.engine.clock import Clock
from ctxbench.engine.local_replicas import on_devices
from ctxbench.engine.team import Team
from ctxbench.interfaces import Executor
from ctxbench.plan import Experiment, Reader
from ctxbench.replicas import ModelSpec


@attrs.frozen
class Places:
    """Makes the replicas of those models of an experiment that read elsewhere."""

    experiment: Experiment
    executor: Executor

    def team(self, readers: Sequence[Reader], clock: Clock) -> Team | None:
        """Replicas of models that are in memory together; ``None`` if this process reads."""
        settings = self.experiment.config.run
        moved = [reader for reader in readers if moves(reader.model)]
        if not moved:
            return None
        if settings.devices:
            return self._on_devices(moved, settings.devices, clock)
        specs = {reader.identity: self._spec(reader) for reader in moved}
        starts = self.executor.replicas(specs)
        return None if starts is None else Team(specs, starts, clock)

    def _on_devices(self, readers: Sequence[Reader], devices: Sequence[str], clock: Clock) -> Team | None:
        placed: list[dict[str, ModelSpec]] = [{} for _ in devices]
        for reader in readers:
            for specs, options in zip(placed, placements(reader.model, devices) or (), strict=False):
                specs[reader.identity] = self._spec(reader, options)
        if not placed[0]:
            return None
        return Team(placed[0], on_devices(placed, max(1, (os.cpu_count() or 1) // len(devices))), clock)

    def _spec(self, reader: Reader, placed: Mapping[str, Any] | None = None) -> ModelSpec:
        options = {**reader.options, **(placed or {})}
        return ModelSpec(self.experiment.session.recipe(), reader.name, reader.adapter, options)
