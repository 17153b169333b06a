"""Hands prompts to one model in batches, each distinct prompt once."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from typing import cast

import attrs

from ctxbench.engine.prepare import Failure, Prepared, Variant, component
from ctxbench.interfaces import Task
from ctxbench.plan import Reader, Trial
from ctxbench.records import Prompt, Reading


@attrs.frozen
class Question:
    """A trial that is ready to be read."""

    trial: Trial
    prepared: Prepared
    variant: Variant

    @property
    def key(self) -> tuple[str, int, str, int]:
        """Equal for trials whose prompts are equal: an augmentation changes nothing in a carrier without pages."""
        label = self.trial.augmentation.label if self.variant.pages else ""
        return (self.trial.task.label, self.trial.bucket, f"{self.trial.codec.label}/{label}", self.trial.index)

    def prompt(self) -> Prompt:
        """What the model is asked."""
        sample = self.prepared.sample
        assert sample is not None
        task = cast(Task, component(self.trial.task))
        return Prompt(
            pages=self.variant.pages,
            text=self.prepared.text,
            system=self.prepared.job.system,
            expected=sample.answer,
            channel=self.variant.channel,
            solve=functools.partial(task.solve, question=sample.question),
        )


@attrs.frozen
class Answered:
    """A question with what the model said, or why it said nothing; ``seconds`` is its share of the batch's wall time."""

    question: Question
    reading: Reading | None
    failure: Failure | None
    seconds: float


@attrs.define
class Queue:
    """Questions that wait for one reader until they fill a batch."""

    reader: Reader
    batch_size: int
    _groups: dict[tuple[str, int, str, int], list[Question]] = attrs.field(factory=dict, init=False)

    def add(self, question: Question) -> Iterator[Answered]:
        """Queue a question; yields answers if that filled the batch."""
        self._groups.setdefault(question.key, []).append(question)
        # One prompt may serve several trials that arrive together, so a full batch is read when the next prompt comes.
        if len(self._groups) > self.batch_size:
            last = self._groups.pop(question.key)
            yield from self.flush()
            self._groups[question.key] = last

    def flush(self) -> Iterator[Answered]:
        """Read what waits."""
        groups, self._groups = list(self._groups.values()), {}
        if groups:
            yield from _read(self.reader, groups)


def _read(reader: Reader, groups: Sequence[Sequence[Question]]) -> Iterator[Answered]:
    start = time.perf_counter()
    try:
        readings = list(reader.model.read([group[0].prompt() for group in groups]))
        if len(readings) != len(groups):
            raise ValueError(f"model {reader.label!r} gave {len(readings)} readings for {len(groups)} prompts")
    except Exception as error:
        failure = Failure.of("read", error)
        seconds = (time.perf_counter() - start) / len(groups)
        for group in groups:
            yield from (Answered(question, None, failure, seconds) for question in group)
        return
    seconds = (time.perf_counter() - start) / len(groups)
    for group, reading in zip(groups, readings, strict=True):
        yield from (Answered(question, reading, None, seconds) for question in group)
