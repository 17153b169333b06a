"""Which examples each step sees, and at what learning rate: functions of the step's number, so that resuming needs no history."""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import derive_seed
from ctxbench_transformers.training.config import TrainConfig


@attrs.frozen
class Schedule:
    """The plan of a run over ``examples`` training records by ``world`` processes."""

    config: TrainConfig
    examples: int
    world: int = 1

    @property
    def batch(self) -> int:
        """Examples in one optimizer step, all processes together."""
        return self.config.batch_size * self.config.accumulation * self.world

    @property
    def seen(self) -> int:
        """Examples in the whole run."""
        if self.config.epochs:
            return math.ceil(self.examples * self.config.epochs)
        return self.batch * (self.config.max_steps or 0)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run; the last one may see fewer examples."""
        return min(n for n in (math.ceil(self.seen / self.batch), self.config.max_steps) if n is not None)

    def indices(self, step: int, rank: int = 0) -> list[list[int]]:
        """The examples of step ``step`` (from 0) for one process: a list for each forward pass, maybe shorter or fewer at the very end."""
        start = step * self.batch
        places = range(start, min(start + self.batch, self.seen))
        size = self.config.batch_size
        passes = [places[i : i + size] for i in range(rank * size, len(places), self.world * size)]
        return [[self._example(place) for place in some] for some in passes]

    def _example(self, place: int) -> int:
        epoch, index = divmod(place, self.examples)
        return int(_permutation(self.config.seed, epoch, self.examples)[index])

    def lr(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0): a linear rise over the warm-up, then the schedule."""
        peak, warm = self.config.lr, math.ceil(self.config.warmup * self.steps)
        if step < warm:
            return peak * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        falling = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[self.config.schedule]
        return peak * (self.config.min_lr + (1 - self.config.min_lr) * falling)


_orders: dict[tuple[int, int, int], npt.NDArray[np.int64]] = {}


def _permutation(seed: int, epoch: int, size: int) -> npt.NDArray[np.int64]:
    """The order of an epoch. The last few are kept."""
    key = (seed, epoch, size)
    if key not in _orders:
        while len(_orders) >= 2:
            _orders.pop(next(iter(_orders)))
        _orders[key] = np.random.default_rng(derive_seed("order", seed, epoch)).permutation(size)
    return _orders[key]
