"""Hands out the CPU work of a run to its executor, and takes in what comes of it.

What models wait for goes first: samples, pages and their damage. Then come the classical decoder's jobs, and last stored trials that lack
its verdict. An executor that cannot pause (:attr:`ctxbench.Executor.pauses`) gets each sample's work as one job.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from ctxbench.engine.channel import ChannelJob, Verdict
from ctxbench.engine.failures import Failure
from ctxbench.engine.joining import Book, ToDecode
from ctxbench.engine.order import LATE, InOrder
from ctxbench.engine.pending import Work, pending, wants_channel
from ctxbench.engine.prepare import Job, Prepared, Preparer
from ctxbench.engine.questions import Ready
from ctxbench.engine.rescore import Rescored, rescore
from ctxbench.errors import CtxbenchError
from ctxbench.executors import after_interrupt, run_jobs
from ctxbench.interfaces import Executor, Lost
from ctxbench.plan import Experiment, Group, Trial
from ctxbench.store import Store

WAIT = 0.05
"""Seconds that the executor is waited for before models are looked after."""

MOST_AHEAD = 256
"""Prompts of a model's batch for which jobs are prepared ahead, twice as many; a larger one (a server's Batch API) waits for the rest."""

END = object()


@attrs.frozen
class Told:
    """Whom the preparation tells: of stored trials that gained scores, of those that gained a verdict, and of what users should know."""

    rescored: Callable[[Rescored], None]
    filled: Callable[[Ready], None]
    note: Callable[[str], None]


class Preparation:
    """The CPU work of one run.

    Attributes:
        interrupted: the interrupt that ended it, if one did.
    """

    def __init__(self, experiment: Experiment, store: Store, executor: Executor, book: Book, told: Told, *, fills: bool) -> None:
        self.interrupted: KeyboardInterrupt | None = None
        self._experiment, self._store, self._book, self._told = experiment, store, book, told
        settings = experiment.config.run
        # Decoding apart is for models that take time. One that takes time and stands for the channel would wait for it all the same.
        waiting = [reader.model for reader in experiment.readers if not reader.model.instant]
        self._apart = executor.pauses and bool(waiting) and not any(model.needs_channel for model in waiting)
        self._waiting: dict[int, tuple[Trial, ...]] = {}
        self._filling: dict[int, tuple[Trial, ...]] = {}
        self._decoding: set[tuple[int, tuple[str, ...]]] = set()
        self._backlog: deque[ToDecode] = deque()
        self._ready: InOrder[Ready] = InOrder()
        batch = max(settings.batch_size, *(reader.model.at_once for reader in experiment.readers))
        self._window = max(16, 4 * (os.cpu_count() or 1), 2 * min(batch, MOST_AHEAD), 2 * executor.at_once)
        self._aside = self._window // 2 if self._apart else 0
        self._plan = self._jobs("trial") if self._apart else self._jobs("channel", "trial")
        self._fills = self._jobs("channel") if self._apart and fills else iter(())
        self._next, self._next_fill = next(self._plan, None), next(self._fills, None)
        self._ended = False
        self._results = self._run(executor)

    def _run(self, executor: Executor) -> Iterator[Any]:
        limits: dict[str, float] = {name: value for name, value in attrs.asdict(self._experiment.config.run.limits).items() if value}
        here: dict[str, float] = {stage: limits.pop(stage) for stage in ("channel", "read", "score") if stage in limits}
        preparer = Preparer(self._experiment.session.recipe(), here)
        wait = WAIT if self._apart else None
        return run_jobs(executor, preparer, self._source(), window=self._window + self._aside, limits=limits, wait=wait)

    # What models ask

    def take(self) -> Ready | None:
        """The next prepared job in the order of the plan, if it is there."""
        return self._ready.take() if self._ready.ready(all_there=self._ended) else None

    @property
    def exhausted(self) -> bool:
        """True if :meth:`take` will give nothing any more."""
        return not self._ready and (self._ended or (self._next is None and not self._waiting))

    @property
    def ended(self) -> bool:
        """True if all work is done, or given up."""
        return self._ended

    @property
    def stuck(self) -> bool:
        """True if there is nothing to wait for until models have taken something."""
        if self._ended or not self._apart:
            return self._ended or self._ready.ready()
        at_work = self._waiting or self._filling or self._decoding or self._backlog or self._next_fill
        return not (at_work or self._next is None or self._may_prepare())

    # What the engine's loop does

    def step(self) -> None:
        """Wait for the executor's next result, for about :data:`WAIT` seconds if it can pause, and file it."""
        try:
            outcome = next(self._results, END)
        except KeyboardInterrupt as interrupt:
            self.interrupt(interrupt)
            return
        if outcome is END:
            self._end()
        elif outcome is not None:
            self._file(outcome)

    def interrupt(self, interrupt: KeyboardInterrupt) -> None:
        """Take in what the executor has ready, and end it."""
        if self.interrupted is not None:
            raise interrupt
        self.interrupted, self._ended = interrupt, True
        for outcome in after_interrupt(self._results, interrupt):
            if outcome is not None:
                self._file(outcome)

    def close(self) -> None:
        """Give up what runs."""
        self._ended = True
        close = getattr(self._results, "close", None)
        if close is not None:
            close()

    # What the executor asks

    def _source(self) -> Iterator[Job | ChannelJob | None]:
        while True:
            job = self._give()
            if job is None and not (self._apart and (self._waiting or self._next or self._next_fill or self._backlog)):
                return
            yield job

    def _give(self) -> Job | ChannelJob | None:
        """The job that is worth most now, or ``None`` if there is none before another has finished."""
        if self._next is not None and self._may_prepare():
            (job, trials), self._next = self._next, next(self._plan, None)
            (self._waiting if job.number >= 0 else self._filling)[job.number] = trials
            return job
        if len(self._decoding) + len(self._filling) >= self._aside:
            return None
        if self._backlog:
            todo = self._backlog.popleft()
            self._decoding.add((todo.number, todo.labels))
            return self._book.job(todo, background=self._next is not None and not self._book.full)
        if self._next_fill is not None:
            (job, trials), self._next_fill = self._next_fill, next(self._fills, None)
            self._filling[job.number] = trials
            return job
        return None

    def _may_prepare(self) -> bool:
        if not self._apart:
            return True
        ahead = len(self._waiting) + (len(self._ready) if self._ready.ready() else 0)
        return ahead < self._window and len(self._ready) <= LATE and not self._book.full

    def _jobs(self, *kinds: Work) -> Iterator[tuple[Job, tuple[Trial, ...]]]:
        """One job for each sample in each codec that has something to do. Scores that stored trials lack are computed on the way.

        Those that complete stored trials have numbers below zero.
        """
        numbers = {"trial": 0, "channel": -1}
        for chunk in pending(self._experiment, self._store):
            if "trial" in kinds:
                self._told.rescored(rescore(self._experiment, self._store, chunk.stored))
            for kind, groups in chunk.work():
                if kind not in kinds:
                    continue
                for group, trials in groups:
                    number = numbers[kind]
                    numbers[kind] += 1 if kind == "trial" else -1
                    yield make_job(self._experiment, group, trials, number, apart=self._apart and kind == "trial"), trials

    # What comes back

    def _file(self, outcome: object) -> None:
        found = _lost(outcome) if isinstance(outcome, Lost) else outcome
        if isinstance(found, Verdict):
            if (found.number, found.labels) not in self._decoding:
                return self._twice()
            self._decoding.remove((found.number, found.labels))
            self._book.judge(found)
        elif isinstance(found, Prepared):
            table = self._waiting if found.number >= 0 else self._filling
            if found.number not in table:
                return self._twice()
            self._prepared(Ready(table.pop(found.number), found))
        else:
            raise CtxbenchError(f"the executor gave {type(outcome).__name__} in place of a job's result; what had finished is stored")
        return None

    def _prepared(self, item: Ready) -> None:
        number = item.prepared.number
        if number < 0:
            self._told.filled(item)
            return
        self._backlog.extend(self._book.open(item))
        self._ready.add(number, item)

    def _twice(self) -> None:
        name = self._experiment.config.run.executor.name
        self._told.note(f"executor {name!r} gave a job more than once; the first result counts")

    def _end(self) -> None:
        """The executor has nothing more to give: what it did not give back is lost."""
        self._ended = True
        name = self._experiment.config.run.executor.name
        lost = Failure("executor", "JobLost", f"executor {name!r} never gave this job back")
        for number in sorted(self._waiting):
            self._prepared(Ready(self._waiting.pop(number), Prepared(number, failure=lost)))
        for number in sorted(self._filling, reverse=True):
            self._prepared(Ready(self._filling.pop(number), Prepared(number, failure=lost)))
        for number, labels in sorted([*self._decoding, *((todo.number, todo.labels) for todo in self._backlog)]):
            self._book.judge(Verdict(number, labels, failure=lost))
        self._decoding.clear()
        self._backlog.clear()


