"""The views ``trust``, ``prior_gap`` and ``costs`` against the same figures computed in plain Python."""

from __future__ import annotations

import math
import statistics

import pytest
from store_records import failure, score_row, trial
from test_store_views import CELL, records, wilson

from ctxbench.store.trust import T_975, T_BEYOND


def precision(value: float, **changes):
    return score_row(metric="identifiers", name="identifier_precision", value=value, **changes)


def test_trust_counts_endings_and_what_was_not_there(store):
    """Endings sum to n; questions without an answer are judged apart, and an error is not a right "not found"."""
    absent = {"sample_metadata": {"answerable": False}}
    present = {"sample_metadata": {"answerable": True}}
    rows = [trial(i, outcome=name, **present) for i, name in enumerate(("correct", "abstained", "looping", "truncated", "unparsable"))]
    rows += [trial(10 + i, **absent) for i in range(3)] + [trial(20, outcome="confabulated", **absent), failure(21, **absent)]
    rows += [trial(22, outcome=None, **absent), trial(23)]  # nothing judges one; the other's metadata say nothing: it can be answered
    store.append("r1", rows)
    (record,) = records(store, "trust")
    endings = ("correct", "abstained", "confabulated", "unparsable", "looping", "truncated", "errors", "unknown")
    assert [record[name] for name in endings] == [5, 1, 1, 1, 1, 1, 1, 1]
    assert sum(record[name] for name in endings) == record["n"] == 12
    assert (record["n_present"], record["present_accuracy"]) == (6, pytest.approx(2 / 6))
    assert (record["present_low"], record["present_high"]) == pytest.approx(wilson(2, 6))
    assert (record["n_absent"], record["absent_accuracy"]) == (5, pytest.approx(3 / 5))
    assert (record["absent_low"], record["absent_high"]) == pytest.approx(wilson(3, 5))
    assert (record["n_identifiers"], record["identifier_precision"], record["identifier_low"]) == (0, None, None)


def test_trust_takes_the_newest_precision_of_a_trial(store):
    """One value a trial, the newest version's; trials that were not scored are not counted as wrong."""
    store.append("r1", [trial(1, scores=(precision(1.0),)), trial(2, scores=(precision(0.5),)), trial(3)])
    store.append_scores({trial(1).trial_id: [precision(0.25, metric_version="2")]})
    (record,) = records(store, "trust")
    assert (record["n_identifiers"], record["identifier_precision"]) == (2, pytest.approx(0.375))
    assert (record["identifier_low"], record["identifier_high"]) == pytest.approx(wilson(0.75, 2))


def test_trust_is_of_the_newest_release(store):
    """Older trials of the variant are left out here as in summary."""
    store.append("r1", [trial(i, variant="v", cell="old", outcome="confabulated") for i in range(3)])
    store.append("r1", [trial(9, variant="v", cell="new")])
    assert [(record["n"], record["correct"]) for record in records(store, "trust")] == [(1, 1)]


def payload(kind: str, numbers, right: int, key: str = "entropy", **changes):
    settings = {"task_config": {key: kind, "depth": 3}, "sample_metadata": {key: kind}, **changes}
    return [trial(n, outcome="correct" if i < right else "confabulated", **settings) for i, n in enumerate(numbers)]


def test_prior_gap_is_natural_minus_random(store):
    """Accuracies, gap and Newcombe's interval of two payloads that differ in nothing else; the tasks' labels may differ."""
    store.append("r1", payload("realistic", range(10), 9, task="easy") + payload("random", range(20, 28), 2, carrier_tokens=70))
    (record,) = records(store, "prior_gap")
    assert (record["natural_task"], record["random_task"], record["natural_payload"], record["random_payload"]) == (
        *("easy", "needle"),
        *("realistic", "random"),
    )
    assert (record["natural_n"], record["random_n"], record["natural_carrier_tokens"], record["random_carrier_tokens"]) == (10, 8, 50, 70)
    (a_low, a_high), (b_low, b_high) = wilson(9, 10), wilson(2, 8)
    assert record["gap"] == pytest.approx(0.9 - 0.25)
    assert record["gap_low"] == pytest.approx(0.65 - math.hypot(0.9 - a_low, b_high - 0.25))
    assert record["gap_high"] == pytest.approx(0.65 + math.hypot(a_high - 0.9, 0.25 - b_low))


