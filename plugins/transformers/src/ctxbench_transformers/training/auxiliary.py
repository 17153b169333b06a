"""Losses beside that of the answers, and other ways to write an answer in tokens: the parts of a training that others can supply.

A part is found by the name of its entry point (group :data:`LOSSES` or :data:`ANSWERS`) or as ``module:Class``. What a loss needs to know
of a record is worked out where batches are made, ahead of the steps if the config says so; what it needs to know of the model it sees
through hooks, which it sets once.
"""

from __future__ import annotations

import abc
import importlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import nn

from ctxbench import ConfigError, nearest
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded, Encoder
from ctxbench_transformers.training.config import TrainConfig

LOSSES = "ctxbench.auxiliary_losses"
ANSWERS = "ctxbench.answer_writers"

Targets = dict[str, torch.Tensor]
"""What a loss compares with, of one record."""


class AuxiliaryLoss(abc.ABC):
    """A loss that is added to that of the answers, times its ``weight`` in the config.

    The options of its entry in the config are the keyword arguments of its class. It is a mean over the terms of all records of an
    optimizer step, whatever the split into passes and processes.

    Attributes:
        version: to be raised when the same options come to mean something else; a run does not go on with another version.
        vision_only: whether the vision part alone shows it what it needs, so that nothing else has to compute while the answers' loss does
            not count yet (``answer_begin``).
    """

    version: ClassVar[int] = 1
    vision_only: ClassVar[bool] = False

    def attach(self, model: Any) -> nn.Module | None:
        """Set the hooks by which it sees what ``model`` computes, the base with an adapter's layers in it. Called once.

        Returns a module that is trained beside the model, such as a head on its visual tokens. It is no part of the result, but kept
        beside it, and a training that goes on from there begins with it. Random initial weights come from PyTorch's global generator,
        which is seeded for this.

        Raises:
            ConfigError: it does not fit the model.
        """
        return None

    @abc.abstractmethod
    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """What it compares with; ``None`` for a record of which it has nothing to say.

        A function of its arguments alone. ``encoded`` and ``labels``, shape (tokens,), are the whole conversation, with the answer.
        """

    @abc.abstractmethod
    def terms(self, targets: Targets) -> int:
        """How many terms a record adds to the mean."""

    @abc.abstractmethod
    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum of the terms of a forward pass, whose hooks were called just before.

        Args:
            batch: the model's inputs, padded on the right, and ``labels``.
            targets: the row in the batch and what :meth:`targets` gave, for each record of which there is something to say. Never empty.
        """


@attrs.frozen
class Written:
    """An answer in tokens.

    Attributes:
        ids: the tokens, with the one that ends the turn.
        learned: which of them count in the loss; all where it is empty.
    """

    ids: tuple[int, ...]
    learned: tuple[bool, ...] = ()


class AnswerWriter(abc.ABC):
    """Writes answers in tokens where the model is to use others than its tokenizer would.

    Attributes:
        version: to be raised when an answer comes to be written differently.
    """

    version: ClassVar[int] = 1

    @abc.abstractmethod
    def write(self, example: Example, encoder: Encoder) -> Written:
        """A record's answer. A function of its arguments alone."""


@attrs.frozen(eq=False)
class Parts:
    """The parts that a config names."""

    losses: tuple[AuxiliaryLoss, ...] = ()
    writer: AnswerWriter | None = None

    @property
    def versions(self) -> dict[str, int]:
        """For a run's identity: the version of each part, by its place in the config."""
        found = {f"auxiliary[{i}]": loss.version for i, loss in enumerate(self.losses)}
        return found if self.writer is None else {**found, "answers": self.writer.version}

    def attach(self, model: Any) -> dict[str, nn.Parameter]:
        """Let the losses see the model; gives the parameters of what is trained beside it, by names that no model uses."""
        heads = {f"{HEAD}{i}": loss.attach(model) for i, loss in enumerate(self.losses)}
        return {
            f"{name}.{own}": parameter
            for name, head in heads.items()
            if head is not None
            for own, parameter in head.to(next(model.parameters()).device).named_parameters()
        }


HEAD = "auxiliary_head_"
"""Beginning of the names of parameters that are trained beside the model."""


def make_parts(config: TrainConfig) -> Parts:
    """The parts of a training.

    Raises:
        ConfigError: there is no such part, or it does not take its options.
    """
    losses = [_make(LOSSES, AuxiliaryLoss, f"auxiliary[{i}]", entry.loss, entry.options) for i, entry in enumerate(config.auxiliary)]
    return Parts(tuple(losses), None if config.answers is None else _make(ANSWERS, AnswerWriter, "answers", config.answers, {}))


def _make(group: str, kind: type[Any], where: str, name: str, options: Mapping[str, Any]) -> Any:
    cls = _find(group, where, name)
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        raise ConfigError(f"{where}: {name} is no {kind.__name__}")
    try:
        return cls(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {name}: {error}") from None


def _find(group: str, where: str, name: str) -> Any:
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{where}: {name}: {error}") from None
    points = {point.name: point for point in importlib.metadata.entry_points(group=group)}
    if name not in points:
        raise ConfigError(f"{where}: no plugin offers {name!r}{nearest(name, points)}; one that is not installed is named as module:Class")
    try:
        return points[name].load()
    except Exception as error:
        raise ConfigError(f"{where}: {name} cannot be loaded: {type(error).__name__}: {error}") from None
