"""An auxiliary loss for pages whose visual tokens are squares of the page: each token is to tell what stands in its square.

A vision part that has never seen a 2D code passes on little of its cells, and the answers' loss teaches it only once the language part can
use what it passes on. A linear head on the visual tokens, which is no part of the result, asks for the cells themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits

from ctxbench import ConfigError
from ctxbench.options import Integer, option
from ctxbench_transformers.encoding import Encoded
from ctxbench_transformers.training.auxiliary import AuxiliaryLoss, Targets

CHANNELS, FRAMES = 3, 2
"""A patch of Qwen2-VL's image processor: its colours, and the frames of a video, which for an image are equal."""


def vision_part(model: Any, loss: str) -> nn.Module:
    """The vision part of a model like Qwen2-VL.

    Raises:
        ConfigError: it has none; ``loss`` is who asks.
    """
    visual: nn.Module | None = next((module for name, module in model.named_modules() if name.rpartition(".")[2] == "visual"), None)
    if visual is None:
        raise ConfigError(f"{loss}: {type(model).__name__} has no vision part like Qwen2-VL's")
    return visual


def features(output: Any) -> torch.Tensor:
    """The visual tokens, shape (tokens, hidden), that such a vision part gives to the language model."""
    found: torch.Tensor = output.pooler_output if hasattr(output, "pooler_output") else output
    return found


@attrs.define(eq=False)
class PageCells(AuxiliaryLoss):
    """Cross entropy (nats a cell and colour channel) of whether each cell of a visual token's square is bright.

    A square is cut into ``cells`` x ``cells`` cells of equal size; the targets are read from the pixels that the model gets, so they are
    right for any codec and any augmentation that leaves the cells where they were. For models with the patches of Qwen2-VL, whose visual
    tokens are squares of 28 px.

    Attributes:
        cells: cells along a side of a square. For the preset ``aligned`` of ``codebook``, 28 over its ``cell``; for QR codes with modules
            of 4 px, 7.
    """

    version: ClassVar[int] = 1
    vision_only: ClassVar[bool] = True

    cells: int = option(Integer(1, 28), 7)
    _seen: torch.Tensor | None = attrs.field(default=None, init=False)
    _head: nn.Linear | None = attrs.field(default=None, init=False)

    def attach(self, model: Any) -> nn.Module:
        """A linear head, on what the vision part gives to the language model.

        Raises:
            ConfigError: the model has no such vision part.
        """
        vision_part(model, "page_cells").register_forward_hook(self._keep)
        self._head = nn.Linear(model.config.get_text_config().hidden_size, CHANNELS * self.cells**2)
        return self._head

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._seen = features(output)

    def targets(self, example: Any, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """Whether each cell is bright: bytes of shape (visual tokens, channels x cells x cells), channel by channel."""
        if not encoded.visual:
            return None
        patches = encoded.media["pixel_values"]
        side = math.isqrt(patches.shape[1] // (CHANNELS * FRAMES))
        merged = math.isqrt(patches.shape[0] // encoded.visual)
        if patches.shape != (encoded.visual * merged**2, CHANNELS * FRAMES * side**2):
            raise ConfigError("page_cells: the pages of this model are not cut into patches as Qwen2-VL's are")
        squares = patches.reshape(-1, merged, merged, CHANNELS, FRAMES, side, side)[:, :, :, :, 0].permute(0, 3, 1, 4, 2, 5)
        means = adaptive_avg_pool2d(squares.reshape(-1, CHANNELS, merged * side, merged * side), self.cells)
        return {"bright": (means > 0).flatten(1).to(torch.uint8)}

    def terms(self, targets: Targets) -> int:
        """Cells times channels."""
        return targets["bright"].numel()

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum of the cross entropies."""
        assert self._seen is not None
        assert self._head is not None
        wanted = torch.cat([found["bright"] for _, found in targets]).float()
        return binary_cross_entropy_with_logits(self._head(self._seen).float(), wanted, reduction="sum")
