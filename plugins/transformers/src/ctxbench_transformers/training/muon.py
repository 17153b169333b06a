"""Muon for matrices of one shape at once.

PyTorch's takes one matrix after the other, each with some 25 operations so small that a GPU mostly waits for the next. This one stacks
matrices of equal shape. The rule, the settings and what is kept between steps are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

Tensors = list[torch.Tensor]

MOST = 2**26
"""Elements of a stack: a step takes some 16 bytes of memory for each."""


class StackedMuon(torch.optim.Muon):
    """Takes what :class:`torch.optim.Muon` takes, and does the same up to the rounding of its products in bfloat16."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step, for all parameters that have gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for some in _stacks([parameter for parameter in group["params"] if parameter.grad is not None]):
                self._step(some, group)
        return loss

    def _step(self, parameters: Tensors, group: dict[str, Any]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        kept: Tensors = []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
            kept.append(state["momentum_buffer"])
        torch._foreach_lerp_(kept, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, kept, group["momentum"]) if group["nesterov"] else kept
        made = orthogonalised(torch.stack(tuple(updates)), group["ns_coefficients"], group["ns_steps"], group["eps"])
        rate, shape = float(group["lr"]), parameters[0].shape
        torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
        torch._foreach_add_(parameters, list(made.to(parameters[0].dtype).unbind()), alpha=-rate * _scale(shape, group["adjust_lr_fn"]))


def orthogonalised(matrices: torch.Tensor, coefficients: Sequence[float], steps: int, eps: float) -> torch.Tensor:
    """Each matrix of a stack with singular values near 1, in bfloat16, by Newton and Schulz's iteration."""
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.bfloat16()
    if tall:
        found = found.mT
    found = found / torch.linalg.vector_norm(found, dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = torch.bmm(found, found.mT)
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return (found.mT if tall else found).contiguous()


def _stacks(parameters: Sequence[torch.Tensor]) -> Iterator[Tensors]:
    """Parameters of one shape, as many together as memory is to be used for."""
    alike: dict[Any, Tensors] = {}
    for parameter in parameters:
        alike.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(parameter)
    for some in alike.values():
        size = max(1, MOST // some[0].numel())
        yield from (some[i : i + size] for i in range(0, len(some), size))


def _scale(shape: torch.Size, how: str | None) -> float:
    """PyTorch's ``adjust_lr_fn``."""
    rows, columns = shape
    return 0.2 * math.sqrt(max(rows, columns)) if how == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
