"""The batches of a run's steps, in order: made between the steps, or ahead of them by processes of their own.

What a step sees is a function of its number alone (see :mod:`ctxbench_transformers.training.schedule`), so it makes no difference to the
weights who makes its batches, or when.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import attrs
import torch

from ctxbench import CtxbenchError
from ctxbench.interrupts import interrupts_blocked
from ctxbench_transformers.data import JoinedSplit, Split
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.training.auxiliary import Parts
from ctxbench_transformers.training.examples import IGNORED, Batch, ExampleError, Labelled, label, make_batch
from ctxbench_transformers.training.places import Places
from ctxbench_transformers.training.schedule import Schedule

Batches = list[Batch]
"""One process's share of a step: a batch for each forward pass."""


@attrs.frozen(eq=False)
class StepBatches:
    """Batches by the number of the step, from 0, for the process of a ``rank``. ``positions``: tokens that the model has positions for."""

    encoder: Encoder
    train: Split | JoinedSplit
    schedule: Schedule
    rank: int
    pad_id: int
    positions: int | None
    parts: Parts = attrs.field(factory=Parts)
    places: Places = attrs.field(factory=Places)

    def __len__(self) -> int:
        return self.schedule.steps

    def __getitem__(self, step: int) -> Batches:
        """Read, encode and pad the step's records.

        Raises:
            CtxbenchError: a record is broken, or is longer than the model can take.
        """
        passes = self.schedule.indices(step, self.rank)
        made = [self._batch(some) for some in passes]
        if self.schedule.config.fsdp:  # processes that gather layers together take equally many passes, at the very end too
            others = self.schedule.indices(step)
            made += [self._unanswered(some) for some in others[len(passes) :]]
        return made

    def _batch(self, indices: Sequence[int]) -> Batch:
        made = make_batch([self._labelled(i) for i in indices], self.pad_id)
        return attrs.evolve(made, inputs=self.places(made.inputs))

    def _unanswered(self, indices: list[int]) -> Batch:
        """A pass that counts for nothing: no answer is asked for."""
        inputs = self._batch(indices).inputs
        return Batch({**inputs, "labels": torch.full_like(inputs["labels"], IGNORED)})

    def _labelled(self, index: int) -> Labelled:
        example = self.train[index]
        made = label(self.encoder, example, self.parts)
        if self.positions is not None and len(made.encoded) > self.positions:
            raise ExampleError(f"{example.id} has {len(made.encoded)} tokens; the model has positions for {self.positions}")
        return made


def feed(batches: StepBatches, first: int, workers: int, *, pin: bool = False) -> Generator[Batches]:
    """The batches of step ``first`` and of all that follow.

    ``workers`` processes make those of the next two steps each while a step is taken; with 0, each is made when it is asked for. ``pin``:
    in memory from which copies to a GPU are fast.
    """
    if workers:
        yield from _ahead(batches, first, workers, pin)
    else:
        for step in range(first, len(batches)):
            yield batches[step]


def _ahead(batches: StepBatches, first: int, workers: int, pin: bool) -> Generator[Batches]:
    loader: Any = torch.utils.data.DataLoader(
        _Attempts(batches),  # type: ignore[arg-type]
        sampler=range(first, len(batches)),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork",  # what it reads with, and the processor, are there already and cannot all be sent
        pin_memory=pin,
        generator=torch.Generator(),  # else it would draw from the one that the training uses
    )
    with interrupts_blocked():
        made = iter(loader)
    try:
        for found in made:
            if isinstance(found, CtxbenchError):
                raise found
            yield found
    finally:
        del made  # which ends the processes


@attrs.frozen(eq=False)
class _Attempts:
    """Batches, or the error in their place: raised in a worker, it would come out with that process's traceback as its message."""

    batches: StepBatches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Batches | CtxbenchError:
        try:
            return self.batches[step]
        except CtxbenchError as error:
            return error
