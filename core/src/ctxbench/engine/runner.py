"""Runs an experiment: plans, prepares in workers, reads in batches, scores, and stores; only this process writes the store."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, cast

import attrs
from PIL import Image

from ctxbench.config import ExperimentConfig
from ctxbench.engine.finish import Judge, failed, finished
from ctxbench.engine.prepare import Failure, Job, Prepared, prepare
from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.provenance import run_record
from ctxbench.engine.reading import Answered, Question, Queue
from ctxbench.engine.rescore import rescore
from ctxbench.errors import CtxbenchError
from ctxbench.executors import run_jobs
from ctxbench.interfaces import Lost
from ctxbench.plan import Experiment, Trial, resolve
from ctxbench.registry import Registry, load_plugins
from ctxbench.results import Stage, TrialResult
from ctxbench.store import Store
from ctxbench.store.interrupts import interrupts_wait

FLUSH_ROWS = 256
FLUSH_SECONDS = 2.0


@attrs.define
class RunReport:
    """What became of the planned trials."""

    planned: int = 0
    stored_before: int = 0
    finished: int = 0
    errors: int = 0
    rescored: int = 0
    trial_ids: list[str] = attrs.field(factory=list)

    @property
    def all_failed(self) -> bool:
        """True if this run finished trials and every one was an error."""
        return self.finished > 0 and self.errors == self.finished


@attrs.define
class _Writer:
    """Gathers rows and stores them a batch at a time, each batch in one transaction."""

    store: Store
    run_id: str
    registry: Registry
    progress: Progress
    report: RunReport
    replace: bool
    fail_fast: bool
    _rows: list[TrialResult] = attrs.field(factory=list, init=False)
    _flushed: float = attrs.field(factory=time.monotonic, init=False)

    def add(self, row: TrialResult, pages: Sequence[Image.Image] = ()) -> None:
        self._rows.append(self.store.keep_images(row, pages))
        stop = self.fail_fast and row.status == "error"
        if stop or len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()
        if stop:
            raise CtxbenchError(f"stopped at the first failure (--fail-fast): {row.error_stage}: {row.error_type}: {row.error_message}")

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        self._flushed = time.monotonic()
        if not rows:
            return
        errors = sum(row.status == "error" for row in rows)
        with interrupts_wait():  # what is stored is counted
            self.store.append(self.run_id, rows, replace=self.replace)
            self.report.finished += len(rows)
            self.report.errors += errors
            self.progress.advance(len(rows), errors)
        for row in rows:
            self.registry.manager.trial_finished(row)

    def close(self, status: Literal["finished", "interrupted", "failed"]) -> None:
        self.flush()
        self.store.finish_run(self.run_id, status, {"finished": self.report.finished, "errors": self.report.errors})


def jobs(experiment: Experiment, trials: Sequence[Trial]) -> Iterator[tuple[Job, list[Trial]]]:
    """The CPU work behind the trials: one job for each sample in each codec, whatever the number of models and augmentations."""
    config = experiment.config
    channel = config.run.channel or any(reader.model.needs_channel for reader in experiment.readers)
    groups: dict[tuple[str, int, int, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.task.label, trial.bucket, trial.index, trial.codec.label), []).append(trial)
    for group in groups.values():
        first = group[0]
        augmentations = {trial.augmentation.label: (trial.augmentation, trial.augmentation_seed) for trial in group}
        wanted = tuple(augmentations.values())
        job = Job(first.task, first.bucket, first.index, first.sample_seed, first.codec, wanted, config.tokens, config.system, channel)
        yield job, group


def run(
    config: ExperimentConfig,
    *,
    registry: Registry | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    command: str = "",
    report: RunReport | None = None,
) -> Store:
    """Run what a config describes and is not stored yet, and return the store, open.

    Running the same config again goes on where it stopped and adds nothing twice.

    Args:
        store: an open store; by default the file that the config names is opened.
        progress: told of every step.
        command: what to record as the command that started this run.
        report: filled in as the run goes.

    Raises:
        ConfigError: the config names something that is missing or does not fit.
        StoreError: the store cannot be opened or written; what was stored before stays.
        CtxbenchError: ``fail_fast`` was set and a trial failed, or the worker processes died.
    """
    registry = registry or load_plugins()
    experiment = resolve(config, registry)
    report = report if report is not None else RunReport()
    opened = store is None
    try:
        store = store or Store.open(Path(config.store), images=config.run.images)
        try:
            _run(experiment, store, progress or Silent(), command, report)
        except BaseException:
            if opened:
                store.close()
            raise
    finally:
        experiment.close()
    return store


def pending(experiment: Experiment, store: Store, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that still have to run."""
    stored = store.stored_trials(trial.trial_id for trial in trials)
    again = {"error"} if experiment.config.run.retry_errors else set()
    return [trial for trial in trials if stored.get(trial.trial_id, "missing") in {"missing", *again}]


