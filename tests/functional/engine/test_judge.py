"""The judge: which metrics score, under which version, and which score decides."""

from __future__ import annotations

import pytest
from plan_parts import Letters, Words, plan

from ctxbench import Sample, Scores
from ctxbench.engine.judge import Judge
from ctxbench.plan import metric_version

SAMPLE = Sample("context", "question", "answer", 64)


def judge(**changes) -> Judge:
    experiment = plan(**changes)
    return Judge.of(experiment, experiment.tasks[0])


def test_every_metric_scores_under_its_label_and_version():
    """Two settings of one metric are two metrics; the row says how each found the answer and which way is better."""
    experiment = plan(metrics=["words", {"name": "words", "label": "strict", "strict": True}])
    made = Judge.of(experiment, experiment.tasks[0])
    versions = [metric_version(part, experiment.session.component(part)) for part in experiment.metrics["tally"]]
    rows = made.score("answer", SAMPLE)
    assert [(row.metric, row.metric_version, row.name, row.value) for row in rows] == [
        ("words", versions[0], "words", 1.0),
        ("strict", versions[1], "words", 1.0),
    ]
    assert made.wanted == {("words", versions[0]), ("strict", versions[1])}
    assert versions[0] != versions[1]


def test_a_row_carries_extraction_and_direction(monkeypatch):
    """A metric of which less is better says so, and how the answer was found."""
    monkeypatch.setattr(Letters, "score", lambda self, prediction, sample: Scores({"a": 2, "words": 0.5}, "fence"))
    monkeypatch.setattr(Letters, "higher_is_better", False)
    rows = judge(metrics=["letters"]).score("x", SAMPLE)
    found = [(row.metric, row.name, row.value, row.higher_is_better, row.extraction) for row in rows]
    assert found[:2] == [("letters", "a", 2.0, False, "fence"), ("letters", "words", 0.5, False, "fence")]
    assert found[2:] == [("words", "words", 0.0, True, None)]  # the one that decides is added


def test_the_score_that_decides_is_the_tasks(monkeypatch):
    """Found by its name among all of them, whatever metric gives it; a task without one has none."""
    monkeypatch.setattr(Letters, "score", lambda self, prediction, sample: {"a": 2.0})
    made = judge(metrics=["letters", "words"])
    assert made.primary == "words"
    assert made.primary_row(made.score("answer", SAMPLE)).value == 1.0
    assert made.primary_row(made.score("answer", SAMPLE)[:1]) is None
    free = judge(tasks=["free"])
    assert free.primary == ""
    assert free.primary_row(free.score("answer", SAMPLE)) is None


@pytest.mark.parametrize(("value", "right"), [(1.0, True), (1.5, True), (0.999, False), (0, False)])
def test_right_is_a_primary_score_of_one(monkeypatch, value, right):
    """Less than the whole answer is not the answer; other metrics have no say."""
    monkeypatch.setattr(Letters, "score", lambda self, prediction, sample: {"a": 1.0})
    monkeypatch.setattr(Words, "score", lambda self, prediction, sample: {"words": value})
    assert judge(metrics=["letters", "words"]).is_right("answer", SAMPLE) is right
    assert judge(tasks=["free"]).is_right("answer", SAMPLE) is False


def test_what_is_no_number_is_refused(monkeypatch):
    """Before a row of it can be stored, also where only the channel's answer is judged."""
    monkeypatch.setattr(Words, "score", lambda self, prediction, sample: {"words": float("nan")})
    for wrong in (judge().score, judge().is_right):
        with pytest.raises(ValueError, match="must be finite"):
            wrong("answer", SAMPLE)
