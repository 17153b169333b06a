"""Which training record is at which place of a run.

Orders are functions of the seed and the place, so a run that goes on needs no history, and processes that make batches ahead agree.
Places count the examples of a run from 0, all processes together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import derive_seed
from ctxbench_transformers.training.config import TrainConfig, weight_at

POOL = 50
"""Steps whose examples are sorted by length together."""

Indices = npt.NDArray[np.int64]


class Order(Protocol):
    """A run's records, one after the other."""

    def __getitem__(self, place: int) -> int:
        """The record at a place."""
        ...


@attrs.frozen(eq=False)
class Epochs:
    """Every record once in each pass over the data, whose order is drawn anew.

    Attributes:
        size: number of records.
        batch: examples of an optimizer step.
        lengths: tokens of each record, shape (size,), if those of like length go together.
    """

    config: TrainConfig
    size: int
    batch: int
    lengths: Indices | None = None
    _orders: dict[int, Indices] = attrs.field(factory=dict, init=False, repr=False)

    def __getitem__(self, place: int) -> int:
        epoch, index = divmod(place, self.size)
        return int(_kept(self._orders, epoch, self._order)[index])

    def _order(self, epoch: int) -> Indices:
        chance = np.random.default_rng(derive_seed("order", self.config.seed, epoch))
        order = chance.permutation(self.size)
        if self.lengths is None:
            return order
        # A step may begin in one epoch and end in the next: steps are counted from the beginning of the run.
        begun = min(self.size, -epoch * self.size % self.batch)
        return np.concatenate([order[:begun], *_grouped(order[begun:], self.lengths, self.batch, chance)])


@attrs.frozen(eq=False)
class Mixture:
    """Groups of records that are drawn from by weight, each from a step on and up to another.

    Which group a place takes from is drawn; within a group, every record comes once before any comes again.

    Attributes:
        groups: the records of each entry of ``config.sampling``.
        batch: examples of an optimizer step.
        lengths: tokens of each record, if those of like length go together. They do among the places of one phase of the curriculum.
    """

    config: TrainConfig
    groups: Sequence[Indices]
    batch: int
    lengths: Indices | None = None
    _taken: list[Indices] = attrs.field(init=False, repr=False)
    _blocks: dict[int, Indices] = attrs.field(factory=dict, init=False, repr=False)
    _passes: dict[tuple[int, int], Indices] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_taken", [np.zeros(len(self.groups), np.int64)])

    @property
    def block(self) -> int:
        """Places that are drawn together."""
        return POOL * self.batch

    def __getitem__(self, place: int) -> int:
        number, inside = divmod(place, self.block)
        return int(_kept(self._blocks, number, self._records)[inside])

    def _drawn(self, number: int) -> Indices:
        """The group of each place of a block."""
        chance = np.random.default_rng(derive_seed("sampling", self.config.seed, number))
        drawn = chance.random(self.block)
        places = np.arange(number * self.block, (number + 1) * self.block)
        found = np.empty(self.block, np.int64)
        for start, end in self._phases(places):
            shares = np.cumsum(weights(self.config, int(places[start]) // self.batch))
            found[start:end] = np.searchsorted(shares / shares[-1], drawn[start:end], side="right")
        return found

    def _phases(self, places: Indices) -> list[tuple[int, int]]:
        """Parts of a block within which the weights do not change, as ranges of its places."""
        steps = [step for entry in self.config.sampling for step in (entry.begin, entry.end) if step is not None]
        cuts = sorted({0, len(places), *(cut for step in steps if 0 < (cut := step * self.batch - int(places[0])) < len(places))})
        return list(pairwise(cuts))

    def _records(self, number: int) -> Indices:
        while len(self._taken) <= number:
            drawn = self._drawn(len(self._taken) - 1)
            self._taken.append(self._taken[-1] + np.bincount(drawn, minlength=len(self.groups)))
        drawn, found = self._drawn(number), np.empty(self.block, np.int64)
        for group in np.unique(drawn):
            own = np.flatnonzero(drawn == group)
            first = int(self._taken[number][group])
            found[own] = [self._record(int(group), first + i) for i in range(len(own))]
        if self.lengths is None:
            return found
        chance = np.random.default_rng(derive_seed("order", self.config.seed, number))
        phases = self._phases(np.arange(number * self.block, (number + 1) * self.block))
        parts = [_grouped(found[start:end], self.lengths, self.batch, chance) for start, end in phases]
        return np.concatenate([some for part in parts for some in part])

    def _record(self, group: int, count: int) -> int:
        """The record that a group gives when it is drawn from for the ``count``-th time, from 0."""
        records = self.groups[group]
        epoch, index = divmod(count, len(records))
        if (group, epoch) not in self._passes:
            self._passes.pop((group, epoch - 2), None)
            chance = np.random.default_rng(derive_seed("order", self.config.seed, group, epoch))
            self._passes[group, epoch] = records[chance.permutation(len(records))]
        return int(self._passes[group, epoch][index])


def weights(config: TrainConfig, step: int) -> list[float]:
    """The weight of each entry of ``config.sampling`` at a step, 0 for those that do not take part."""
    return [weight_at(entry, step) for entry in config.sampling]


def _kept(made: dict[int, Indices], number: int, make: Callable[[int], Indices]) -> Indices:
    """What ``make`` gives for a number; the last two are kept."""
    if number not in made:
        while len(made) >= 2:
            made.pop(next(iter(made)))
        made[number] = make(number)
    return made[number]


def _grouped(order: Indices, lengths: Indices, size: int, chance: np.random.Generator) -> list[Indices]:
    """Steps of ``size`` examples of like length, in random order; what fills no step comes last.

    All passes of a step are alike, not the examples of each pass alone: processes that take a pass at the same time wait for the longest.
    Each step is cut from a pool of :data:`POOL` steps that follow each other in ``order``, so that who is with whom differs by epoch.
    """
    whole = len(order) // size * size
    steps: list[Indices] = []
    for start in range(0, whole, POOL * size):
        pool = order[start : min(start + POOL * size, whole)]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        steps += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [*(steps[i] for i in chance.permutation(len(steps))), order[whole:]]
