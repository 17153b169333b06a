"""Parts of a training on the toy data, as strangers might write them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ctxbench import ConfigError
from ctxbench_transformers.training.auxiliary import AnswerWriter, AuxiliaryLoss, Written


class Letters(AuxiliaryLoss):
    """A head on the visual tokens names the letter of each square."""

    vision_only = True

    def __init__(self, only: int | None = None) -> None:
        self.only = only
        self.seen: Any = None

    def attach(self, model: Any) -> nn.Module:
        self.head = nn.Linear(model.config.get_text_config().hidden_size, 4)
        model.model.visual.register_forward_hook(self._keep)
        return self.head

    def _keep(self, module: Any, inputs: Any, output: Any) -> None:
        self.seen = output.pooler_output

    def targets(self, example: Any, encoded: Any, labels: Any) -> Any:
        if self.only not in (None, example.sample.bucket):
            return None
        return {"letters": torch.tensor(["abcd".index(letter) for letter in example.sample.context])}

    def terms(self, targets: Any) -> int:
        return len(targets["letters"])

    def loss(self, batch: Any, targets: Any) -> torch.Tensor:
        ends = (batch["image_grid_thw"].prod(1) // 4).cumsum(0).tolist()
        parts = self.seen.split([end - start for start, end in zip([0, *ends], ends, strict=False)])
        rows = torch.cat([parts[row] for row, _ in targets])
        return cross_entropy(self.head(rows).float(), torch.cat([own["letters"] for _, own in targets]), reduction="sum")


class Looking(AuxiliaryLoss):
    """A head of the first layer looks, while a letter is written, at the square that shows it."""

    def attach(self, model: Any) -> None:
        if model.config._attn_implementation != "eager":
            raise ConfigError("looking needs attn_implementation: eager, which alone keeps the attention")
        model.model.language_model.layers[0].self_attn.register_forward_hook(self._keep)
        self.image = model.config.image_token_id

    def _keep(self, module: Any, inputs: Any, output: Any) -> None:
        self.attention = output[1]

    def targets(self, example: Any, encoded: Any, labels: Any) -> Any:
        squares = (encoded.ids == self.image).nonzero().flatten()
        writing = (labels >= 0).nonzero().flatten()[: len(squares)] - 1
        return {"at": torch.stack([writing, squares])}

    def terms(self, targets: Any) -> int:
        return targets["at"].shape[1]

    def shares(self, targets: Any) -> torch.Tensor:
        """What the head gives to each square."""
        return torch.cat([self.attention[row, 0, own["at"][0], own["at"][1]] for row, own in targets])

    def loss(self, batch: Any, targets: Any) -> torch.Tensor:
        return -self.shares(targets).float().clamp_min(1e-6).log().sum()


class Backwards(AnswerWriter):
    """Answers from their end; the first token is given."""

    def write(self, example: Any, encoder: Any) -> Written:
        *ids, end = encoder.answer_ids(example.answer)
        return Written((*reversed(ids), end), (False, *[True] * len(ids)))


class NoLearning(AnswerWriter):
    """Says of too few tokens whether they are learned."""

    def write(self, example: Any, encoder: Any) -> Written:
        return Written(tuple(encoder.answer_ids(example.answer)), (True,))
