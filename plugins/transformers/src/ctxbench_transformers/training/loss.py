"""The training loss: cross entropy of the answer's tokens, and of nothing else."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from ctxbench_transformers.training.examples import IGNORED


def answer_loss(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
    """The sum of the negative log-likelihoods (nats) of all labelled tokens, and how many they are.

    Only the positions that predict a labelled token get logits: over 150,000 words, those of a whole page would outweigh the model.
    """
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    targets = batch["labels"][:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    if "logits_to_keep" in inspect.signature(_base(model).forward).parameters:
        logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits
    else:
        logits = model(**inputs, use_cache=False).logits[:, columns]
    kept = targets[:, columns]
    loss = cross_entropy(logits.float().flatten(0, 1), kept.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss, int((kept != IGNORED).sum())


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
