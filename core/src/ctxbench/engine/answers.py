"""Sends prompts to models in batches, each distinct prompt once, and holds at most ``run.models_held`` models in memory."""

from __future__ import annotations

import itertools
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import IO

import attrs

from ctxbench.config import ExperimentConfig
from ctxbench.engine import checks
from ctxbench.engine.beside import Desk
from ctxbench.engine.failures import Failure, limited
from ctxbench.engine.prepare import Prepared, Variant
from ctxbench.engine.purse import Purse
from ctxbench.interfaces import Model
from ctxbench.plan import Reader, Trial
from ctxbench.records import ChannelAnswer, Prompt, Reading

MEGABYTE = 1_000_000


@attrs.frozen(eq=False)
class Ready:
    """A job that is prepared, with the trials that wait for it."""

    trials: tuple[Trial, ...]
    prepared: Prepared

    def variant(self, trial: Trial) -> Variant:
        """The pages of one of the trials, or the failure that left it without pages."""
        found = self.prepared.variants.get(trial.cell.augmentation.label)
        return found if found is not None and self.prepared.failure is None else Variant(failure=self.prepared.failure)


@attrs.frozen(eq=False)
class Question:
    """A trial that is ready to be read."""

    trial: Trial
    prepared: Prepared
    variant: Variant

    @property
    def key(self) -> tuple[str, int, int, str, str]:
        """Equal for trials whose prompts are equal: an augmentation changes nothing in a carrier without pages."""
        cell = self.trial.cell
        level = cell.augmentation.label if self.variant.pages else ""
        return (*self.trial.sample_key, cell.codec.label, level)

    def prompt(self, system: str) -> Prompt:
        """What the model is asked. Only a model that stands for the channel gets to know what the channel answers."""
        channel = self.variant.channel
        answer = None
        if self.trial.cell.reader.model.needs_channel and channel is not None:
            answer = ChannelAnswer(channel.answer, channel.error)
        return Prompt(self.variant.pages, self.prepared.text, system, self.prepared.room, answer)


@attrs.frozen(eq=False)
class Answered:
    """A question with the model's answer, or the reason why there is none; ``seconds`` is its share of the batch's wall time."""

    question: Question
    reading: Reading | None
    failure: Failure | None
    seconds: float


@attrs.define
class Clock:
    """How much of the time models read, from the first prompt to the last answer. Instant models do not count."""

    began: float | None = None
    ended: float = 0.0
    busy: float = 0.0

    def add(self, start: float, end: float) -> None:
        """A model has read."""
        self.began = start if self.began is None else self.began
        self.ended = end
        self.busy += end - start

    @property
    def idle_share(self) -> float | None:
        """Between 0 and 1; ``None`` if nothing was read."""
        if self.began is None or self.ended <= self.began:
            return None
        return max(0.0, 1.0 - self.busy / (self.ended - self.began))


@attrs.frozen
class ReadingRoom:
    """Lets the models of an experiment read, one group of them after the other.

    Models that share no memory take turns if there are more of them than may be held: each reads a block of prompts, which is kept on disk
    meanwhile, so that nothing is prepared twice and models change as seldom as the disk allows.

    Attributes:
        stopping: true once the run was interrupted: then only instant models read what is still there.
        clock: how long models read, and waited.
    """

    config: ExperimentConfig
    readers: tuple[Reader, ...]
    stopping: Callable[[], bool]
    purse: Purse
    clock: Clock = attrs.field(factory=Clock)

    def answers(self, ready: Iterable[Ready]) -> Iterator[Answered]:
        """The answer to every trial, in the order of the jobs, or the failure that ended it.

        Raises:
            BudgetReached: the next request could pass the budget.
        """
        turns = self._turns()
        source = iter(ready)
        if len(turns) == 1:
            yield from self._read(source, turns[0], first=True)
            return
        while True:
            with tempfile.TemporaryFile(prefix="ctxbench-") as file:
                block = _Block(source, file, self.config.run.spool_mb * MEGABYTE)
                yield from self._read(block.fill(), turns[0], first=True)
                for before, turn in itertools.pairwise(turns):
                    for reader in before:
                        reader.model.close()
                    yield from self._read(block.again(), turn, first=False)
                if block.exhausted:
                    return
            turns.reverse()  # the models of the last turn are loaded, so they begin the next block

    def _turns(self) -> list[tuple[Reader, ...]]:
        """Readers that may be in memory together, in the order of the config."""
        by_memory: dict[str, list[Reader]] = {}
        for reader in self.readers:
            by_memory.setdefault(reader.memory, []).append(reader)
        groups, held = list(by_memory.values()), self.config.run.models_held
        return [tuple(reader for group in groups[i : i + held] for reader in group) for i in range(0, len(groups), held)]

    def _read(self, ready: Iterable[Ready], readers: Sequence[Reader], *, first: bool) -> Iterator[Answered]:
        """Let some models read; the ``first`` time that these jobs are seen, their failures are told as well."""
        desk: Desk[_Asked, Answered] = Desk()
        try:
            yield from self._gather(ready, readers, desk, first=first)
            if self.stopping():
                desk.cancel()
            yield from desk.settle()
        finally:
            desk.close()

    def _gather(
        self, ready: Iterable[Ready], readers: Sequence[Reader], desk: Desk[_Asked, Answered], *, first: bool
    ) -> Iterator[Answered]:
        queues = {id(reader.model): _Queue(reader, self.config, self.purse, self.clock, desk) for reader in readers}
        for item in ready:
            yield from desk.done()
            for trial in item.trials:
                question = Question(trial, item.prepared, item.variant(trial))
                if question.variant.failure is not None:
                    if first:
                        yield Answered(question, None, question.variant.failure, 0.0)
                    continue
                queue = queues.get(id(trial.cell.reader.model))
                if queue is not None and self._may_read(queue.reader):
                    yield from queue.add(question)
        for queue in queues.values():
            if self._may_read(queue.reader):
                yield from queue.flush()

    def _may_read(self, reader: Reader) -> bool:
        return reader.model.instant or not self.stopping()


