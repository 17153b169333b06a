"""Compares a plan with its store: which trials are stored, and which still have to be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, TypeVar

import attrs

from ctxbench.plan import Experiment, Group, Trial
from ctxbench.store import Store

T = TypeVar("T")
Work = Literal["trial", "channel"]
"""What a stored plan may lack: whole trials, or the channel's verdict of trials that are there."""

CHUNK = 512
"""Groups of trials that are looked up in the store at once."""


@attrs.define
class Survey:
    """Counts over a whole plan.

    Attributes:
        planned: trials. ``stored``: those that need no model any more; ``errors``: how many of these are errors that are kept.
        channels: stored trials that lack the channel's verdict, which is filled in.
        runs: run ids of what is stored, with how many trials each made.
    """

    planned: int = 0
    stored: int = 0
    errors: int = 0
    channels: int = 0
    runs: dict[str, int] = attrs.field(factory=dict)

    @property
    def to_run(self) -> int:
        """Trials that are still to run."""
        return self.planned - self.stored


@attrs.frozen
class Chunk:
    """Some groups of the plan, each with its trials sorted by what is to be done."""

    trials: list[tuple[Group, tuple[Trial, ...]]]
    channels: list[tuple[Group, tuple[Trial, ...]]]
    stored: list[Trial]

    def work(self) -> Iterator[tuple[Work, list[tuple[Group, tuple[Trial, ...]]]]]:
        """The groups that still need work, by the kind of work."""
        yield "channel", self.channels
        yield "trial", self.trials


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def wants_channel(experiment: Experiment) -> bool:
    """Whether pages are decoded classically: asked for, or needed by a model."""
    return experiment.config.run.channel or any(reader.model.needs_channel for reader in experiment.readers)


def pending(experiment: Experiment, store: Store) -> Iterator[Chunk]:
    """The whole plan, a chunk at a time, compared with the store as it is when the chunk's turn comes."""
    empty = store.is_empty
    again = experiment.config.run.retry_errors
    channel = wants_channel(experiment)
    for groups in chunks(experiment.groups(), CHUNK):
        known = {} if empty else store.stored(trial.trial_id for group in groups for trial in group.trials)
        found = Chunk([], [], [])
        for group in groups:
            new, unfilled = [], []
            for trial in group.trials:
                row = known.get(trial.trial_id)
                if row is None or (again and row.status == "error"):
                    new.append(trial)
                    continue
                found.stored.append(trial)
                if channel and group.codec.decodes and row.status == "ok" and not row.has_channel:
                    unfilled.append(trial)
            if new:
                found.trials.append((group, tuple(new)))
            if unfilled:
                found.channels.append((group, tuple(unfilled)))
        yield found


def survey(experiment: Experiment, store: Store) -> Survey:
    """Count what is planned, stored and missing, without keeping it."""
    found = Survey(planned=experiment.size)
    if store.is_empty:
        return found
    again = experiment.config.run.retry_errors
    channel = wants_channel(experiment)
    for groups in chunks(experiment.groups(), CHUNK):
        known = store.stored(trial.trial_id for group in groups for trial in group.trials)
        decodes = {trial.trial_id: group.codec.decodes for group in groups for trial in group.trials}
        for trial_id, row in known.items():
            if again and row.status == "error":
                continue
            found.stored += 1
            found.errors += row.status == "error"
            found.channels += channel and decodes[trial_id] and row.status == "ok" and not row.has_channel
            found.runs[row.run_id] = found.runs.get(row.run_id, 0) + 1
    return found
