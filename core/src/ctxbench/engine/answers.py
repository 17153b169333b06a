"""Sends prompts to models in batches, each distinct prompt once, and holds at most ``run.models_held`` models in memory."""

from __future__ import annotations

import itertools
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import IO, Protocol

import attrs

from ctxbench.config import ExperimentConfig
from ctxbench.engine import checks
from ctxbench.engine.beside import Desk, ThreadSeat
from ctxbench.engine.clock import Clock
from ctxbench.engine.failures import Failure
from ctxbench.engine.joining import Book
from ctxbench.engine.places import Places
from ctxbench.engine.preparation import WAIT, Preparation
from ctxbench.engine.purse import Purse
from ctxbench.engine.questions import Answered, Question, Ready
from ctxbench.engine.team import Team
from ctxbench.errors import message_of
from ctxbench.interfaces import Model
from ctxbench.plan import Reader, Trial
from ctxbench.records import Prompt, Reading
from ctxbench.replicas import Answers, Batch, ReplicaDied, read_batch

MEGABYTE = 1_000_000

Told = Iterator[Answered | None]
"""Answers as they come, and ``None`` now and then, so that the caller can look after other things."""


@attrs.frozen
class ReadingRoom:
    """Lets the models of an experiment read, one group of them after the other.

    Models that share no memory take turns if there are more of them than may be held: each reads a block of prompts, which is kept on disk
    meanwhile, so that nothing is prepared twice and models change as seldom as the disk allows. Models that take no time hold nothing and
    take no turns: they read what is there.

    Attributes:
        preparation: where prepared jobs come from. While models are busy it is kept going.
        book: where the channel's verdicts are, for models that need them.
        places: where models read that do so elsewhere.
        clock: how long models read, and waited.
    """

    config: ExperimentConfig
    readers: tuple[Reader, ...]
    preparation: Preparation
    book: Book
    purse: Purse
    places: Places
    clock: Clock = attrs.field(factory=Clock)
    _instant: dict[int, _Queue] = attrs.field(factory=dict, init=False)

    def answers(self) -> Told:
        """The answer to every trial, in the order of the jobs, or the failure that ended it. Ends when the preparation has ended as well.

        Raises:
            BudgetReached: the next request could pass the budget.
        """
        turns = self._turns()
        queues = (_Queue(reader, self.config, self.purse, self.clock) for reader in self.readers if reader.model.instant)
        self._instant.update((id(queue.reader.model), queue) for queue in queues)
        if len(turns) < 2:
            yield from self._read(self.preparation, turns[0] if turns else (), first=True)
        else:
            yield from self._in_turns(turns)
        while not self.preparation.ended:
            self.preparation.step()
            yield from self._hear()
            yield None
        yield from self._hear(all_there=True)
        for queue in self._instant.values():
            yield from queue.flush()

    def _in_turns(self, turns: list[tuple[Reader, ...]]) -> Told:
        while not self.preparation.exhausted:
            with tempfile.TemporaryFile(prefix="ctxbench-") as file:
                block = _Block(self.preparation, file, self.config.run.spool_mb * MEGABYTE)
                yield from self._read(block, turns[0], first=True)
                for before, turn in itertools.pairwise(turns):
                    for reader in before:
                        reader.model.close()
                    block.rewind()
                    yield from self._read(block, turn, first=False)
            turns.reverse()  # the models of the last turn are loaded, so they begin the next block

    def _turns(self) -> list[tuple[Reader, ...]]:
        """Readers that may be in memory together, in the order of the config."""
        by_memory: dict[str, list[Reader]] = {}
        for reader in self.readers:
            if not reader.model.instant:
                by_memory.setdefault(reader.memory, []).append(reader)
        groups, held = list(by_memory.values()), self.config.run.models_held
        return [tuple(reader for group in groups[i : i + held] for reader in group) for i in range(0, len(groups), held)]

    def _read(self, source: Source, readers: Sequence[Reader], *, first: bool) -> Told:
        """Let some models read; the ``first`` time that these jobs are seen, their failures are told as well."""
        thread, team = ThreadSeat(), self.places.team(readers, self.clock)
        desk: Desk[Answers, Answered] = Desk() if team is None else Desk(team.most)
        queues = {id(reader.model): _Queue(reader, self.config, self.purse, self.clock, desk, thread, team) for reader in readers}
        try:
            for item in self._paced(source, desk):
                if item is not None:
                    yield from self._ask(item, queues, first=first)
                yield from desk.done()
                yield from self._hear()
                yield None
            if not self._stopping:
                for queue in queues.values():
                    yield from queue.flush()
            while desk.busy:
                if self._stopping:
                    desk.cancel()
                yield from desk.done()
                yield from self._hear()
                yield None
                self._meanwhile(desk)
        finally:
            desk.cancel()
            thread.close()
            if team is not None:
                team.close()

    @property
    def _stopping(self) -> bool:
        """True once the run was interrupted: then only instant models read what is still there."""
        return self.preparation.interrupted is not None

    def _paced(self, source: Source, desk: Desk[Answers, Answered]) -> Iterator[Ready | None]:
        """Jobs as soon as they are there and the desk has room; ``None`` after each time of waiting for that."""
        while True:
            item = source.take() if self._stopping or not desk.full else None
            if item is not None:
                yield item
            elif source.exhausted:
                return
            else:
                self._meanwhile(desk)
                yield None

    def _meanwhile(self, desk: Desk[Answers, Answered]) -> None:
        """Wait a little for whatever comes next: a result of the preparation, or a batch that is read."""
        if not self.preparation.stuck:
            self.preparation.step()
            return
        try:
            desk.wait(WAIT)
        except KeyboardInterrupt as interrupt:
            self.preparation.interrupt(interrupt)

    def _ask(self, item: Ready, queues: dict[int, _Queue], *, first: bool) -> Iterator[Answered]:
        for trial in item.trials:
            question = Question(trial, item.prepared, item.variant(trial))
            if question.variant.failure is not None:
                if first:
                    yield Answered(question, None, question.variant.failure, 0.0)
                continue
            model = trial.cell.reader.model
            if id(model) in queues and not self._stopping:
                yield from queues[id(model)].add(question)
            elif first and model.instant and not model.needs_channel:
                yield from self._instant[id(model)].add(question)

    def _hear(self, *, all_there: bool = False) -> Iterator[Answered]:
        """Let models that stand for the channel read what has been decoded."""
        for question in self.book.heard(all_there=all_there):
            if question.variant.failure is not None:
                yield Answered(question, None, question.variant.failure, 0.0)
            else:
                yield from self._instant[id(question.trial.cell.reader.model)].add(question)


