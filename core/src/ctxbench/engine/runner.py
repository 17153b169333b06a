"""Runs an experiment: plans, prepares in workers, reads in batches, scores, and stores; only this process writes the store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import attrs
from PIL import Image

from ctxbench.config import ExperimentConfig
from ctxbench.engine.answers import Answered, ReadingRoom, Ready
from ctxbench.engine.environment import changes, environment
from ctxbench.engine.failures import Failure
from ctxbench.engine.pending import Work, pending, survey, wants_channel
from ctxbench.engine.prepare import Job, Prepared, Preparer
from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.provenance import run_record
from ctxbench.engine.purse import Purse
from ctxbench.engine.report import RunReport
from ctxbench.engine.rescore import rescore
from ctxbench.engine.rows import RowMaker
from ctxbench.engine.writer import Writer
from ctxbench.errors import BudgetReached, CtxbenchError
from ctxbench.executors import after_interrupt, run_jobs
from ctxbench.interfaces import Lost
from ctxbench.plan import Experiment, Group, Trial
from ctxbench.plugin import ComponentRecord, plugin_output_to_stderr
from ctxbench.registry import Registry
from ctxbench.resolving import resolve
from ctxbench.results import TrialResult
from ctxbench.session import Session
from ctxbench.store import Store

LATE = 64
"""Jobs that wait for a slow one before it loses its place: batches follow the plan, but not at the price of memory."""

MOST_AHEAD = 256
"""Prompts of a model's batch for which jobs are prepared ahead, twice as many; a larger one (a server's Batch API) waits for the rest."""


def run(
    config: ExperimentConfig,
    *,
    registry: Registry | None = None,
    components: Iterable[ComponentRecord] = (),
    store: Store | None = None,
    progress: Progress | None = None,
    command: str = "",
    report: RunReport | None = None,
) -> Store:
    """Run what a config describes and is not stored yet, and return the store, open.

    Running the same config again goes on where it stopped and adds nothing twice.

    Args:
        registry: where components come from; by default the installed plugins.
        components: records of further ones, for what is in no plugin yet, such as a notebook's codec:
            ``[CodecRecord("mine", "One line.", Mine)]``.
        store: an open store; by default the file that the config names is opened.
        progress: told of every step.
        command: what to record as the command that started this run.
        report: filled in as the run goes.

    Raises:
        ConfigError: the config names something that is missing or does not fit.
        StoreError: the store cannot be opened or written; what was stored before stays.
        BudgetReached: the next request could cost more than is left of ``run.budget``; what was answered is stored.
        CtxbenchError: ``fail_fast`` was set and a trial failed, or the worker processes cannot be started.
        KeyboardInterrupt: after what had finished was stored.
    """
    session = Session.of(registry, components)
    report = report if report is not None else RunReport()
    report.clear()
    with plugin_output_to_stderr(), session.active():
        experiment = resolve(config, session)
        opened = store is None
        try:
            store = store or Store.open(Path(config.store), images=config.run.images)
            try:
                _Run(experiment, store, progress or Silent(), report).run(command)
            except BaseException:
                if opened:
                    store.close()
                raise
        finally:
            experiment.close()
    return store


@attrs.define
class _Run:
    experiment: Experiment
    store: Store
    progress: Progress
    report: RunReport
    _interrupt: KeyboardInterrupt | None = attrs.field(default=None, init=False)

    @property
    def _purse(self) -> Purse:
        return Purse(self.experiment.config.run.budget, self.report)

    def run(self, command: str) -> None:
        experiment, store, report = self.experiment, self.store, self.report
        self._purse.check(experiment.readers)
        found = survey(experiment, store)
        report.planned, report.stored_before, report.stored_errors = found.planned, found.stored, found.errors
        report.cells = [cell.id for cell in experiment.cells()]
        report.config_hash = experiment.config_hash
        now = environment(experiment)
        report.notes += experiment.notes
        report.notes += changes(store.environments(found.runs), found.runs, now)
        self.progress.start(found.planned, found.stored)
        try:
            if found.to_run:
                record = run_record(experiment, command, found.to_run, now)
                store.start_run(record)
                settings = experiment.config.run
                manager = experiment.session.registry.manager
                self._execute(Writer(store, record.run_id, manager, self.progress, report, settings.retry_errors, settings.fail_fast))
            else:
                for _ in self._rows():  # nothing to read; stored trials may still lack scores or the channel's verdict
                    pass
        finally:
            self.progress.stop()

    def _execute(self, writer: Writer) -> None:
        try:
            for row, pages in self._rows():
                writer.add(row, pages)
            if self._interrupt is not None:
                raise self._interrupt
            writer.close("finished")
        except BaseException as error:
            # Keep what had finished; a store that cannot be written (a full disk) must not hide the first error.
            with contextlib.suppress(CtxbenchError):
                writer.close("interrupted" if isinstance(error, (KeyboardInterrupt, BudgetReached)) else "failed")
            raise

    def _rows(self) -> Generator[tuple[TrialResult, tuple[Image.Image, ...]], None, None]:
        maker = RowMaker.of(self.experiment)
        room = ReadingRoom(self.experiment.config, self.experiment.readers, lambda: self._interrupt is not None, self._purse)
        with contextlib.closing(self._ready(maker)) as ready:
            for answer in room.answers(ready):
                self.report.idle_share = room.clock.idle_share
                yield _row(maker, answer)

    def _ready(self, maker: RowMaker) -> Generator[Ready, None, None]:
        """Jobs that models are to read. Those that only complete stored trials end here."""
        with contextlib.closing(self._prepared()) as prepared:
            for kind, item in prepared:
                if kind == "trial":
                    yield item
                else:
                    self._fill(maker, item)

    def _fill(self, maker: RowMaker, item: Ready) -> None:
        """Add the channel columns to stored trials of an earlier run that was made with ``run.channel: false``."""
        columns = {}
        for trial in item.trials:
            variant = item.variant(trial)
            if variant.failure is None and variant.channel is not None:
                columns[trial.trial_id] = maker.channel_columns(trial, item.prepared, variant.channel)
            elif variant.failure is not None:
                self._note(f"channel of stored trials: {variant.failure.type}: {variant.failure.message}")
        self.store.fill_channels(columns)
        self.report.filled += len(columns)

    def _note(self, note: str) -> None:
        if note not in self.report.notes:
            self.report.notes.append(note)

    def _prepared(self) -> Generator[tuple[Work, Ready], None, None]:
        """Prepared jobs in the order of the plan, so that batches do not depend on which worker was faster."""
        waiting: dict[int, tuple[Work, tuple[Trial, ...]]] = {}
        early: dict[int, Prepared] = {}
        following = 0

        def ready(number: int) -> tuple[Work, Ready]:
            kind, trials = waiting.pop(number)
            return kind, Ready(trials, early.pop(number))

        for outcome in self._outcomes(self._jobs(waiting)):
            prepared = _as_prepared(outcome)
            if prepared.number not in waiting or prepared.number in early:
                self._note(f"executor {self.experiment.config.run.executor.name!r} gave a job more than once; the first result counts")
                continue
            early[prepared.number] = prepared
            while early and ((number := min(early)) <= following or len(early) > LATE):
                following = max(following, number + 1)
                yield ready(number)
        for number in sorted(early):
            yield ready(number)
        if self._interrupt is None:
            name = self.experiment.config.run.executor.name
            lost = Failure("executor", "JobLost", f"executor {name!r} never gave this job back")
            for number, (kind, trials) in waiting.items():
                yield kind, Ready(trials, Prepared(number, failure=lost))

    def _outcomes(self, jobs: Iterator[Job]) -> Iterator[object]:
        """The executor's results; after an interrupt, those that were ready."""
        experiment = self.experiment
        settings = experiment.config.run
        executor = experiment.session.registry.executor(settings.executor.name, **settings.executor.options)
        limits: dict[str, float] = {stage: seconds for stage, seconds in attrs.asdict(settings.limits).items() if seconds}
        here: dict[str, float] = {stage: limits.pop(stage) for stage in ("channel", "read", "score") if stage in limits}
        preparer = Preparer(experiment.session.recipe(), here)
        batch = max(settings.batch_size, *(reader.model.at_once for reader in experiment.readers))
        window = max(16, 4 * (os.cpu_count() or 1), 2 * min(batch, MOST_AHEAD), 2 * executor.at_once)
        results = run_jobs(executor, preparer, jobs, window=window, limits=limits)
        try:
            yield from results
        except KeyboardInterrupt as interrupt:
            self._interrupt = interrupt
            yield from after_interrupt(results, interrupt)
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
            executor.close()

    def _jobs(self, waiting: dict[int, tuple[Work, tuple[Trial, ...]]]) -> Iterator[Job]:
        """One job for each sample in each codec that has something to do, made as the executor asks for them.

        Scores that stored trials lack are computed on the way.
        """
        number = 0
        for chunk in pending(self.experiment, self.store):
            rescored = rescore(self.experiment, self.store, chunk.stored)
            self.report.rescored += rescored.trials
            for note in rescored.notes:
                self._note(note)
            for kind, groups in chunk.work():
                for group, trials in groups:
                    waiting[number] = (kind, trials)
                    yield make_job(self.experiment, group, trials, number)
                    number += 1


