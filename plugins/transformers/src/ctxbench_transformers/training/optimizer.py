"""The optimizer of a run: AdamW, its moments in 32 or in 8 bit."""

from __future__ import annotations

from typing import Any

import torch

from ctxbench import ConfigError
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.weights import quiet

SMALLEST = 4096
"""Elements below which bitsandbytes keeps a tensor's moments in 32 bit."""
BLOCK = 256
"""Elements of a block that share a scale, in bitsandbytes' 8-bit moments."""


def check_optimizer(config: TrainConfig, device: torch.device) -> None:
    """Take one step with the optimizer, on a tensor of its own: whether it works here is known before the weights are read.

    Raises:
        ConfigError: it does not.
    """
    if config.optimizer == "adamw":
        return
    from transformers.utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        raise ConfigError("optimizer: adamw8bit needs bitsandbytes: pip install 'ctxbench-transformers[qlora]'")
    try:
        tried = torch.nn.Parameter(torch.ones(SMALLEST // 64, 64, device=device))
        optimizer = make_optimizer(config, {"tried": tried})
        optimizer.param_groups[0]["lr"] = 1.0
        tried.grad = torch.ones_like(tried)
        optimizer.step()
        works = bool((tried < 0.5).all())
    except Exception as error:
        raise ConfigError(f"optimizer: adamw8bit does not work on {device}: {' '.join(str(error).split())[:300]}") from None
    if not works:
        raise ConfigError(f"optimizer: adamw8bit does not work on {device}: its step changes nothing; take adamw")


def make_optimizer(config: TrainConfig, parameters: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW; vectors (biases, norms) are not decayed."""
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups, betas = [group for group in groups if group["params"]], (config.beta1, config.beta2)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=betas)
    with quiet():
        from bitsandbytes.optim import AdamW8bit

        optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=config.lr, betas=betas)
        return optimizer


def moments_bytes(config: TrainConfig, elements: int) -> int:
    """Bytes of the two moments of a tensor."""
    if config.optimizer == "adamw" or elements < SMALLEST:
        return 8 * elements
    return 2 * elements + 8 * -(-elements // BLOCK)
