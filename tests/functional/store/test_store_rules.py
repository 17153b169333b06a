"""Rules of the views, one at a time: what is counted together, what is left out, and which columns there are."""

from __future__ import annotations

import math
import re
import statistics

import pytest
from store_records import failure, score_row, trial

from ctxbench.results import TrialResult
from ctxbench.store import Store, views

CELL = ["model", "adapter", "task", "bucket", "language", "codec", "augmentation"]
OTHER = {"model": "m", "adapter": "a", "task": "t", "bucket": 64, "language": "zh", "codec": "c", "augmentation": "heavy"}
"""Another value of each label than that of ``trial()``."""


def records(store: Store, view: str) -> list[dict]:
    table = store.query(f"SELECT * FROM {view}")
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def many(first: int, right: int, n: int = 300, **changes: object) -> list[TrialResult]:
    """``n`` trials of one cell, ``right`` of them answered right, with ids from ``first`` on."""
    return [trial(first + i, outcome="correct" if i < right else "confabulated", **changes) for i in range(n)]


def test_views_have_their_columns(store):
    """Notebooks and other programs name them; one that is lost is noticed here and not there."""
    times = [f"{name}_seconds" for name in ("encode", "augment", "channel", "read", "prefill", "generate", "score")]
    interval = [f"{name}{end}" for name in ("encoded_ratio", "compression_ratio", "prompt_ratio") for end in ("", "_low", "_high")]
    expected = {
        "summary": [
            *(*CELL, "variant", "n", "errors", "accuracy", "accuracy_low", "accuracy_high", "n_scored", "score", "score_low", "score_high"),
            *("reference_tokens", "encoded_tokens", "carrier_tokens", "prompt_tokens", "n_counted"),
            *("encoded_ratio", "compression_ratio", "prompt_ratio", "text_compression", "n_flagged", "n_pages"),
            *("channel_ok", "channel_correct", "channel_cer", "training_overlap", "cost_usd", *times),
            *("seed", "token_family", "model_version", "task_version", "codec_version", "augmentation_version"),
            *("n_variants", "n_superseded", "cell"),
        ],
        "ratios": [*CELL, "variant", "n_counted", *interval, "text_compression"],
        "frontier": [
            *(*CELL, "variant", "n", "errors", "carrier_tokens", "accuracy", "accuracy_low", "accuracy_high"),
            *("compression_ratio", "score"),
        ],
        "attribution": [
            *(*CELL, "variant", "n", "correct", "in_spite_of_channel", "lost_in_channel", "lost_in_reader", "unknown", "errors"),
        ],
        "trust": [
            *(*CELL, "variant", "n", "correct", "abstained", "confabulated", "unparsable", "looping", "truncated", "errors", "unknown"),
            *(name for kind in ("present", "absent") for name in (f"n_{kind}", f"{kind}_accuracy", f"{kind}_low", f"{kind}_high")),
            *("n_identifiers", "identifier_precision", "identifier_low", "identifier_high", "cell"),
        ],
        "prior_gap": [
            *("model", "adapter", "bucket", "language", "codec", "augmentation"),
            *(
                f"{side}_{name}"
                for name in ("task", "payload", "n", "accuracy", "accuracy_low", "accuracy_high", "score", "carrier_tokens", "variant")
                for side in ("natural", "random")
            ),
            *("gap", "gap_low", "gap_high", "natural_cell", "random_cell"),
        ],
        "costs": [
            *(*CELL, "variant", "n", "n_timed", "n_batches", "read_seconds", "read_seconds_low", "read_seconds_high"),
            *("n_priced", "cost_usd", "cost_usd_low", "cost_usd_high", "cell"),
        ],
        "errors": [
            *("n", "error_stage", "error_type", "error_message", "models", "tasks", "codecs", "augmentations", "last_at", "example"),
        ],
    }
    for view, columns in expected.items():
        assert list(store.query(f"SELECT * FROM {view}").columns) == columns
    run = "name config_hash config seed command started_at ctxbench_version versions python platform git_revision environment planned"
    found = list(store.query("SELECT * FROM results").columns)
    assert found[found.index("run_id") :] == ["run_id", "created_at", *(f"run_{name}" for name in f"{run} status finished_at".split())]
    assert [*expected, "results"] == [*views.NAMES[1:], views.NAMES[0]]
    made = store.query("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").rows
    assert [row[0] for row in made] == sorted(views.NAMES)


