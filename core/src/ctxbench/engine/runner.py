"""Runs an experiment: plans, prepares in workers, reads in batches, scores, and stores; only this process writes the store."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import attrs
from PIL import Image

from ctxbench.config import ExperimentConfig
from ctxbench.engine.answers import ReadingRoom
from ctxbench.engine.environment import changes, environment
from ctxbench.engine.joining import Book
from ctxbench.engine.pending import survey
from ctxbench.engine.places import Places
from ctxbench.engine.preparation import Preparation, Told
from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.provenance import run_record
from ctxbench.engine.purse import Purse
from ctxbench.engine.questions import Answered, Ready
from ctxbench.engine.report import RunReport
from ctxbench.engine.rescore import Rescored
from ctxbench.engine.rows import RowMaker
from ctxbench.engine.writer import Writer
from ctxbench.errors import BudgetReached, CtxbenchError
from ctxbench.plan import Experiment
from ctxbench.plugin import ComponentRecord, plugin_output_to_stderr
from ctxbench.registry import Registry
from ctxbench.resolving import resolve
from ctxbench.results import TrialResult
from ctxbench.session import Session
from ctxbench.store import Store

Row = tuple[TrialResult, tuple[Image.Image, ...]]
"""A row, and the pages that its model got."""


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
                writer = Writer(store, record.run_id, manager, self.progress, report, settings.retry_errors, settings.fail_fast)
                self._execute(writer, fills=found.channels > 0)
            else:
                self._complete(fills=found.channels > 0)
        finally:
            self.progress.stop()

    def _complete(self, *, fills: bool) -> None:
        """There is nothing to read, but stored trials may lack scores or the channel's verdict."""
        rows = _Rows(self.experiment, self.store, self.report, self._purse, fills=fills)
        try:
            for _ in rows.rows():
                pass
            if rows.interrupted is not None:
                raise rows.interrupted
        finally:
            rows.close()

    def _execute(self, writer: Writer, fills: bool) -> None:
        rows = _Rows(self.experiment, self.store, self.report, self._purse, fills=fills)
        try:
            with contextlib.closing(rows.rows()) as finished:
                for row, pages in finished:
                    writer.add(row, pages)
            if rows.interrupted is not None:
                raise rows.interrupted
            writer.close("finished")
        except BaseException as error:
            # Keep what had finished; a store that cannot be written (a full disk) must not hide the first error.
            with contextlib.suppress(CtxbenchError):
                for row, pages in rows.leftover():
                    writer.keep(row, pages)
                writer.close("interrupted" if isinstance(error, (KeyboardInterrupt, BudgetReached)) else "failed")
            raise
        finally:
            rows.close()


class _Rows:
    """The rows of a run, as they become complete: read, and judged by the classical decoder."""

    def __init__(self, experiment: Experiment, store: Store, report: RunReport, purse: Purse, *, fills: bool) -> None:
        self._store, self._report = store, report
        self._maker = RowMaker.of(experiment)
        self._book = Book.of(experiment)
        told = Told(self._rescored, self._fill, self._note)
        named = experiment.config.run.executor
        self._executor = experiment.session.registry.executor(named.name, **named.options)
        self._preparation = Preparation(experiment, store, self._executor, self._book, told, fills=fills)
        places = Places(experiment, self._executor)
        self._room = ReadingRoom(experiment.config, experiment.readers, self._preparation, self._book, purse, places)

    @property
    def interrupted(self) -> KeyboardInterrupt | None:
        """The interrupt that ended the run, if one did."""
        return self._preparation.interrupted

    def rows(self) -> Generator[Row, None, None]:
        """Each row with its pages."""
        for answer in self._room.answers():
            self._report.idle_share = self._room.clock.idle_share
            for complete in self._book.tell(answer) if answer is not None else ():
                yield _row(self._maker, complete)
            for complete in self._book.completed():
                yield _row(self._maker, complete)
        for complete in self._book.completed():
            yield _row(self._maker, complete)
        if self.interrupted is not None:
            yield from self.leftover()

    def leftover(self) -> Iterator[Row]:
        """Rows of answers whose verdict does not come any more: a later run fills it in."""
        for answer in self._book.leftover():
            yield _row(self._maker, answer)

    def close(self) -> None:
        """Give up what runs, the pages that wait, and what the executor holds."""
        self._preparation.close()
        self._book.close()
        self._executor.close()

    def _rescored(self, found: Rescored) -> None:
        self._report.rescored += found.trials
        for note in found.notes:
            self._note(note)

    def _fill(self, item: Ready) -> None:
        """Add the channel columns to stored trials that were answered without."""
        columns = {}
        for trial in item.trials:
            variant = item.variant(trial)
            if variant.failure is None and variant.channel is not None:
                columns[trial.trial_id] = self._maker.channel_columns(trial, item.prepared, variant.channel)
            elif variant.failure is not None:
                self._note(f"channel of stored trials: {variant.failure.type}: {variant.failure.message}")
        self._store.fill_channels(columns)
        self._report.filled += len(columns)

    def _note(self, note: str) -> None:
        if note not in self._report.notes:
            self._report.notes.append(note)


def _row(maker: RowMaker, answer: Answered) -> Row:
    question = answer.question
    if answer.reading is None:
        assert answer.failure is not None
        return maker.failed(question.trial, question.prepared, answer.failure, question.variant), question.variant.pages
    row = maker.finished(question.trial, question.prepared, question.variant, answer.reading, answer.seconds)
    return row, question.variant.pages