def _run(experiment: Experiment, store: Store, progress: Progress, command: str, report: RunReport) -> None:
    config = experiment.config
    trials = experiment.trials()
    todo = pending(experiment, store, trials)
    report.planned, report.stored_before = len(trials), len(trials) - len(todo)
    report.trial_ids = [trial.trial_id for trial in trials]
    missing = {trial.trial_id for trial in todo}
    report.rescored = rescore(experiment, store, [trial for trial in trials if trial.trial_id not in missing])
    progress.start(report.planned, report.stored_before)
    try:
        if todo:
            record = run_record(experiment, command, len(todo))
            store.start_run(record)
            writer = _Writer(store, record.run_id, experiment.registry, progress, report, config.run.retry_errors, config.run.fail_fast)
            _execute(experiment, todo, writer)
    finally:
        progress.stop()


def _execute(experiment: Experiment, todo: Sequence[Trial], writer: _Writer) -> None:
    try:
        for row, pages in _results(experiment, todo):
            writer.add(row, pages)
        writer.close("finished")
    except BaseException as error:
        # Keep what had finished; a store that cannot be written (a full disk) must not hide the first error.
        with contextlib.suppress(CtxbenchError):
            writer.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise


def _results(experiment: Experiment, todo: Sequence[Trial]) -> Iterator[tuple[TrialResult, tuple[Image.Image, ...]]]:
    config = experiment.config
    executor = experiment.registry.executor(config.run.executor.name, **config.run.executor.options)
    judges = {task.label: Judge.of(experiment, task) for task in experiment.tasks}
    queues = {(reader.label, reader.adapter): Queue(reader, config.run.batch_size) for reader in experiment.readers}
    work = list(jobs(experiment, todo))
    planned = {_key(job): group for job, group in work}
    window = max(4, 2 * (os.cpu_count() or 1))
    with contextlib.closing(run_jobs(executor, prepare, (job for job, _ in work), window=window)) as done:  # type: ignore[type-var]
        for outcome in done:
            prepared = _given_up(outcome) if isinstance(outcome, Lost) else outcome
            for trial in planned[_key(prepared.job)]:
                variant = prepared.variants.get(trial.augmentation.label)
                failure = prepared.failure or (variant.failure if variant else None)
                if variant is None or failure is not None:
                    assert failure is not None
                    yield failed(trial, prepared, failure), ()
                    continue
                queue = queues[trial.reader.label, trial.reader.adapter]
                yield from (_row(experiment, judges, answer) for answer in queue.add(Question(trial, prepared, variant)))
    for queue in queues.values():
        yield from (_row(experiment, judges, answer) for answer in queue.flush())


def _given_up(lost: Lost) -> Prepared:
    return Prepared(lost.job, failure=Failure(cast(Stage, lost.stage or "sample"), lost.type, lost.message))


def _key(job: Job) -> tuple[str, int, int, str]:
    return (job.task.label, job.bucket, job.index, job.codec.label)


def _row(experiment: Experiment, judges: dict[str, Judge], answer: Answered) -> tuple[TrialResult, tuple[Image.Image, ...]]:
    trial, prepared, variant = answer.question.trial, answer.question.prepared, answer.question.variant
    if answer.reading is None:
        assert answer.failure is not None
        return failed(trial, prepared, answer.failure, variant), variant.pages
    row = finished(trial, experiment, judges[trial.task.label], prepared, variant, answer.reading, answer.seconds)
    return row, variant.pages