@pytest.mark.parametrize("name", ["trial_id", "Created_At", "correct", "run_id", "run_name", "run_finished_at", "score"])
def test_a_score_takes_no_columns_name(store, name):
    """A column that is there already keeps its meaning, in whatever case the score's name is written."""
    store.append("r1", [trial(1, scores=(score_row(metric="m", name=name, value=0.25),))])
    before = records(store, "results")[0]
    assert before[f"m.{name}"] == 0.25
    assert before["trial_id"] == trial(1).trial_id
    assert before["correct"] is True


def test_names_that_collide_with_made_up_names_are_numbered(store):
    """``m.a`` may itself be a score's name, and ``m.a_2`` too: the next number is taken."""
    assert views.score_columns([("a", "m.a"), ("m", "a"), ("n", "A")])["m", "a"] == "m.a_2"
    assert views.score_columns([("a", "m.a"), ("a", "M.A_2"), ("m", "a"), ("n", "A"), ("z", "z")]) == {
        ("a", "m.a"): "m.a",
        ("a", "M.A_2"): "M.A_2",
        ("m", "a"): "m.a_3",
        ("n", "A"): "n.A",
        ("z", "z"): "z",
    }


def test_every_label_makes_a_cell_and_variants_are_counted_within_it(store):
    """``n_variants`` counts the settings behind one row's labels: another task, level or model is no second setting."""
    store.append("r1", [trial(0, variant="v", cell="c")])
    for number, (name, value) in enumerate(OTHER.items()):
        store.append("r1", [trial(1 + number, variant=f"v{number}", cell=f"c{number}", **{name: value})])
    found = records(store, "summary")
    assert [(record["n"], record["n_variants"]) for record in found] == [(1, 1)] * 8
    assert {tuple(record[name] for name in CELL) for record in records(store, "attribution")} == {
        tuple(record[name] for name in CELL) for record in found
    }
    store.append("r1", [trial(20, variant="w", cell="d")])
    assert sorted(record["n_variants"] for record in records(store, "summary")) == [1] * 7 + [2, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"model_fingerprint": "g"},
        {"adapter_fingerprint": "g"},
        {"model_config": {"a": 1}},
        {"task_config": {"a": 1}},
        {"codec_config": {"a": 1}},
        {"augmentation_config": {"a": 1}},
        {"seed": 3},
    ],
    ids=str,
)
def test_rows_of_before_hashes_were_stored_are_told_apart_by(store, changes):
    """Everything that such a row says of its setting makes it another variant of its cell."""
    store.append("r1", [trial(1), trial(2), trial(3, **changes)])
    assert sorted((record["n"], record["n_variants"]) for record in records(store, "summary")) == [(1, 2), (2, 2)]
    assert sorted(record["n_counted"] for record in records(store, "ratios")) == [1, 2]


def test_a_ratio_leaves_out_the_trials_whose_count_is_unknown(store):
    """Above as below the line: a context whose cost is not known would make the others look cheaper."""
    known = {"encoded_tokens": 40, "context_bytes": 400, "payload_bytes": 100}
    unknown = {"carrier_tokens", "encoded_tokens", "formula_prompt_tokens", "payload_bytes"}
    store.append("r1", [trial(i, **known) for i in range(4)])
    store.append("r1", [trial(10 + i, **{**known, name: None}) for i, name in enumerate(sorted(unknown))])
    (summary,) = records(store, "summary")
    expected = {"compression_ratio": 100 / 50, "encoded_ratio": 100 / 40, "prompt_ratio": 120 / 80}
    for name, value in {**expected, "text_compression": 4.0}.items():
        assert summary[name] == pytest.approx(value), name
    assert (summary["n"], summary["n_counted"]) == (8, 7)
    (ratios,) = records(store, "ratios")
    assert ratios["n_counted"] == 7
    assert ratios["text_compression"] == 4.0
    for name, value in expected.items():  # all known trials cost the same, so whatever is drawn has this ratio
        assert [ratios[name], ratios[f"{name}_low"], ratios[f"{name}_high"]] == pytest.approx([value] * 3), name


