"""Checkpoints that are whole or not there, whenever the process is killed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ctxbench import CtxbenchError, UsageError
from ctxbench_transformers.files import sync, write_json
from ctxbench_transformers.training.optimizer import Optimizers
from ctxbench_transformers.training.sharding import part_like, whole

Tensors = dict[str, torch.Tensor]
"""By the names of files: a parameter's, or a moment's and a parameter's."""

_NAME = re.compile(r"step-(\d{8})\Z")
_PARTIAL = ".partial-"


@attrs.define
class State:
    """What a run needs to go on, beside the weights and the optimizer.

    Attributes:
        step: optimizer steps that are done.
        best: the best validation value, of step ``best_step``; ``bad`` evaluations since then were no better.
        identity: fingerprints of the data and the base model, and the number of processes.
        settings: those of the config that decide the weights.
        pending: the numbers of step ``step``, if an interrupt came before they were logged, and the step evaluated if it was due.
        changes: settings that were changed when the run went on: the step, the key, the old and the new value.
        validation: the last evaluation, by codec and task; ``best_validation`` is that of step ``best_step``.
        trackers: ids of the run with the trackers that have such.
        scaler: the scale of the loss, in float16, and since when it has held.
    """

    step: int = 0
    best: float | None = None
    best_step: int | None = None
    bad: int = 0
    identity: dict[str, Any] = attrs.field(factory=dict)
    settings: dict[str, Any] = attrs.field(factory=dict)
    pending: dict[str, float] | None = None
    changes: list[dict[str, Any]] = attrs.field(factory=list)
    validation: dict[str, Any] | None = None
    best_validation: dict[str, Any] | None = None
    trackers: dict[str, str] = attrs.field(factory=dict)
    scaler: dict[str, Any] | None = None


@attrs.frozen
class Checkpoints:
    """The checkpoints of one run: folders ``step-00000100`` with safetensors and JSON, nothing that could run code when it is read."""

    folder: Path

    def save(self, state: State, weights: Tensors, moments: Tensors) -> Path:
        """Write a checkpoint under another name, wait until it is on the disk, then rename it."""
        final = self.folder / f"step-{state.step:08d}"
        if final.exists():  # a resumed run saves the same step again: same content
            return final
        part = self.folder / f"{_PARTIAL}{final.name}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _save(part / "weights.safetensors", weights)
        _save(part / "optimizer.safetensors", moments)
        write_json(part / "state.json", attrs.asdict(state))
        for path in (*part.iterdir(), part):
            sync(path)
        part.rename(final)
        sync(self.folder)
        return final

    def all(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step-*") if _NAME.match(path.name)) if self.folder.is_dir() else []

    def latest(self) -> Path:
        """The newest whole checkpoint.

        Raises:
            UsageError: there is none.
        """
        found = self.all()
        if not found:
            raise UsageError(f"--resume: no checkpoint in {self.folder}")
        return found[-1]

    def at(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.folder / f"step-{step:08d}"

    def prune(self, keep: int, best: int | None = None) -> None:
        """Remove all but the newest ``keep`` and the best, and what a killed run left unfinished."""
        for path in self.all()[:-keep]:
            if best is None or path != self.at(best):
                path.rename(self.folder / f"{_PARTIAL}{path.name}")  # a half-removed checkpoint must not look like a whole one
        for path in self.folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(path, ignore_errors=True)


def _save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        raise CtxbenchError(f"{path}: the checkpoint cannot be written: {' '.join(str(error).split())}") from None


def read_state(checkpoint: Path) -> State:
    """A checkpoint's state.

    Raises:
        UsageError: it is no checkpoint.
    """
    try:
        return State(**json.loads((checkpoint / "state.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--resume: {checkpoint} is no checkpoint of ctxbench train ({type(error).__name__})") from None


def load_weights_into(checkpoint: Path, parameters: dict[str, torch.nn.Parameter]) -> None:
    """Copy a checkpoint's weights into the model.

    Raises:
        UsageError: they are not those of this model.
    """
    saved = load_file(checkpoint / "weights.safetensors")
    if saved.keys() != parameters.keys():
        raise UsageError(f"--resume: {checkpoint} holds other weights than this config trains")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(part_like(saved[name], parameter))


def load_optimizers_into(checkpoint: Path, parameters: dict[str, torch.nn.Parameter], optimizers: Optimizers) -> None:
    """Give each optimizer the moments of its parameters that a checkpoint holds."""
    owner = {parameter: optimizer for optimizer in optimizers for group in optimizer.param_groups for parameter in group["params"]}
    for key, value in load_file(checkpoint / "optimizer.safetensors").items():
        field, _, name = key.partition("/")
        parameter = parameters[name]
        state = owner[parameter].state[parameter]
        # AdamW keeps its step counts on the CPU, or as plain numbers (in 8 bit), and its moments beside the parameters.
        if field == "step":
            state[field] = value if value.is_floating_point() else int(value)
        else:
            state[field] = part_like(value, parameter)


def weight_tensors(parameters: dict[str, torch.nn.Parameter], *, keep: bool = True) -> Tensors:
    """The weights as a checkpoint has them, for the process that is to ``keep`` them."""
    return whole(((name, value.detach().contiguous()) for name, value in parameters.items()), keep=keep)


def optimizer_tensors(parameters: dict[str, torch.nn.Parameter], optimizers: Optimizers, *, keep: bool = True) -> Tensors:
    """The moments as a checkpoint has them, for the process that is to ``keep`` them."""
    return whole(_moments(parameters, optimizers), keep=keep)


def _moments(parameters: dict[str, torch.nn.Parameter], optimizers: Optimizers) -> Iterator[tuple[str, torch.Tensor]]:
    states = {parameter: state for optimizer in optimizers for parameter, state in optimizer.state.items()}
    for name, parameter in parameters.items():
        for field, value in states.get(parameter, {}).items():
            # The tables of 8-bit moments are shared by all parameters, and files hold no shared tensors.
            tensor = torch.as_tensor(value).detach()
            yield f"{field}/{name}", tensor.clone() if field.startswith("qmap") else tensor.contiguous()
