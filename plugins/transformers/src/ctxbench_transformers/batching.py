"""Puts prompts of similar length together and pads them into one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch.nn.functional import pad

from ctxbench_transformers.encoding import SEQUENCE_KEYS, Encoded


def by_length(lengths: Sequence[int], batch_size: int, tokens: int | None = None) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest prompts first, so that a batch pads little and memory peaks early.

    A batch has at most ``batch_size`` rows, none of which is shorter than half of the longest, and at most ``tokens`` padded tokens (rows
    times the longest), if that is given; a row that is longer than that is alone.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch:
            longest = lengths[batch[0]]
            full = tokens is not None and (len(batch) + 1) * longest > tokens
            if len(batch) >= batch_size or full or 2 * lengths[i] < longest:
                yield batch
                batch = []
        batch.append(i)
    if batch:
        yield batch


def collate(batch: Sequence[Encoded], pad_id: int, side: Literal["left", "right"]) -> dict[str, torch.Tensor]:
    """One batch: sequences padded to the longest on ``side``, shape (batch, tokens); image tensors joined along their first dimension.

    Image tensors that differ in a later dimension (Idefics3 and SmolVLM: images a prompt; LLaVA-NeXT: tiles an image) are filled up
    with zeros, which is what those models' own processors do and their forward passes ignore.
    """
    longest = max(len(item) for item in batch)
    shapes = {key: tuple(value.shape[1:]) for item in batch for key, value in item.sequences.items()}
    out = {}
    for key in [key for key in SEQUENCE_KEYS if key in shapes]:
        value = pad_id if key == "input_ids" else 0
        out[key] = _join([_fill(_row(item, key, shapes[key]), longest, value, side)[None] for item in batch])
    out["attention_mask"] = torch.stack([_fill(torch.ones(len(item), dtype=torch.long), longest, 0, side) for item in batch])
    for key in sorted({key for item in batch for key in item.media}):
        out[key] = _join([item.media[key] for item in batch if key in item.media])
    return out


def _row(item: Encoded, key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A sequence of one prompt; zeros where its neighbours alone have such a one."""
    return item.sequences[key] if key in item.sequences else torch.zeros(len(item), *shape, dtype=torch.long)


def _fill(values: torch.Tensor, length: int, value: int, side: Literal["left", "right"]) -> torch.Tensor:
    """``values``, shape (tokens, ...), filled up to ``length`` tokens."""
    missing = length - values.shape[0]
    amounts = (missing, 0) if side == "left" else (0, missing)
    return pad(values, (*(0, 0) * (values.ndim - 1), *amounts), value=value)


def _join(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    largest = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    filled = []
    for tensor in tensors:
        amounts = [part for size, now in zip(reversed(largest), reversed(tensor.shape[1:]), strict=True) for part in (0, size - now)]
        filled.append(pad(tensor, amounts) if any(amounts) else tensor)
    return torch.cat(filled)
