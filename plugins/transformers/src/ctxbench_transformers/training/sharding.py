"""Fully sharded training (ZeRO stage 3, Rajbhandari et al. 2020; PyTorch's FSDP2): each process keeps a part of every layer.

The layers of the language model are sharded, each by itself: its weights are gathered while it computes, and its gradients are summed into
the part of each process. All else (the vision part, embeddings, the output) stays whole in every process: a batch without pages does not
call the vision part, and processes that call different layers would wait for each other for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from ctxbench import ConfigError
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.trainable import in_language


def check_sharding(config: TrainConfig, world: World) -> None:
    """Refuse what is not done in parts.

    Raises:
        ConfigError: there is one process, or a setting needs whole tensors.
    """
    if not config.fsdp:
        return
    if world.size == 1:
        start = "accelerate launch --multi_gpu --num_processes N -m ctxbench_transformers.training CONFIG"
        raise ConfigError(f"fsdp: there is one process, which keeps everything; start several: {start}")
    for key, value, allowed in (
        ("method", config.method, ("lora", "full")),
        ("optimizer", config.optimizer, ("adamw",)),
        ("precision", config.precision, ("bf16", "fp32")),
    ):
        if value not in allowed:
            raise ConfigError(f"fsdp: {key}: {value} needs whole tensors; with fsdp it may be {' or '.join(allowed)}")


def shard(model: Any, world: World, device: torch.device) -> None:
    """Shard the layers of the language model over all processes.

    Raises:
        ConfigError: the model does not say which modules are its layers.
    """
    kinds = {kind for module in model.modules() for kind in getattr(module, "_no_split_modules", None) or ()}
    layers = [module for name, module in model.named_modules() if type(module).__name__ in kinds and in_language(name)]
    if not layers:
        raise ConfigError("fsdp: the language model names no layers that could be sharded")
    mesh = world.mesh(device)
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
        # The loss is divided by all processes' tokens, so gradients are summed and not averaged.
        layer.set_gradient_divide_factor(1.0)
        layer.set_force_sum_reduction_for_comms(True)  # gloo has no other


def whole(tensors: Iterable[tuple[str, torch.Tensor]], *, keep: bool) -> dict[str, torch.Tensor]:
    """Tensors by name; those of which this process has a part are put together, on the CPU, for whoever is to ``keep`` them.

    All processes ask at once.
    """
    found = {}
    for name, tensor in tensors:
        full = tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor
        if keep:
            found[name] = full
    return found


def part_like(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What of a whole tensor belongs to this process, if ``like`` is a part of one of its shape; else the tensor, on its device."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value.to(like.device)
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def norm(parameters: Iterable[torch.nn.Parameter], world: World, device: torch.device) -> float:
    """The 2-norm of all gradients together, the same in every process."""
    own, parts = 0.0, 0.0
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if isinstance(parameter.grad, DTensor):
            parts += float(parameter.grad.to_local().double().square().sum())
        else:
            own += float(parameter.grad.double().square().sum())
    (parts,) = world.sum(parts, device=device)
    return float((own + parts) ** 0.5)


def _sharded(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


@contextlib.contextmanager
def gathered(model: Any) -> Iterator[None]:
    """The whole model in every process: each may call it as often as it likes. Nothing is trained meanwhile."""
    layers = _sharded(model)
    for layer in layers:
        layer.unshard()
        layer.set_reshard_after_forward(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.set_reshard_after_forward(True)
            layer.reshard()


def ungroup(model: Any, *, keep: bool) -> None:
    """Make an ordinary model of it, on the CPU, in the process that is to ``keep`` it. All processes ask at once; training is over."""
    for layer in _sharded(model):
        for module in layer.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if isinstance(parameter, DTensor):
                    full = parameter.full_tensor().cpu()
                    module._parameters[name] = torch.nn.Parameter(full if keep else full.new_empty(0), parameter.requires_grad)
        layer.__class__ = type(layer).__mro__[2]  # FSDP made a class of its own, and of its and this one's methods
