"""What a forward pass would compute from the shapes of its batch alone, computed where the batch is made.

Models like Qwen2-VL number the places of tokens and of patches sample by sample and page by page. On a GPU each of those small operations
waits for the one before; in the process that makes batches they cost a step nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import attrs
import torch

from ctxbench_transformers.training.trainable import base_of

Inputs = dict[str, torch.Tensor]

TOKENS = "position_ids"
"""Input with the places of the tokens in time, height and width, shape (3, batch, tokens)."""

VISION = ("image_position_ids", "image_cu_seqlens")
"""Inputs that transformers hands on to the vision part, without ``image_``: the row and column of each patch, and where pages begin."""

_NEEDED = {"input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw", "attention_mask"}
_ALLOWED = _NEEDED | {"second_per_grid_ts", "kwargs"}  # of videos, which no batch here has


@attrs.frozen
class Places:
    """Adds to a batch's inputs what its model takes ready-made.

    Attributes:
        tokens: the model's own way to number the places of tokens, which reads nothing of the model but its config.
        merged: patches along a side of a visual token, of a vision part that takes the places of its patches.
    """

    tokens: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None
    merged: int | None = None

    def __call__(self, inputs: Inputs) -> Inputs:
        """The inputs and what was added."""
        grid = inputs.get("image_grid_thw")
        added: Inputs = {}
        if self.tokens is not None and grid is None:
            rows, length = inputs["input_ids"].shape
            added[TOKENS] = torch.arange(length).expand(3, rows, length)
        elif self.tokens is not None and "mm_token_type_ids" in inputs:
            named = {key: inputs[key] for key in ("mm_token_type_ids", "image_grid_thw", "attention_mask")}
            added[TOKENS] = self.tokens(inputs["input_ids"], **named)[0]
        if self.merged is not None and grid is not None:
            from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

            added |= zip(VISION, (get_vision_position_ids(grid, self.merged), get_vision_cu_seqlens(grid)), strict=True)
        return {**inputs, **added}


def unmasked(inputs: Inputs) -> Inputs:
    """What a model is given of a batch that is padded on the right: no mask, where the places of tokens are known without one.

    Such models look at what came before and nothing else, so no token looks at what fills its row up; and attention that knows this
    leaves out the half of its products that a mask would have it compute.
    """
    return {key: value for key, value in inputs.items() if key != "attention_mask"} if TOKENS in inputs else inputs


def places_of(model: Any) -> Places:
    """What can be computed ahead of a model's forward passes; of most models, nothing."""
    inner = getattr(base_of(model), "model", None)
    visual = qwen2_vision(model)
    return Places(_rope_index(inner), visual.spatial_merge_size if visual is not None and _takes_ready_made() else None)


def qwen2_vision(model: Any) -> Any:
    """The vision part of a model, if it is Qwen2-VL's own; else ``None``."""
    visual = getattr(getattr(base_of(model), "model", None), "visual", None)
    kinds = {(kind.__module__, kind.__name__) for kind in type(visual).__mro__}
    return visual if ("transformers.models.qwen2_vl.modeling_qwen2_vl", "Qwen2VisionTransformerPretrainedModel") in kinds else None


def _rope_index(inner: Any) -> Callable[..., tuple[torch.Tensor, torch.Tensor]] | None:
    """``get_rope_index``, of models that call it for each batch with pages that comes without ``position_ids``, and with nothing else."""
    found = getattr(inner, "get_rope_index", None)
    if found is None or not hasattr(inner, "compute_3d_position_ids") or not found.__module__.startswith("transformers.models."):
        return None
    taken = set(inspect.signature(found).parameters)
    return found if taken >= _NEEDED and taken <= _ALLOWED else None


def _takes_ready_made() -> bool:
    """Whether this transformers has what makes ``get_image_features`` take :data:`VISION`."""
    try:
        from transformers import vision_utils
        from transformers.utils.generic import accepts_precomputed_kwargs  # noqa: F401
    except ImportError:
        return False
    return all(hasattr(vision_utils, name) for name in ("get_vision_cu_seqlens", "get_vision_position_ids"))
