"""The steps of a run: which examples each sees, and at what learning rate. Both are functions of its number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.order import Epochs, Indices, Mixture, Order


@attrs.frozen
class Schedule:
    """The plan of a run by ``world`` processes.

    Attributes:
        records: number of training records.
        lengths: tokens of each record, shape (records,), where the config groups by length.
        groups: the records of each entry of ``config.sampling``, by number; a record is in one of them at most.
    """

    config: TrainConfig
    records: int
    world: int = 1
    lengths: Indices | None = attrs.field(default=None, eq=False)
    groups: Sequence[Indices] = attrs.field(default=(), eq=False)
    order: Order = attrs.field(init=False, eq=False, repr=False)

    @order.default
    def _order(self) -> Order:
        if self.groups:
            return Mixture(self.config, self.groups, self.batch, self.lengths)
        return Epochs(self.config, self.records, self.batch, self.lengths)

    @property
    def examples(self) -> int:
        """Records that take part: those of an epoch."""
        return sum(map(len, self.groups)) if self.groups else self.records

    @property
    def batch(self) -> int:
        """Examples in one optimizer step, all processes together."""
        return self.config.batch_size * self.config.accumulation * self.world

    @property
    def seen(self) -> int:
        """Examples in the whole run, repeated ones included."""
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
        return [[self.order[place] for place in some] for some in passes]

    def lr(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0): a linear rise over the warm-up, then the schedule."""
        peak, warm = self.config.lr, math.ceil(self.config.warmup * self.steps)
        if step < warm:
            return peak * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        falling = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[self.config.schedule]
        return peak * (self.config.min_lr + (1 - self.config.min_lr) * falling)
