"""Joins what a model answers with what the classical decoder makes of the same pages, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ctxbench.engine.channel import ChannelJob, Verdict
from ctxbench.engine.order import InOrder
from ctxbench.engine.pending import wants_channel
from ctxbench.engine.prepare import Prepared, Variant
from ctxbench.engine.questions import Answered, Question, Ready
from ctxbench.engine.shelf import Kept, Shelf
from ctxbench.plan import Experiment, Trial
from ctxbench.records import Carrier

MOST_JOBS = 1024
"""Jobs whose pages wait for the decoder before no more are prepared: each holds its sample, and its answers."""

MEGABYTE = 1_000_000


@attrs.frozen(eq=False)
class ToDecode:
    """Pages that wait for the decoder."""

    number: int
    labels: tuple[str, ...]
    kept: Kept


@attrs.define(eq=False)
class _Entry:
    """A prepared job of which something is outstanding.

    Attributes:
        prepared: without pages; its variants are completed as verdicts come.
        failed: labels of the variants that were prepared in vain.
        lacking: labels whose verdict is outstanding.
        untold: trials that have no row yet.
        held: answers that wait for a verdict, without pages.
    """

    trials: tuple[Trial, ...]
    prepared: Prepared
    failed: frozenset[str]
    lacking: set[str]
    untold: int
    kept: dict[str, Kept] = attrs.field(factory=dict)
    size: int = 0
    held: list[Answered] = attrs.field(factory=list)


@attrs.define(eq=False)
class Book:
    """Every prepared job that lacks a verdict or an answer. Memory is bounded by :attr:`full`, which stops the preparation.

    Attributes:
        limit: bytes of pages that may wait for the decoder.
        keep: rows want the pages (``run.images``).
    """

    channel: bool
    listening: bool
    limit: int
    keep: bool
    shelf: Shelf = attrs.field(factory=Shelf)
    _entries: dict[int, _Entry] = attrs.field(factory=dict, init=False)
    _judged: InOrder[int] = attrs.field(factory=InOrder, init=False)
    _complete: list[Answered] = attrs.field(factory=list, init=False)
    _lacking: int = attrs.field(default=0, init=False)
    _waiting_bytes: int = attrs.field(default=0, init=False)

    @classmethod
    def of(cls, experiment: Experiment) -> Book:
        """The book of a run."""
        settings = experiment.config.run
        listening = any(reader.model.needs_channel for reader in experiment.readers)
        return cls(wants_channel(experiment), listening, settings.spool_mb * MEGABYTE, settings.images != "none")

    @property
    def full(self) -> bool:
        """True if the decoder is so far behind that no more should be prepared."""
        return self._lacking >= MOST_JOBS or self._waiting_bytes >= self.limit

    def open(self, item: Ready) -> list[ToDecode]:
        """Take in a prepared job; returns what the decoder has to do for it."""
        prepared, codec = item.prepared, item.trials[0].cell.codec
        variants = prepared.variants if prepared.failure is None else {}
        waiting = [label for label, variant in variants.items() if self._lacks(variant)] if self.channel and codec.decodes else []
        if not waiting and not self.listening:
            return []
        light = attrs.evolve(prepared, variants={label: attrs.evolve(variant, pages=()) for label, variant in variants.items()})
        failed = frozenset(label for label, variant in variants.items() if variant.failure is not None)
        entry = self._entries[prepared.number] = _Entry(item.trials, light, failed, set(waiting), len(item.trials))
        todo = []
        together = not any(variants[label].pages for label in waiting)  # a carrier without pages is the same under all augmentations
        for labels in [tuple(waiting)] if together and waiting else [(label,) for label in waiting]:
            kept = self.shelf.keep(variants[labels[0]].pages)
            entry.kept |= dict.fromkeys(labels, kept)
            entry.size += kept.size
            todo.append(ToDecode(prepared.number, labels, kept))
        if self.listening and not waiting:
            for label, variant in variants.items():
                entry.kept[label] = self.shelf.keep(variant.pages)
        self._lacking += bool(waiting)
        self._waiting_bytes += entry.size
        self._hear(prepared.number, entry)
        return todo

    @staticmethod
    def _lacks(variant: Variant) -> bool:
        return variant.failure is None and variant.channel is None

    def job(self, todo: ToDecode, *, background: bool) -> ChannelJob:
        """The decoder's job, with the pages, which need not be kept any longer unless a row or a model wants them."""
        entry = self._entries[todo.number]
        cell = entry.trials[0].cell
        sample = entry.prepared.sample
        assert sample is not None
        carrier = Carrier(entry.prepared.carried, todo.kept.pages())
        if not self.keep and not self.listening:
            todo.kept.release()
        return ChannelJob(todo.number, todo.labels, cell.task, cell.codec, sample, carrier, background)

    def judge(self, verdict: Verdict) -> None:
        """Take in a verdict. What it completes is given by :meth:`completed`, and to models that need it by :meth:`heard`."""
        entry = self._entries[verdict.number]
        variants = entry.prepared.variants
        for label in verdict.labels:
            entry.lacking.discard(label)
            failed = Variant(failure=verdict.failure)
            variants[label] = failed if verdict.failure is not None else attrs.evolve(variants[label], channel=verdict.channel)
        if not entry.lacking:
            self._lacking -= 1
            self._waiting_bytes -= entry.size
            self._hear(verdict.number, entry)
        held, entry.held = entry.held, []
        for answer in held:
            self._complete += self.tell(answer)
        self._close(verdict.number, entry)

    def _hear(self, number: int, entry: _Entry) -> None:
        if self.listening and not entry.lacking:
            self._judged.add(number, number)

    def heard(self, *, all_there: bool) -> Iterator[Question]:
        """Questions to models that need the channel's verdict, in the order of the plan; ``all_there``: no more will come."""
        while self._judged.ready(all_there=all_there):
            number = self._judged.take()
            entry = self._entries[number]
            for trial in entry.trials:
                label = trial.cell.augmentation.label
                variant = entry.prepared.variants.get(label)
                if not trial.cell.reader.model.needs_channel or variant is None or label in entry.failed:
                    continue
                if variant.failure is None:
                    variant = attrs.evolve(variant, pages=entry.kept[label].pages())
                yield Question(trial, entry.prepared, variant)

    def tell(self, answer: Answered) -> list[Answered]:
        """Take in an answer; returns it, complete, unless the verdict on its pages is outstanding."""
        question = answer.question
        number, label = question.prepared.number, question.trial.cell.augmentation.label
        entry = self._entries.get(number)
        if entry is None:
            return [answer]
        if label in entry.lacking and question.variant.failure is None:
            light = Question(question.trial, entry.prepared, entry.prepared.variants[label])
            entry.held.append(attrs.evolve(answer, question=light))
            return []
        entry.untold -= 1
        complete = self._completed(entry, label, answer)
        self._close(number, entry)
        return [complete]

    def _completed(self, entry: _Entry, label: str, answer: Answered) -> Answered:
        variant = entry.prepared.variants.get(label)
        if variant is None or label in entry.failed:
            return answer
        question = Question(answer.question.trial, entry.prepared, variant)
        if variant.failure is not None:  # what the model said is not measured: nobody knows what reached it
            return Answered(question, None, variant.failure, 0.0)
        if self.keep and label in entry.kept:
            question = attrs.evolve(question, variant=attrs.evolve(variant, pages=entry.kept[label].pages()))
        return attrs.evolve(answer, question=question)

    def completed(self) -> list[Answered]:
        """Answers that waited for a verdict that has come."""
        complete, self._complete = self._complete, []
        return complete

    def leftover(self) -> Iterator[Answered]:
        """At the end of a run that was cut off: answers whose verdict did not come. A later run fills it in."""
        yield from self.completed()
        for entry in self._entries.values():
            held, entry.held = entry.held, []
            yield from (self._completed(entry, answer.question.trial.cell.augmentation.label, answer) for answer in held)

    def _close(self, number: int, entry: _Entry) -> None:
        if not entry.untold and not entry.lacking:
            self._entries.pop(number, None)
            for kept in entry.kept.values():
                kept.release()

    def close(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self.shelf.close()