def test_each_ratios_interval_is_of_its_own_counts(store):
    """The middle 95 % of the bootstrap's ratios: about 1.96 standard errors to either side, for each of the three."""
    sizes = [30 + 7 * (i * 37 % 41) for i in range(200)]
    rows = [
        trial(
            i, reference_tokens=100, carrier_tokens=size, encoded_tokens=2 * size, text_prompt_tokens=150, formula_prompt_tokens=size + 30
        )
        for i, size in enumerate(sizes)
    ]
    store.append("r1", rows)
    (record,) = records(store, "ratios")
    for name, top, costs in (
        ("compression_ratio", 100, sizes),
        ("encoded_ratio", 100, [2 * size for size in sizes]),
        ("prompt_ratio", 150, [size + 30 for size in sizes]),
    ):
        mean = statistics.mean(costs)
        error = top / mean * statistics.pstdev(costs) / mean / math.sqrt(len(costs))
        assert record[name] == pytest.approx(top / mean)
        assert record[name] - record[f"{name}_low"] == pytest.approx(1.96 * error, rel=0.3), name
        assert record[f"{name}_high"] - record[name] == pytest.approx(1.96 * error, rel=0.3), name


def test_a_trial_counts_several_times_in_a_replicate(store):
    """Of a Poisson(1) variable 8 % are 3 or more and 0.4 % are 5 or more: where one trial decides, the bounds are 0 and 3 or 4 times it.

    The first trial alone has a context to speak of; 400 others make the cost nearly the same in each replicate.
    """
    rows = [trial(i, reference_tokens=40_000 if i == 0 else 0, carrier_tokens=100) for i in range(401)]
    store.append("r1", rows)
    (record,) = records(store, "ratios")
    assert record["compression_ratio"] == pytest.approx(1.0, rel=0.01)
    assert record["compression_ratio_low"] == 0
    assert 2.5 < record["compression_ratio_high"] < 4.7


def test_means_are_means(store):
    """Each column of its own values, over the trials that have one; the overlap with training data is the largest."""
    names = ["encode", "augment", "channel", "read", "prefill", "generate", "score"]
    first, second = ({f"{name}_seconds": scale * (i + 1) for i, name in enumerate(names)} for scale in (1.0, 4.0))
    low = {"n_pages": 1, "reference_tokens": 100, "encoded_tokens": 40, "carrier_tokens": 50, "prompt_tokens": 70, "channel_cer": 0.1}
    high = {"n_pages": 4, "reference_tokens": 106, "encoded_tokens": 46, "carrier_tokens": 56, "prompt_tokens": 76, "channel_cer": 0.5}
    store.append(
        "r1",
        [
            trial(1, score=0.2, training_overlap=0.1, cost_usd=0.5, channel_ok=True, channel_correct=True, **low, **first),
            trial(2, score=0.8, training_overlap=0.7, cost_usd=2.0, channel_ok=False, channel_correct=False, **high, **second),
            trial(3, score=0.2, training_overlap=None, channel_ok=False, channel_correct=True, **low, **first),
            failure(4),
        ],
    )
    (record,) = records(store, "summary")
    for i, name in enumerate(names):
        assert record[f"{name}_seconds"] == pytest.approx(2.0 * (i + 1))
    assert record["n_pages"] == 2
    assert [record[name] for name in ("encoded_tokens", "carrier_tokens", "prompt_tokens")] == [42, 52, 72]
    assert record["reference_tokens"] == pytest.approx((100 + 106 + 100 + 100) / 4)
    assert record["score"] == pytest.approx(0.4)
    assert record["channel_cer"] == pytest.approx(0.7 / 3)
    assert record["channel_ok"] == pytest.approx(1 / 3)
    assert record["channel_correct"] == pytest.approx(2 / 3)
    assert record["training_overlap"] == 0.7
    assert record["cost_usd"] == 1.25
    assert (record["n"], record["errors"], record["n_scored"], record["n_counted"], record["n_flagged"]) == (4, 1, 3, 3, 0)


