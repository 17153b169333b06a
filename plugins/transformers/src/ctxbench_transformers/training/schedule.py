"""Which examples each step sees, and at what learning rate: functions of the step's number, so that resuming needs no history."""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import derive_seed
from ctxbench_transformers.training.config import TrainConfig

POOL = 50
"""Passes whose examples are sorted by length together."""


@attrs.frozen
class Schedule:
    """The plan of a run over ``examples`` training records by ``world`` processes.

    Attributes:
        lengths: tokens of each record, shape (examples,), where the config groups by length.
    """

    config: TrainConfig
    examples: int
    world: int = 1
    lengths: npt.NDArray[np.int64] | None = attrs.field(default=None, eq=False)
    _orders: dict[int, npt.NDArray[np.int64]] = attrs.field(factory=dict, init=False, eq=False, repr=False)

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
        if epoch not in self._orders:
            while len(self._orders) >= 2:
                self._orders.pop(next(iter(self._orders)))
            self._orders[epoch] = self._order(epoch)
        return int(self._orders[epoch][index])

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order of an epoch."""
        chance = np.random.default_rng(derive_seed("order", self.config.seed, epoch))
        order = chance.permutation(self.examples)
        if self.lengths is None:
            return order
        # A pass may begin in one epoch and end in the next: passes are counted from the beginning of the run.
        begun = min(self.examples, -epoch * self.examples % self.config.batch_size)
        return np.concatenate([order[:begun], *_grouped(order[begun:], self.lengths, self.config.batch_size, chance)])

    def lr(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0): a linear rise over the warm-up, then the schedule."""
        peak, warm = self.config.lr, math.ceil(self.config.warmup * self.steps)
        if step < warm:
            return peak * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        falling = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[self.config.schedule]
        return peak * (self.config.min_lr + (1 - self.config.min_lr) * falling)


def _grouped(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], size: int, chance: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Passes of ``size`` examples of like length, in random order; what fills no pass comes last.

    Each is cut from a pool of :data:`POOL` passes that follow each other in ``order``, so that who is with whom differs by epoch.
    """
    whole = len(order) // size * size
    passes: list[npt.NDArray[np.int64]] = []
    for start in range(0, whole, POOL * size):
        pool = order[start : min(start + POOL * size, whole)]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        passes += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [*(passes[i] for i in chance.permutation(len(passes))), order[whole:]]
