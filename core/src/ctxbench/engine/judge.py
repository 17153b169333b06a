"""Scores answers with the metrics of their task."""

from __future__ import annotations

from typing import cast

import attrs

from ctxbench.engine import checks
from ctxbench.interfaces import Metric, Task
from ctxbench.plan import Experiment, Part, metric_version
from ctxbench.records import Sample
from ctxbench.results import ScoreRow


@attrs.frozen
class Judge:
    """The metrics of one task, and the score that decides *correct*."""

    metrics: tuple[tuple[Part, str, Metric], ...]
    primary: str

    @classmethod
    def of(cls, experiment: Experiment, part: Part) -> Judge:
        """The judge of a task as the experiment configures it."""
        session = experiment.session
        made = [(metric, cast(Metric, session.component(metric))) for metric in experiment.metrics[part.label]]
        primary = cast(Task, session.component(part)).primary_score
        return cls(tuple((metric, metric_version(metric, found), found) for metric, found in made), primary)

    @property
    def wanted(self) -> set[tuple[str, str]]:
        """(metric, version) of everything that this judge scores."""
        return {(part.label, version) for part, version, _ in self.metrics}

    def score(self, prediction: str, sample: Sample) -> tuple[ScoreRow, ...]:
        """Every score of a prediction.

        Raises:
            TypeError, ValueError: a metric gave something that is no finite number. Whatever else a metric raises.
        """
        rows: list[ScoreRow] = []
        for part, version, metric in self.metrics:
            scores = checks.scores(metric.score(prediction, sample))
            rows += [
                ScoreRow(part.label, version, name, value, metric.higher_is_better, scores.extraction)
                for name, value in scores.values.items()
            ]
        return tuple(rows)

    def primary_row(self, rows: tuple[ScoreRow, ...]) -> ScoreRow | None:
        """The score that decides *correct*, if it is among them."""
        return next((row for row in rows if row.name == self.primary), None)

    def is_right(self, answer: str, sample: Sample) -> bool:
        """Whether an answer's primary score is 1, by the metric that gives this score."""
        for _, _, metric in self.metrics:
            values = checks.scores(metric.score(answer, sample)).values
            if self.primary in values:
                return values[self.primary] >= 1.0
        return False