@pytest.mark.parametrize(
    "other",
    [
        {"bucket": 256},
        {"codec_config": {"cell": 5}},
        {"model_config": {"dtype": "float32"}},
        {"augmentation": "heavy"},
        {"seed": 9},
        {"adapter": "a"},
        {"task_config": {"entropy": "random", "depth": 4}},
        {"task_version": "2"},
    ],
)
def test_prior_gap_pairs_nothing_that_differs_in_more(store, other):
    """A gap between two lengths, codecs, models, levels or other options of the task would be something else."""
    store.append("r1", payload("realistic", range(4), 4) + payload("random", range(10, 14), 1, **other))
    assert records(store, "prior_gap") == []


def test_prior_gap_knows_needles_and_what_a_task_says_itself(store):
    """Words can be guessed, numbers and codes cannot; ``payload`` in a sample's metadata says it outright, and comes first."""
    rows = payload("word", range(4), 4, "needle_type") + payload("uuid", range(10, 14), 1, "needle_type")
    rows += payload("hex", range(20, 24), 2, "needle_type")
    own = {"task_config": {"flavour": 1}, "bucket": 64}
    rows += [trial(30, sample_metadata={"payload": "natural", "entropy": "random"}, **own, variant="n", cell="n")]
    rows += [trial(40, sample_metadata={"payload": "random", "entropy": "words"}, **own, variant="m", cell="m")]
    rows += [trial(50, sample_metadata={"payload": "shuffled"}, **own, variant="o", cell="o")]
    store.append("r1", rows)
    found = [(record["bucket"], record["natural_payload"], record["random_payload"]) for record in records(store, "prior_gap")]
    assert sorted(found) == [(64, "natural", "random"), (64, "natural", "shuffled"), (128, "word", "hex"), (128, "word", "uuid")]


def test_costs_have_intervals_by_batch(store):
    """Two batches of unlike size: the standard error is that of two clusters, with t of one degree of freedom; money is by trial."""
    store.append("r1", [trial(i, read_seconds=1.0 if i < 6 else 3.0, cost_usd=0.01 * (1 + i % 3)) for i in range(9)])
    (record,) = records(store, "costs")
    mean = (6 * 1 + 3 * 3) / 9
    error = math.sqrt(2 / 1 * ((6 * (1 - mean)) ** 2 + (3 * (3 - mean)) ** 2)) / 9
    assert (record["n_timed"], record["n_batches"], record["read_seconds"]) == (9, 2, pytest.approx(mean))
    assert (record["read_seconds_low"], record["read_seconds_high"]) == pytest.approx((0, mean + 12.706205 * error))
    money = [0.01 * (1 + i % 3) for i in range(9)]
    half = 2.306004 * statistics.stdev(money) / 3
    assert (record["n_priced"], record["cost_usd"]) == (9, pytest.approx(0.02))
    assert (record["cost_usd_low"], record["cost_usd_high"]) == pytest.approx((0.02 - half, 0.02 + half))


def test_one_batch_or_none_has_no_interval(store):
    """Nine trials of one batch are one measurement; a cell without times or prices says so and is there all the same."""
    store.append("r1", [trial(i, read_seconds=0.5) for i in range(9)] + [trial(20 + i, codec="x") for i in range(3)])
    one, none = records(store, "costs")
    assert (one["n_batches"], one["read_seconds"], one["read_seconds_low"], one["read_seconds_high"]) == (1, 0.5, None, None)
    assert [none[name] for name in ("n_timed", "n_batches", "n_priced")] == [0, 0, 0]
    assert [none[name] for name in ("read_seconds", "read_seconds_low", "cost_usd", "cost_usd_low", "cost_usd_high")] == [None] * 5
    assert tuple(none[name] for name in CELL)[5] == "x"


def test_students_t_is_right():
    """The quantiles that the view holds, and the two terms that it takes beyond, against scipy."""
    stats = pytest.importorskip("scipy.stats")
    assert list(T_975) == pytest.approx([stats.t.ppf(0.975, df) for df in range(1, 31)], abs=6e-7)
    for df in (31, 40, 100, 1000):
        assert eval(T_BEYOND.format(df=df)) == pytest.approx(stats.t.ppf(0.975, df), abs=1e-4)
