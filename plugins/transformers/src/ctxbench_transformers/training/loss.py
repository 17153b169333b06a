"""The training loss: cross entropy of the answer's tokens, and of nothing else."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from ctxbench_transformers.training.examples import IGNORED
from ctxbench_transformers.training.places import unmasked
from ctxbench_transformers.training.trainable import base_of


def answer_loss(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
    """The sum of the negative log-likelihoods (nats) of all labelled tokens, and how many they are."""
    logits, kept = _answer_logits(model, batch)
    loss = cross_entropy(logits.float().flatten(0, 1), kept.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss, int((kept != IGNORED).sum())


def answer_losses(model: Any, batch: dict[str, torch.Tensor]) -> tuple[list[float], list[int]]:
    """The same for each example of a batch."""
    logits, kept = _answer_logits(model, batch)
    losses = cross_entropy(logits.float().transpose(1, 2), kept, ignore_index=IGNORED, reduction="none")
    return losses.sum(dim=1).tolist(), (kept != IGNORED).sum(dim=1).tolist()


def _answer_logits(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, shape (batch, positions, words), and the tokens that they should predict, shape (batch, positions).

    Only the positions that predict a labelled token get logits: over 150,000 words, those of a whole page would outweigh the model.
    """
    inputs = unmasked({key: value for key, value in batch.items() if key != "labels"})
    columns, kept = answer_columns(batch["labels"])
    model = base_of(model)  # whose call is seen by all that watches over calls; an adapter's wrapper calls ``forward`` itself
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits
    else:
        logits = model(**inputs, use_cache=False).logits[:, columns]
    return logits, kept


def answer_columns(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The positions that predict a labelled token of some row, and what each row's should predict there, shape (batch, positions)."""
    targets = labels[:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    return columns, targets[:, columns]
