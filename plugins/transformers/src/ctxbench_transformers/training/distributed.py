"""The processes of one training run, as ``torchrun`` and ``accelerate launch`` start them; one process needs neither."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator, Sequence

import attrs
import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor


@attrs.frozen
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    meshes: list[DeviceMesh] = attrs.field(factory=list, eq=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def sum(self, *values: float, device: torch.device) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sum the gradients over all processes, in one message for each dtype. Those of parts are summed already.

        What has no gradient in any process keeps none, as in a single one: an optimizer leaves it as it is.
        """
        if self.size == 1:
            return
        parameters = [p for p in parameters if not isinstance(p, DTensor)]
        if not parameters:
            return
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=parameters[0].device)
        distributed.all_reduce(there)
        parameters = [p for p, count in zip(parameters, there.tolist(), strict=True) if count]
        for dtype in sorted({p.dtype for p in parameters}, key=str):
            some = [p for p in parameters if p.dtype == dtype]
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in some])
            distributed.all_reduce(flat)
            for p, grad in zip(some, torch.split(flat, [p.numel() for p in some]), strict=True):
                p.grad = grad.view_as(p)

    def barrier(self) -> None:
        """Wait for all."""
        if self.size > 1:
            distributed.barrier()

    def mesh(self, device: torch.device) -> DeviceMesh:
        """All processes in a row."""
        self.meshes.append(init_device_mesh(device.type, (self.size,)))
        return self.meshes[-1]

    def leave(self) -> None:
        """Destroy the process group, and with its last reference its threads.

        A thread of gloo's may keep the tensors of a finished operation for a moment; one that lets go of them while the interpreter goes
        down aborts the process ("terminate called without an active exception"). PyTorch's caches of sharding keep a mesh for ever, and
        each mesh its group.
        """
        if self.size == 1:
            return
        distributed.destroy_process_group()
        for mesh in self.meshes:
            getattr(mesh, "_pg_registry", {}).clear()  # before it had one, PyTorch looked groups up by name
        gc.collect()


@contextlib.contextmanager
def join(device: str) -> Iterator[tuple[World, torch.device]]:
    """Join the run that the environment describes (RANK, WORLD_SIZE, LOCAL_RANK); gives this process's place and device."""
    from ctxbench_transformers.weights import Placement

    size = int(os.environ.get("WORLD_SIZE", "1"))
    world = World(int(os.environ.get("RANK", "0")), size, int(os.environ.get("LOCAL_RANK", "0"))) if size > 1 else World()
    chosen = Placement(device).torch_device()
    if chosen.type == "cuda" and chosen.index is None:
        chosen = torch.device("cuda", world.local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world.size > 1:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield world, chosen
    finally:
        world.leave()


def is_first() -> bool:
    """Whether this process is the one that prints, by the environment alone."""
    return os.environ.get("RANK", "0") == "0"


def launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