class _Block:
    """Prepared jobs, kept in a file so that several models can read them one after the other."""

    def __init__(self, source: Iterator[Ready], file: IO[bytes], limit: int) -> None:
        self._source, self._file, self._limit = source, file, limit
        self._trials: list[tuple[Trial, ...]] = []
        self.exhausted = False

    def fill(self) -> Iterator[Ready]:
        """Jobs as they come, up to the limit in bytes."""
        for item in self._source:
            pickle.dump(item.prepared, self._file, pickle.HIGHEST_PROTOCOL)
            self._trials.append(item.trials)
            yield item
            if self._file.tell() >= self._limit:
                return
        self.exhausted = True

    def again(self) -> Iterator[Ready]:
        """Iterate over the same jobs again."""
        self._file.seek(0)
        for trials in self._trials:
            yield Ready(trials, pickle.load(self._file))


@attrs.define
class _Queue:
    """Questions that wait for one reader until they fill a batch."""

    reader: Reader
    config: ExperimentConfig
    purse: Purse
    clock: Clock
    desk: Desk[_Asked, Answered]
    _groups: dict[tuple[str, int, int, str, str], list[Question]] = attrs.field(factory=dict, init=False)

    def add(self, question: Question) -> Iterator[Answered]:
        """Queue a question; yields answers if that filled the batch."""
        self._groups.setdefault(question.key, []).append(question)
        # One prompt may serve several trials that arrive together, so a full batch is read when the next prompt comes.
        if len(self._groups) > max(self.config.run.batch_size, self.reader.model.at_once):
            last = self._groups.pop(question.key)
            yield from self.flush()
            self._groups[question.key] = last

    def flush(self) -> Iterator[Answered]:
        """Read the questions that are still queued."""
        groups, self._groups = list(self._groups.values()), {}
        prompts = [group[0].prompt(self.config.system) for group in groups]
        while groups:
            n = self.purse.affordable(self.reader.model, prompts)
            yield from self._read(groups[:n], prompts[:n])
            groups, prompts = groups[n:], prompts[n:]

    @property
    def beside(self) -> bool:
        """Whether the model reads in the desk's thread. Time limits work in the main thread, and money is counted before it is spent."""
        model = self.reader.model
        return model.beside and self.config.run.limits.read is None and type(model).most_usd is Model.most_usd

    def _read(self, groups: Sequence[Sequence[Question]], prompts: Sequence[Prompt]) -> Iterator[Answered]:
        """Let the model read a batch. If that fails half-way, the answers that had arrived are kept."""
        if not self.beside:
            yield from self._tell(groups, self._ask(prompts))
            return
        model = self.reader.model
        model.ahead(prompts)
        yield from self.desk.hand_in(partial(self._ask, prompts), partial(self._tell, groups), model.give_up)

    def _ask(self, prompts: Sequence[Prompt]) -> _Asked:
        found: dict[int, object] = {}
        interrupt, failure = None, None
        start = time.perf_counter()
        try:
            with limited(self.config.run.limits, "read", len(prompts)):
                for index, given in _each(self.reader.model, prompts):
                    found[index] = given
        except KeyboardInterrupt as error:
            interrupt = error
        except BaseException as error:
            failure = Failure.of("read", error)
        end = time.perf_counter()
        if not self.reader.model.instant:
            self.clock.add(start, end)
        return _Asked(found, failure, interrupt, (end - start) / len(prompts))

    def _tell(self, groups: Sequence[Sequence[Question]], asked: _Asked) -> Iterator[Answered]:
        for index, group in enumerate(groups):
            reading, wrong = _checked(asked.found[index]) if index in asked.found else (None, asked.failure)
            if reading is not None:
                self.purse.pay(reading)
            if reading is not None or wrong is not None:
                yield from (Answered(question, reading, wrong, asked.share) for question in group)
        if asked.interrupt is not None:
            raise asked.interrupt


@attrs.frozen(eq=False)
class _Asked:
    """What came of a batch: readings by their places, or what ended it, and each prompt's share of its wall time in seconds."""

    found: dict[int, object]
    failure: Failure | None
    interrupt: KeyboardInterrupt | None
    share: float


def _each(model: Model, prompts: Sequence[Prompt]) -> Iterator[tuple[int, object]]:
    """The readings of a model, each with the index of its prompt. One that reads in batches gives all or nothing."""
    if type(model).read_each is Model.read_each:
        return enumerate(checks.readings(model.read(prompts), len(prompts)))
    return checks.answers(model.read_each(prompts), len(prompts))


def _checked(given: object) -> tuple[Reading | None, Failure | None]:
    try:
        return checks.reading(given), None
    except Exception as error:
        return None, Failure.of("read", error)
