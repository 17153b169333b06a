"""The optimizers of a run: AdamW, its moments in 32 or in 8 bit; or Muon for matrices and AdamW for all else."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.distributed.tensor import DTensor

from ctxbench import ConfigError
from ctxbench_transformers.training.auxiliary import HEAD
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.weights import quiet

Optimizers = tuple[torch.optim.Optimizer, ...]
"""Each with parameters of its own."""

SMALLEST = 4096
"""Elements below which bitsandbytes keeps a tensor's moments in 32 bit."""
STACKED = ("cuda",)
"""Types of devices on which Muon takes matrices of one shape together."""
BLOCK = 256
"""Elements of a block that share a scale, in bitsandbytes' 8-bit moments."""


def check_optimizer(config: TrainConfig, device: torch.device) -> None:
    """Take one step with the optimizer, on a tensor of its own: whether it works here is known before the weights are read.

    Raises:
        ConfigError: it does not.
    """
    if config.optimizer != "adamw8bit":
        return
    from transformers.utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        raise ConfigError("optimizer: adamw8bit needs bitsandbytes: pip install 'ctxbench-transformers[qlora]'")
    try:
        tried = torch.nn.Parameter(torch.ones(SMALLEST // 64, 64, device=device))
        (optimizer,) = make_optimizers(config, {"tried": tried})
        optimizer.param_groups[0]["lr"] = 1.0
        tried.grad = torch.ones_like(tried)
        optimizer.step()
        works = bool((tried < 0.5).all())
    except Exception as error:
        raise ConfigError(f"optimizer: adamw8bit does not work on {device}: {' '.join(str(error).split())[:300]}") from None
    if not works:
        raise ConfigError(f"optimizer: adamw8bit does not work on {device}: its step changes nothing; take adamw")


def make_optimizers(config: TrainConfig, parameters: dict[str, torch.nn.Parameter]) -> Optimizers:
    """What the config asks for. Vectors (biases, norms) are not decayed."""
    if config.optimizer != "muon":
        return (_adamw(config, parameters.values()),)
    matrices = {name: p for name, p in parameters.items() if takes_muon(name, p.ndim)}
    rest = [p for name, p in parameters.items() if name not in matrices]
    peak = config.lr if config.muon_lr is None else config.muon_lr
    group = {"params": list(matrices.values()), _RELATIVE: peak / config.lr if config.lr else 1.0}
    # Updates scaled to the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so that one rate suits both.
    muon = _muon(matrices.values())([group], lr=peak, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
    return tuple(optimizer for optimizer in (muon if matrices else None, _adamw(config, rest) if rest else None) if optimizer is not None)


def _muon(matrices: Iterable[torch.nn.Parameter]) -> type[torch.optim.Muon]:
    """PyTorch's, or on a GPU, where many small operations are slow, one that takes matrices of one shape together."""
    if any(isinstance(p, DTensor) or p.device.type not in STACKED for p in matrices):
        return torch.optim.Muon
    from ctxbench_transformers.training.muon import StackedMuon

    return StackedMuon


def takes_muon(name: str, dimensions: int) -> bool:
    """Whether Muon trains a parameter: a matrix of a hidden layer, not of an embedding or of an output (Jordan et al. 2024)."""
    return dimensions == 2 and "embed" not in name and "lm_head" not in name and not name.startswith(HEAD)


_RELATIVE = "ctxbench_relative_lr"
"""Key of a parameter group: its learning rate over the one of the schedule."""


def set_rates(optimizers: Optimizers, rate: float) -> None:
    """Give all groups the learning rate of a step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(_RELATIVE, 1.0)


def _adamw(config: TrainConfig, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    alike: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for parameter in parameters:  # no operation takes whole tensors and parts of some together
        alike.setdefault((parameter.ndim > 1, isinstance(parameter, DTensor)), []).append(parameter)
    groups = [{"params": some, "weight_decay": config.weight_decay if matrices else 0.0} for (matrices, _), some in alike.items()]
    betas = (config.beta1, config.beta2)
    if config.optimizer != "adamw8bit":
        return torch.optim.AdamW(groups, lr=config.lr, betas=betas)
    with quiet():
        from bitsandbytes.optim import AdamW8bit

        optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=config.lr, betas=betas)
        return optimizer


def moments_bytes(config: TrainConfig, elements: int, *, muon: bool = False) -> int:
    """Bytes that are kept of a tensor between steps: two moments, or with Muon, for the parameters that it trains, one."""
    if config.optimizer == "muon" and muon:
        return 4 * elements
    if config.optimizer != "adamw8bit" or elements < SMALLEST:
        return 8 * elements
    return 2 * elements + 8 * -(-elements // BLOCK)