def test_accuracy_is_over_what_was_judged(store):
    """An error is a wrong answer; a trial that nothing judges is neither right nor wrong."""
    store.append("r1", [trial(1), trial(2, outcome="abstained"), trial(3, outcome=None), failure(4)])
    (record,) = records(store, "summary")
    assert (record["n"], record["errors"]) == (4, 1)
    assert record["accuracy"] == pytest.approx(1 / 3)
    assert sorted(str(row["correct"]) for row in records(store, "results")) == ["False", "False", "None", "True"]


@pytest.mark.parametrize(("scores", "bounded"), [([0.0, 1.0], True), ([0.5, 1.5], False), ([-0.5, 0.5], False), ([0.0, 0.5], True)])
def test_a_score_beyond_0_and_1_on_either_side_has_the_normal_interval(store, scores, bounded):
    """Wilson's is for scores between 0 and 1, the limits included."""
    store.append("r1", [trial(i, score=score) for i, score in enumerate(scores)])
    (record,) = records(store, "summary")
    mean, half = statistics.mean(scores), 1.959963984540054 * statistics.stdev(scores) / math.sqrt(2)
    normal = (mean - half, mean + half)
    assert (record["score_low"] == pytest.approx(normal[0])) is not bounded
    assert (record["score_high"] == pytest.approx(normal[1])) is not bounded


def test_the_newest_release_is_the_one_that_ran_last(store):
    """Not the one that was tried first or last for the first time: who goes back to a release sees its trials."""
    store.append("r1", [trial(1, variant="v", cell="old")])
    store.append("r1", [trial(2, variant="v", cell="new"), trial(3, variant="v", cell="new")])
    assert [(record["cell"], record["n_superseded"]) for record in records(store, "summary")] == [("new", 1)]
    store.append("r1", [trial(4, variant="v", cell="old")])
    assert [(r["cell"], r["n"], r["n_superseded"]) for r in records(store, "summary")] == [("old", 2, 2)]


@pytest.mark.parametrize("name", ["model", "adapter", "task", "bucket", "language", "augmentation", "seed", "token_family"])
def test_a_cheaper_cell_beats_none_of_another(store, name):
    """Codecs compete for one reader, task, length, language, level, seed and counting rule; the rest are other questions."""
    other = {**OTHER, "seed": 5, "token_family": "qwen3-vl"}[name]
    store.append("r1", many(0, 300, codec="dear", carrier_tokens=60))
    store.append("r1", many(1000, 300, codec="cheap", **{"carrier_tokens": 50, name: other}))
    assert {record["codec"] for record in records(store, "frontier")} == {"dear", "cheap"}
    store.append("r1", many(2000, 300, codec="cheaper", carrier_tokens=40))
    assert {record["codec"] for record in records(store, "frontier")} == {"cheaper", "cheap"}


@pytest.mark.parametrize(
    ("cheap", "tokens", "dear", "left"),
    [
        (600, 50, 600, "a"),  # as good and cheaper
        (582, 50, 600, "a"),  # 97 %: shown to be less than 5 points worse
        (552, 50, 600, "ab"),  # 92 %: not shown
        (240, 50, 600, "ab"),
        (600, 60, 240, "a"),  # as dear, and shown to be better
        (240, 60, 600, "b"),
        (600, 60, 600, "ab"),  # as dear and as good: neither beats the other
        (600, 70, 600, "b"),
    ],
)
def test_who_beats_whom(store, cheap, tokens, dear, left):
    """``b`` costs 60 tokens; ``a`` costs ``tokens``; of 600 trials each ``cheap`` and ``dear`` are right."""
    store.append("r1", many(0, cheap, 600, codec="a", carrier_tokens=tokens))
    store.append("r1", many(5000, dear, 600, codec="b", carrier_tokens=60))
    assert "".join(sorted(record["codec"] for record in records(store, "frontier"))) == left


