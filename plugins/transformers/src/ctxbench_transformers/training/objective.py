"""What a step minimises: the loss of the answers, and those of the config's ``auxiliary`` entries."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch

from ctxbench import ConfigError
from ctxbench_transformers.training.auxiliary import Parts
from ctxbench_transformers.training.config import TrainConfig, weight_at
from ctxbench_transformers.training.examples import IGNORED, Batch
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.places import VISION
from ctxbench_transformers.training.trainable import base_of

Kinds = list[float]
"""A number for the answers' loss, and one for each auxiliary loss."""


@attrs.frozen(eq=False)
class Objective:
    """A weighted sum of losses, each of which is a mean over its terms in a step: for the answers', over their tokens."""

    config: TrainConfig
    parts: Parts

    @property
    def names(self) -> list[str]:
        """Of the losses, for the log; ``loss`` is the answers'. Two others of the same kind are told apart by their places."""
        kinds = [entry.loss for entry in self.config.auxiliary]
        return ["loss", *(f"loss/{kind}" + (f".{i}" if kinds.count(kind) > 1 else "") for i, kind in enumerate(kinds))]

    def weights(self, step: int) -> Kinds:
        """Of each loss at a step, from 0."""
        return [float(step >= self.config.answer_begin), *(weight_at(entry, step) for entry in self.config.auxiliary)]

    def terms(self, batches: Sequence[Batch]) -> Kinds:
        """Terms of each loss in some forward passes."""
        answer = sum(int((batch.inputs["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        own = [sum(loss.terms(found) for batch in batches for _, found in batch.targets[i]) for i, loss in enumerate(self.parts.losses)]
        return [float(answer), *map(float, own)]

    def losses(self, model: Any, batch: Batch, step: int) -> list[torch.Tensor | None]:
        """The sums (nats, for the answers) of a forward pass; ``None`` for a loss that does not count, or has no terms here.

        Raises:
            ConfigError: the vision part alone was to compute, and the model does not offer it.
        """
        weights = self.weights(step)
        wanted = [i for i, loss in enumerate(self.parts.losses) if weights[1 + i] and batch.targets[i]]
        answer = None
        if weights[0] or any(not self.parts.losses[i].vision_only for i in wanted):
            answer, _ = answer_loss(model, batch.inputs)
        elif wanted:
            see(model, batch.inputs)
        own: list[torch.Tensor | None] = [None] * len(self.parts.losses)
        for i in wanted:
            own[i] = self.parts.losses[i].loss(batch.inputs, batch.targets[i])
        return [answer if weights[0] else None, *own]


def see(model: Any, inputs: Mapping[str, torch.Tensor]) -> None:
    """Let the vision part compute, and nothing else.

    Raises:
        ConfigError: the model has no ``get_image_features``, as transformers' image-text models do.
    """
    base = base_of(model)
    if not hasattr(base, "get_image_features"):
        raise ConfigError(f"answer_begin: {type(base).__name__} does not offer its vision part alone; set it to 0")
    taken = {*inspect.signature(base.get_image_features).parameters, *VISION}
    base.get_image_features(**{key: value for key, value in inputs.items() if key in taken})
