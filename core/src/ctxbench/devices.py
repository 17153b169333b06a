"""Which models of an experiment have a replica on each of ``run.devices``, and whether the results would be the plan's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctxbench.errors import ConfigError
from ctxbench.interfaces import Model
from ctxbench.plan import Reader
from ctxbench.registry import Registry


def moves(model: Model) -> bool:
    """Whether a model may read in another process: not one that takes no time, nor one whose price is counted before it is spent."""
    return not model.instant and type(model).most_usd is Model.most_usd


def placements(model: Model, devices: Sequence[str]) -> list[Mapping[str, Any]] | None:
    """Options that place a model on each of the devices; ``None`` if it reads where this process does.

    Raises:
        ConfigError: this machine has no such device.
    """
    if not moves(model):
        return None
    found = [placed for device in devices if (placed := model.placed(device)) is not None]
    return found if len(found) == len(devices) else None


def check_devices(devices: Sequence[str], readers: Sequence[Reader], registry: Registry) -> tuple[str, ...]:
    """Refuse devices on which no model can be, or on which one would compute otherwise than its trials' ids say; returns notes.

    Raises:
        ConfigError: which device, and why.
    """
    staying = []
    for reader in readers if devices else ():
        try:
            options = placements(reader.model, devices)
        except ConfigError as error:
            raise ConfigError(f"run.devices: {error}") from None
        if options is None:
            staying.append(reader.title)
            continue
        kinds = {device.partition(":")[0]: (device, placed) for device, placed in zip(devices, options, strict=True)}
        for device, placed in kinds.values():
            _check_runtime(reader, device, registry.model(reader.name, adapter=reader.adapter, **{**reader.options, **placed}))
    titles = ", ".join(dict.fromkeys(staying))
    if devices and len(staying) == len(readers):
        raise ConfigError(f"run.devices: {titles}: cannot be told on which device to compute")
    return (f"{titles}: cannot be told on which device to compute, so read in this process",) if staying else ()


def _check_runtime(reader: Reader, device: str, model: Model) -> None:
    there = dict(model.runtime)
    if there != reader.runtime:
        before, after = _words(reader.runtime, there), _words(there, reader.runtime)
        hint = f"name the kind of device in the model's own options as well (device: {device.partition(':')[0]})"
        raise ConfigError(f"run.devices: {device}: {reader.title} is planned with {before} and would have {after} there; {hint}")


def _words(runtime: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in runtime.items() if other.get(key) != value) or "nothing"
