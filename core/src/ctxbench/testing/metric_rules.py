"""The rules that every metric keeps."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import attrs

from ctxbench.interfaces import Metric
from ctxbench.records import Sample, Scores
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.rule import Rule, require, shown
from ctxbench.testing.subject import Subject

SAMPLE = Sample('{"a": 1}', "?", '{"a": 1}', 64, metadata={"answers": ['{"a": 1}'], "answerable": True})
WRONG = "something else entirely"
HOSTILE_PREDICTIONS: tuple[str, ...] = (
    "",
    " ",
    "\x00",
    "\ud800",
    "[" * 100_000,
    '{"a":' * 5_000,
    "NaN",
    "1e999",
    "x" * 200_000,
    "```json\n```",
    "👩‍👩‍👧‍👦",
)


@attrs.frozen
class MetricGiven:
    """What the rules try a metric with: a sample, and predictions that no metric may stumble over."""

    sample: Sample = SAMPLE
    hostile: tuple[str, ...] = HOSTILE_PREDICTIONS

    def work(self, metric: Metric) -> None:
        """A little of what a metric is for."""
        metric.score(self.sample.answer, self.sample)


def values(found: Mapping[str, float] | Scores) -> dict[str, float]:
    """The values of a score."""
    return dict(found.values if isinstance(found, Scores) else found)


def _scored(metric: Metric, prediction: str, sample: Sample) -> dict[str, float]:
    """The values, each checked to be a finite number."""
    found = values(metric.score(prediction, sample))
    require(found, f"no score at all for the prediction {shown(prediction)}")
    for name, value in found.items():
        require(isinstance(name, str) and name, f"a score's name must be text, got {name!r}")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(number, f"{name} must be a number, got {shown(value)} for the prediction {shown(prediction)}")
        require(math.isfinite(value), f"{name} is {value} for the prediction {shown(prediction)}")
    return found


def the_right_answer_is_best(subject: Subject, given: MetricGiven) -> str:
    """The reference answer scores 1 where higher is better and 0 where lower is; nothing scores better."""
    metric = subject.component
    best = _scored(metric, given.sample.answer, given.sample)
    worst = _scored(metric, WRONG, given.sample)
    require(best.keys() == worst.keys(), f"the scores' names differ: {sorted(best)} and {sorted(worst)}")
    wanted = 1.0 if metric.higher_is_better else 0.0
    for name, value in best.items():
        require(value == wanted, f"{name} of the right answer is {value:g}, not {wanted:g}")
        better = worst[name] > value if metric.higher_is_better else worst[name] < value
        require(not better, f"{name} of a wrong answer ({worst[name]:g}) is better than that of the right one ({value:g})")
    require(best != worst, "the right answer and a wrong one score the same")
    return ", ".join(f"{name}={value:g}" for name, value in best.items())


def hostile_predictions_are_scored(subject: Subject, given: MetricGiven) -> str:
    """Whatever a model says gets finite numbers under the same names, never an exception."""
    names = _scored(subject.component, given.sample.answer, given.sample).keys()
    for prediction in given.hostile:
        found = _scored(subject.component, prediction, given.sample)
        require(found.keys() == names, f"other names, {sorted(found)}, for the prediction {shown(prediction)}")
    return f"{len(given.hostile)} predictions"


def scoring_is_deterministic(subject: Subject, given: MetricGiven) -> None:
    """The same prediction scores the same, whatever was scored before."""
    first = _scored(subject.component, given.sample.answer, given.sample)
    _scored(subject.component, WRONG, given.sample)
    require(
        _scored(subject.component, given.sample.answer, given.sample) == first, "the same prediction scores differently the second time"
    )


def scores_are_the_same_in_another_process(subject: Subject, given: MetricGiven) -> None:
    """Neither hash randomisation nor what this process scored before changes a score."""
    mine = [values(subject.component.score(text, given.sample)) for text in (given.sample.answer, WRONG)]
    sample = attrs.asdict(given.sample)
    for theirs in subject.in_fresh_process(["score", given.sample.answer, sample], ["score", WRONG, sample], seeds=("1",)):
        require(theirs == mine, f"another process scores the same prediction differently: {theirs} instead of {mine}")


def the_sample_is_left_alone(subject: Subject, given: MetricGiven) -> None:
    """Scoring changes nothing in the sample, which other metrics read too."""
    sample = copy.deepcopy(given.sample)
    subject.component.score(WRONG, sample)
    require(sample == given.sample, "score changes the sample's metadata; work on a copy")


RULES: tuple[Rule, ...] = (
    *COMMON,
    *map(
        Rule,
        (
            the_right_answer_is_best,
            hostile_predictions_are_scored,
            scoring_is_deterministic,
            scores_are_the_same_in_another_process,
            the_sample_is_left_alone,
        ),
    ),
)
"""Every rule for metrics."""
