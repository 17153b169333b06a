"""Scores that a config asks for and stored trials lack are computed from the stored predictions: no model runs again."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ctxbench.engine.failures import StageError
from ctxbench.engine.judge import Judge
from ctxbench.engine.prepare import make_sample
from ctxbench.errors import message_of
from ctxbench.outcome import classify
from ctxbench.plan import Experiment, Trial
from ctxbench.records import Sample
from ctxbench.results import ScoreRow
from ctxbench.store import Store, Verdict


@attrs.define
class Rescored:
    """How many stored trials gained scores, and what went wrong with the others, one line for each kind of error."""

    trials: int = 0
    notes: list[str] = attrs.field(factory=list)


def rescore(experiment: Experiment, store: Store, trials: Sequence[Trial]) -> Rescored:
    """Add the missing scores of stored trials. If the score that decides *correct* is among them, their outcome is updated too."""
    done = Rescored()
    if not trials:
        return done
    judges = {task.label: Judge.of(experiment, task) for task in experiment.tasks}
    stored = store.stored_scores(trial.trial_id for trial in trials)
    lacking = [t for t in trials if t.trial_id in stored and judges[t.cell.task.label].wanted - stored[t.trial_id]]
    if not lacking:
        return done
    answers = store.answers(trial.trial_id for trial in lacking)
    samples: dict[tuple[str, int, int], Sample] = {}
    scores: dict[str, list[ScoreRow]] = {}
    verdicts: dict[str, Verdict] = {}
    for trial in lacking:
        if trial.trial_id not in answers:  # an error row has nothing to score
            continue
        said, finish_reason = answers[trial.trial_id]
        judge = judges[trial.cell.task.label]
        try:
            sample = _sample(experiment, trial, samples)
            rows = judge.score(said, sample)
        except Exception as error:
            mishap = error.failure.message if isinstance(error, StageError) else f"{type(error).__name__}: {message_of(error)}"
            note = f"stored trials of task {trial.cell.task.label!r} could not be scored anew: {mishap}"
            if note not in done.notes:
                done.notes.append(note)
            continue
        new = [row for row in rows if (row.metric, row.metric_version) not in stored[trial.trial_id]]
        scores[trial.trial_id] = new
        primary = judge.primary_row(rows)
        if primary is not None and primary in new:
            outcome = classify(said, finish_reason, primary.value >= 1.0, primary.extraction, sample)
            verdicts[trial.trial_id] = Verdict(outcome, primary.name, primary.value)
    store.append_scores(scores, verdicts)
    done.trials = len(scores)
    return done


def _sample(experiment: Experiment, trial: Trial, made: dict[tuple[str, int, int], Sample]) -> Sample:
    key = trial.sample_key
    if key not in made:
        cell = trial.cell
        made[key], _ = make_sample(experiment.session, cell.task, cell.bucket, trial.sample_seed, experiment.config.tokens)
    return made[key]