class Source(Protocol):
    """Where prepared jobs come from."""

    def take(self) -> Ready | None:
        """The next one, if it is there."""

    @property
    def exhausted(self) -> bool:
        """True if there will be none any more."""


class _Block:
    """Prepared jobs, kept in a file so that several models can read them one after the other."""

    def __init__(self, source: Source, file: IO[bytes], limit: int) -> None:
        self._source, self._file, self._limit = source, file, limit
        self._trials: list[tuple[Trial, ...]] = []
        self._next: int | None = None

    def take(self) -> Ready | None:
        """The next job: at first as they come, up to the limit in bytes, and after :meth:`rewind` from the file."""
        if self.exhausted:
            return None
        if self._next is not None:
            self._next += 1
            return Ready(self._trials[self._next - 1], pickle.load(self._file))
        item = self._source.take()
        if item is not None:
            pickle.dump(item.prepared, self._file, pickle.HIGHEST_PROTOCOL)
            self._trials.append(item.trials)
        return item

    @property
    def exhausted(self) -> bool:
        """True if the block has been gone through."""
        if self._next is not None:
            return self._next == len(self._trials)
        return self._source.exhausted or self._file.tell() >= self._limit

    def rewind(self) -> None:
        """Give the same jobs again."""
        self._file.seek(0)
        self._next = 0


@attrs.define
class _Queue:
    """Questions that wait for one reader until they fill a batch."""

    reader: Reader
    config: ExperimentConfig
    purse: Purse
    clock: Clock
    desk: Desk[Answers, Answered] | None = None
    thread: ThreadSeat | None = None
    team: Team | None = None
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
        """Let the model read a batch: in a replica, in the thread, or here and now."""
        tell = partial(self._tell, groups)
        if self.desk is not None and self.team is not None and self.team.reads(self.reader.identity):
            batch = Batch(self.reader.identity, tuple(prompts), self.config.run.limits.read)
            self.desk.hand_in(self.team, partial(self.team.begin, batch), tell, self.team.close)
        elif self.desk is not None and self.thread is not None and self.beside:
            self.desk.hand_in(self.thread, partial(self._begin, self.thread, prompts), tell, self.reader.model.give_up)
        else:
            yield from tell(self._ask(prompts))

    def _begin(self, thread: ThreadSeat, prompts: Sequence[Prompt]) -> Future[Answers]:
        self.reader.model.ahead(prompts)
        return thread.begin(partial(self._ask, prompts))

    def _ask(self, prompts: Sequence[Prompt]) -> Answers:
        start = time.perf_counter()
        answers = read_batch(self.reader.model, prompts, self.config.run.limits.read)
        if not self.reader.model.instant:
            self.clock.add(start, time.perf_counter())
        return answers

    def _tell(self, groups: Sequence[Sequence[Question]], answers: Answers | Exception) -> Iterator[Answered]:
        if isinstance(answers, Exception):
            name = "WorkerDied" if isinstance(answers, ReplicaDied) else type(answers).__name__
            answers = Answers(failure=(name, message_of(answers)))
        failure = Failure("read", *answers.failure) if answers.failure is not None else None
        for index, group in enumerate(groups):
            reading, wrong = _checked(answers.found[index]) if index in answers.found else (None, failure)
            if reading is not None:
                self.purse.pay(reading)
            if reading is not None or (wrong is not None and not answers.interrupted):
                yield from (Answered(question, reading, wrong, answers.seconds / len(groups)) for question in group)
        if answers.interrupted:
            raise KeyboardInterrupt


def _checked(given: object) -> tuple[Reading | None, Failure | None]:
    try:
        return checks.reading(given), None
    except Exception as error:
        return None, Failure.of("read", error)