def make_job(experiment: Experiment, group: Group, trials: Iterable[Trial], number: int, *, apart: bool = False) -> Job:
    """The CPU work of some trials of a group. ``apart``: what has to be decoded is decoded by jobs of its own."""
    config, trials = experiment.config, list(trials)
    wanted = {trial.cell.augmentation.label: (trial.cell.augmentation, trial.augmentation_seed) for trial in trials}
    channel = wants_channel(experiment)
    return Job(
        number=number,
        task=group.task,
        bucket=group.bucket,
        sample_seed=group.sample_seed,
        codec=group.codec,
        augmentations=tuple(wanted.values()),
        tokens=trials[0].cell.reader.tokens,
        system=config.system,
        prompt=config.prompt,
        channel=channel and not (apart and not group.codec.verbatim),
        decoder=channel and any(codec.decodes and not codec.verbatim for codec in experiment.codecs),
        background=number < 0,
    )


def _lost(outcome: Lost) -> Prepared | Verdict:
    failure = Failure(outcome.stage or "executor", outcome.type, outcome.message)  # type: ignore[arg-type]
    if isinstance(outcome.job, ChannelJob):
        return Verdict(outcome.job.number, outcome.job.labels, failure=failure)
    return Prepared(outcome.job.number, failure=failure)
