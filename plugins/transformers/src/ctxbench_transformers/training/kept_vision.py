"""An auxiliary loss against forgetting: the vision part is to go on seeing some pages as it did (Li and Hoiem, *Learning without
forgetting*, 2016, with the visual tokens in the place of the answers)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import nn

from ctxbench import ConfigError
from ctxbench.options import ListOf, String, option
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded
from ctxbench_transformers.training.auxiliary import AuxiliaryLoss, Targets
from ctxbench_transformers.training.page_cells import features, vision_part


@attrs.define(eq=False)
class KeptVision(AuxiliaryLoss):
    """Squared distance of each visual token of a page from the one that a teacher makes of it, over the variance of the latter's values.

    For models whose vision part is Qwen2-VL's. A copy of it is kept, which shares the weights that are not trained.

    Attributes:
        codecs: labels of the codecs whose pages are meant; empty for all.
        augmentations: labels of the levels of damage whose pages are meant; empty for all.
        teacher: ``base`` is the model without its adapter, whose pages an adapter for others should leave readable; ``start`` is the model
            as the training begins.
    """

    version: ClassVar[int] = 1
    vision_only: ClassVar[bool] = True

    codecs: Sequence[str] = option(ListOf(String(), minimum=0), ())
    augmentations: Sequence[str] = option(ListOf(String(), minimum=0), ())
    teacher: str = option(String(("base", "start")), "base")
    _seen: torch.Tensor | None = attrs.field(default=None, init=False)
    _teacher: Any = attrs.field(default=None, init=False)
    _image: int = attrs.field(default=-1, init=False)

    def attach(self, model: Any) -> None:
        """Keep a teacher, and see what the vision part makes of a page.

        Raises:
            ConfigError: the model has no vision part like Qwen2-VL's, or no adapter to be without.
        """
        from peft.tuners.tuners_utils import BaseTunerLayer

        visual = vision_part(model, "kept_vision")
        frozen = {id(p): p for p in visual.parameters() if not p.requires_grad}
        self._teacher = copy.deepcopy(visual, memo=frozen).requires_grad_(False).eval()
        if self.teacher == "base":
            adapted = [part for part in self._teacher.modules() if isinstance(part, BaseTunerLayer)]
            if not adapted:
                raise ConfigError("kept_vision: no adapter changes the vision part, so there is nothing that teacher: base could keep")
            for part in adapted:
                part.enable_adapters(enabled=False)
        self._image = model.config.image_token_id
        visual.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._seen = features(output)

    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """How many visual tokens there are."""
        level = example.augmentation.label if example.augmentation else ""
        if not encoded.visual or (self.codecs and example.codec not in self.codecs):
            return None
        if self.augmentations and level not in self.augmentations:
            return None
        return {"tokens": torch.tensor(encoded.visual)}

    def terms(self, targets: Targets) -> int:
        """Visual tokens."""
        return int(targets["tokens"])

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over visual tokens."""
        assert self._seen is not None
        grid, counts = batch["image_grid_thw"], (batch["input_ids"] == self._image).sum(1)
        patches = grid.prod(1)
        tokens = patches * counts.sum() // patches.sum()
        rows = torch.searchsorted(counts.cumsum(0), tokens.cumsum(0))  # of each page: pages are in the order of the rows
        meant = torch.isin(rows, torch.tensor([row for row, _ in targets], device=rows.device))
        kept = meant.repeat_interleave(patches)
        ready = {"position_ids": batch["image_position_ids"][kept]} if "image_position_ids" in batch else {}
        with torch.no_grad():  # which sees the pages that are meant, and no others
            taught = features(self._teacher(batch["pixel_values"][kept], grid_thw=grid[meant], **ready)).float()
        seen = self._seen[meant.repeat_interleave(tokens)].float()
        return ((seen - taught).square().mean(1) / taught.var(1).clamp_min(1e-6)).sum()
