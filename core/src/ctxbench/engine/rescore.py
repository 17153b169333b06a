"""Scores that a config asks for and stored trials lack are computed from the stored predictions: no model runs again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ctxbench.engine.finish import Judge
from ctxbench.engine.prepare import component
from ctxbench.interfaces import Task
from ctxbench.plan import Experiment, Trial
from ctxbench.records import Sample
from ctxbench.results import ScoreRow
from ctxbench.store import Store


def rescore(experiment: Experiment, store: Store, trials: Sequence[Trial]) -> int:
    """Add the missing scores of stored trials; the number of trials that gained one."""
    judges = {task.label: Judge.of(experiment, task) for task in experiment.tasks}
    stored = store.stored_scores(trial.trial_id for trial in trials)
    lacking = []
    for trial in trials:
        wanted = {(part.label, version) for part, version, _ in judges[trial.task.label].metrics}
        if trial.trial_id in stored and wanted - stored[trial.trial_id]:
            lacking.append(trial)
    if not lacking:
        return 0
    predictions = store.predictions(trial.trial_id for trial in lacking)
    samples: dict[tuple[str, int, int], Sample] = {}
    found: dict[str, list[ScoreRow]] = {}
    for trial in lacking:
        if trial.trial_id not in predictions:  # an error row has nothing to score
            continue
        key = (trial.task.label, trial.bucket, trial.index)
        if key not in samples:
            samples[key] = cast(Task, component(trial.task)).sample(trial.bucket, trial.sample_seed)
        rows = judges[trial.task.label].score(predictions[trial.trial_id], samples[key])
        found[trial.trial_id] = [row for row in rows if (row.metric, row.metric_version) not in stored[trial.trial_id]]
    store.append_scores(found)
    return len(found)