def make_job(experiment: Experiment, group: Group, trials: Iterable[Trial], number: int) -> Job:
    """The CPU work of some trials of a group."""
    config, trials = experiment.config, list(trials)
    wanted = {trial.cell.augmentation.label: (trial.cell.augmentation, trial.augmentation_seed) for trial in trials}
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
        channel=wants_channel(experiment),
        decoder=wants_channel(experiment) and any(codec.decodes and not codec.verbatim for codec in experiment.codecs),
    )


def _as_prepared(outcome: object) -> Prepared:
    if isinstance(outcome, Lost):
        stage = outcome.stage if outcome.stage else "executor"
        return Prepared(outcome.job.number, failure=Failure(stage, outcome.type, outcome.message))  # type: ignore[arg-type]
    if isinstance(outcome, Prepared):
        return outcome
    raise CtxbenchError(f"the executor gave {type(outcome).__name__} in place of a job's result; what had finished is stored")


def _row(maker: RowMaker, answer: Answered) -> tuple[TrialResult, tuple[Image.Image, ...]]:
    question = answer.question
    if answer.reading is None:
        assert answer.failure is not None
        return maker.failed(question.trial, question.prepared, answer.failure, question.variant), question.variant.pages
    row = maker.finished(question.trial, question.prepared, question.variant, answer.reading, answer.seconds)
    return row, question.variant.pages