def test_cells_without_a_cost_or_an_accuracy_are_in_no_frontier(store):
    """They can neither beat nor be beaten."""
    store.append("r1", many(0, 300, codec="known", carrier_tokens=60))
    store.append("r1", [trial(1000 + i, codec="unjudged", carrier_tokens=10, outcome=None) for i in range(300)])
    store.append("r1", many(2000, 300, codec="uncounted", carrier_tokens=None))
    assert [record["codec"] for record in records(store, "frontier")] == ["known"]


def test_an_errors_row_says_where_when_and_which(store):
    """Every label once and in order, the latest time, the first trial; the most frequent error comes first."""
    store.append("r1", [failure(9, model="b"), failure(5, error_type="A", error_message="rare")])
    store.append("r1", [failure(7, model="a", task="z", augmentation="heavy"), failure(8, model="b", codec="qr")])
    first, second = records(store, "errors")
    assert (first["n"], first["example"]) == (3, trial(7).trial_id)
    assert (first["models"], first["tasks"], first["augmentations"]) == (["a", "b"], ["needle", "z"], ["clean", "heavy"])
    assert first["codecs"] == ["codebook", "qr"]
    assert (second["n"], second["error_message"]) == (1, "rare")
    latest = store.query("SELECT max(created_at), min(created_at) FROM trials").rows[0]
    assert (first["last_at"], second["last_at"]) == latest


def test_views_are_made_anew_for_another_program(store):
    """A store whose views are another program's gets ours, and one that has ours is left alone."""
    connection = store.database.connection
    pairs = [("hit", "hit")]
    assert views.refresh(connection, pairs) is True
    assert views.refresh(connection, pairs) is False
    connection.execute("COMMENT ON VIEW results IS 'ctxbench views of another day'")
    assert views.refresh(connection, pairs) is True
    assert views.refresh(connection, [*pairs, ("cer", "cer")]) is True
    assert {"hit", "cer"} <= set(store.query("SELECT * FROM results").columns)


def test_one_outdated_view_is_enough_for_temporary_ones(store):
    """A store that is only read: all views are told anew if any is another program's, whichever it is, and none if all are ours."""
    connection = store.database.connection
    pairs = [("hit", "hit")]
    views.refresh(connection, pairs)
    assert views.outdated(connection, pairs) == []
    for name in ("summary", "results"):
        connection.execute(f"COMMENT ON VIEW {name} IS 'ctxbench views of another day'")
        for statement in (told := views.outdated(connection, pairs)):
            connection.execute(statement)
        made = connection.execute("SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal").fetchall()
        assert {name for (name,) in made} == set(views.NAMES)
        assert len(told) == len(views.NAMES)
        assert views.outdated(connection, pairs) == told  # temporary views are not taken for those that are stored
        views.refresh(connection, pairs)


def test_a_new_score_makes_one_view_anew(store):
    """The others take ten times as long, at the start of every run; another program's are still replaced, whichever they are."""
    connection = store.database.connection
    numbers = "SELECT view_name, view_oid FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    views.refresh(connection, [("hit", "hit")])
    before = dict(connection.execute(numbers).fetchall())
    views.refresh(connection, [("hit", "hit"), ("cer", "cer")])
    after = dict(connection.execute(numbers).fetchall())
    assert {name for name in views.NAMES if before[name] != after[name]} == {"results"}
    assert not [name for name, sql in views.definitions([]).items() if name != "results" and re.search(r"\bresults\b", sql)]
    connection.execute("COMMENT ON VIEW summary IS 'ctxbench views of another day'")
    assert views.refresh(connection, [("hit", "hit"), ("cer", "cer")]) is True
