"""What may differ between a checkpoint and the run that goes on from it, and what that means for the schedule.

The settings of the schedule may: they count from the next step on. Everything else that decides the weights must be as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from ctxbench import ConfigError, UsageError
from ctxbench_transformers import settings
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import heads
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.prepare import Prepared
from ctxbench_transformers.training.schedule import Schedule

MAY_CHANGE = ("epochs", "max_steps", "lr", "schedule", "warmup", "min_lr")
PATIENCE = "early_stopping.patience"


@attrs.frozen
class Change:
    """A setting that is another one than the checkpoint's."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old} -> {self.new}"

    @property
    def allowed(self) -> bool:
        """Whether a run may go on with it. Without patience, the best weights were not kept."""
        return self.key in MAY_CHANGE or (self.key == PATIENCE and bool(self.old) and bool(self.new))


def go_on(prepared: Prepared, checkpoint: Path) -> tuple[ckpt.State, list[str]]:
    """The state that a run goes on from, and what there is to say about it.

    Raises:
        UsageError: the checkpoint was made with other settings, from other data or another model, or by another number of processes.
    """
    state, config = ckpt.read_state(checkpoint), prepared.config
    changes = _changes(prepared, state, checkpoint)
    later = [path for path in prepared.checkpoints.all() if path.name > checkpoint.name]
    if changes and later:
        raise UsageError(
            f"--resume: {later[-1]} is of the run without {', '.join(map(str, changes))}; go on from the latest, or give another output"
        )
    new = prepared.schedule
    old = attrs.evolve(new, config=_before(config, changes))
    if new.steps < state.step:
        raise UsageError(f"--resume: epochs and max_steps come to {new.steps} steps, and {checkpoint} is of step {state.step}")
    notes = _notes(old, new, state, changes)
    state.changes += [{"step": state.step, **attrs.asdict(change)} for change in changes]
    state.settings, state.identity = config.settings, prepared.identity
    return state, notes


def _changes(prepared: Prepared, state: ckpt.State, checkpoint: Path) -> list[Change]:
    config, now, then = prepared.config, prepared.identity, state.identity
    given = {"data": ", ".join(config.data), "model": config.model, "adapter": config.adapter}
    given["heads"] = f"{config.adapter or config.model}/{heads.PLACE}"
    for key, name in given.items():
        if then.get(key) != now.get(key):
            said = f"holds other records than those that {checkpoint} was trained on"
            if key != "data":
                said = f"is another one than that which {checkpoint} was trained from"
            what = f"{key}: {name} {said}"
            raise UsageError(f"--resume: {what} (fingerprint {now.get(key)}, then {then.get(key)})")
    if then.get("parts") != now.get("parts"):
        raise UsageError(f"--resume: the versions of parts are {now.get('parts')}, and {checkpoint} was made with {then.get('parts')}")
    if not state.settings and then.get("config") != config.hash:  # of an early version, which kept a hash alone
        raise UsageError(f"--resume: {checkpoint} was made with other settings, which it does not name; give the ones it was made with")
    changes = differences(state.settings or config.settings, config.settings)
    if then.get("processes") != now["processes"]:
        changes.append(Change("processes", then.get("processes"), now["processes"]))
    refused = [str(change) for change in changes if not change.allowed]
    if refused:
        raise UsageError(
            f"--resume: {checkpoint} was made with other settings: {', '.join(refused)} (then -> now). Give the ones it was made with, "
            f"or train anew into another output; what may change is {', '.join(MAY_CHANGE)}"
        )
    return changes


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Settings that differ, by name. One that an older version did not have was at its default."""
    defaults = settings.flat(TrainConfig().settings)
    left, right = {**defaults, **settings.flat(old)}, {**defaults, **settings.flat(new)}
    return [Change(key, left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]


def _before(config: TrainConfig, changes: list[Change]) -> TrainConfig:
    """The config with the checkpoint's schedule."""
    plain = config.plain() | {change.key: change.old for change in changes if change.key in MAY_CHANGE}
    try:
        return settings.make(TrainConfig, plain)
    except ConfigError as error:
        raise UsageError(f"--resume: the checkpoint's settings cannot be read: {error}") from None


def _notes(old: Schedule, new: Schedule, state: ckpt.State, changes: list[Change]) -> list[str]:
    step = state.step
    if step >= new.steps and state.pending is None:
        return [f"all {new.steps} steps are done; more epochs or max_steps go on from here"]
    patience = new.config.early_stopping.patience
    if patience and state.bad >= patience:
        return [f"early stopping ended this run after step {step}; a larger {PATIENCE} goes on from here"]
    if not any(change.key in MAY_CHANGE for change in changes):
        return [f"going on after step {step} of {new.steps}" + "".join(f"; {change}" for change in changes)]
    lines = [f"going on with {', '.join(map(str, changes))}: {step} of now {new.steps} steps are done (then {old.steps})"]
    rates = f"the learning rate goes from {old.lr(step - 1):.3g} at step {step} to {new.lr(step):.3g} at step {step + 1}"
    if _as_planned(old, new, step) and not state.changes:
        return [*lines, f"{rates}; the weights will be as in an uninterrupted run of these settings"]
    return [
        *lines,
        f"{rates}, and follows from there the {new.config.schedule} schedule of a run of {new.steps} steps; "
        "these are not the weights of an uninterrupted run of these settings, whose first steps would have had other rates",
    ]


def _as_planned(old: Schedule, new: Schedule, step: int) -> bool:
    """Whether the steps that are done saw what the longer run's would have seen, at the same rates."""
    whole = step * old.batch <= old.seen
    return whole and all(old.lr(i) == new.lr(i) for i in range(step))
