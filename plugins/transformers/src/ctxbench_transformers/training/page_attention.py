"""Attention within each page of a batch, for all pages at once.

Without flash attention, transformers lets Qwen2-VL's vision part attend page by page: a dozen small operations for each page and layer,
which keep a GPU waiting. Here pages are put side by side, filled up to the longest.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.weak import WeakTensorKeyDictionary

from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.places import qwen2_vision

NAME = "ctxbench_flash_pages"
"""In transformers' register. It hands all pages at once to what has ``flash`` in its name, and to nothing else."""

DEVICES = ("cuda",)
"""Types of devices on which pages attend together. On a CPU, padding costs more than the loop does."""

WASTE = 2**27
"""Products of a query and a key, in a head, that padding may add; with more, pages attend one by one, as they always did."""

_ALIGNED = 16
"""Mask rows of a multiple of this many elements are taken as they are by PyTorch's kernels; others it copies for each layer."""

# Not cuDNN's, which PyTorch prefers on an H100: it builds a plan for each new shape, some 30 ms, and nearly every batch has one.
_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def attend_together(model: Any, config: TrainConfig, device: torch.device) -> None:
    """Let the pages of a batch attend at once, where that is faster and the config asks for no other attention.

    What is set is the model's in memory alone: transformers writes no attention into a config's file.
    """
    visual = qwen2_vision(model)
    if visual is None or device.type not in DEVICES or config.attn_implementation not in (None, "sdpa", "eager"):
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
    visual.config._attn_implementation_internal = NAME  # the public attribute takes the names that transformers knows


@attrs.frozen(eq=False)
class _Layout:
    """Where the patches of a batch go.

    Attributes:
        lengths: patches of each page.
        longest: places for the patches of each page; 0 if pages attend one by one.
        rows: the place of each patch, page by page; ``None`` if pages are equally long and side by side already.
        mask: places that hold a patch, shape (pages, 1, 1, longest).
    """

    lengths: list[int]
    longest: int
    rows: torch.Tensor | None = None
    mask: torch.Tensor | None = None


_layouts: Any = WeakTensorKeyDictionary()  # of the beginnings of pages, which all layers of a forward pass share


def _layout(begins: torch.Tensor) -> _Layout:
    found: _Layout | None = _layouts.get(begins)
    if found is None:
        found = _layouts[begins] = _new_layout(begins)
    return found


def _new_layout(begins: torch.Tensor) -> _Layout:
    sizes = begins.diff()
    lengths = sizes.tolist()
    longest = max(lengths)
    if min(lengths) == longest:
        return _Layout(lengths, longest)
    longest = -(-longest // _ALIGNED) * _ALIGNED
    if len(lengths) * longest**2 - sum(length**2 for length in lengths) > WASTE:
        return _Layout(lengths, 0)
    shifts = torch.arange(len(lengths), device=begins.device) * longest - begins[:-1]
    rows = torch.arange(sum(lengths), device=begins.device) + shifts.repeat_interleave(sizes, output_size=sum(lengths))
    mask = torch.arange(longest, device=begins.device) < sizes[:, None]
    return _Layout(lengths, longest, rows, mask[:, None, None])


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: all of shape (1, heads, patches, width); gives (1, patches, heads, width)."""
    layout = _layout(cu_seq_lens_q)
    attend = functools.partial(scaled_dot_product_attention, attn_mask=layout.mask, dropout_p=dropout, scale=scaling)
    with sdpa_kernel(_KERNELS):
        if not layout.longest:
            split = (torch.split(tensor, layout.lengths, 2) for tensor in (query, key, value))
            each = [attend(*page) for page in zip(*split, strict=True)]
            return torch.cat(each, dim=2).transpose(1, 2), None
        packed = torch.cat((query, key, value)).permute(2, 0, 1, 3)  # (patches, 3, heads, width)
        if layout.rows is not None:
            places = packed.new_zeros(len(layout.lengths) * layout.longest, *packed.shape[1:])
            packed = places.index_copy(0, layout.rows, packed)
        pages = packed.reshape(len(layout.lengths), layout.longest, *packed.shape[1:]).permute(2, 0, 3, 1, 4)
        made = attend(*pages.unbind())
    made = made.transpose(1, 2).flatten(0, 1)
    return (made if layout.rows is None else made.index_select(0, layout.rows))[None], None
