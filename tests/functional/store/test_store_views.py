"""The views against the same figures computed in plain Python from the rows."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from store_records import failure, run_record, score_row, trial

from ctxbench.store import Store

CELL = ("model", "adapter", "task", "bucket", "language", "codec", "augmentation")


def records(store, view: str) -> list[dict]:
    table = store.query(f"SELECT * FROM {view}")
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def wilson(k: float, n: int) -> tuple[float, float]:
    """Roots of (p - k/n)^2 = z^2 p (1 - p) / n, which is what the interval is by definition."""
    z2, p = 1.959963984540054**2, k / n
    a, b, c = 1 + z2 / n, -(2 * p + z2 / n), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.fixture
def mixed(store):
    """Several hundred random trials over cells with and without adapter and language, some of them errors."""
    dice = random.Random(5)
    rows = []
    for number in range(600):
        adapter, language = dice.choice([None, "a", "b"]), dice.choice([None, "en"])
        codec = dice.choice(["text", "codebook", "qr"])
        where = {"adapter": adapter, "language": language, "codec": codec, "augmentation": dice.choice(["clean", "heavy"])}
        if dice.random() < 0.1:
            rows.append(failure(number, **where))
            continue
        channel = None if codec == "text" and adapter else dice.random() < 0.7
        right = dice.random() < 0.5
        tokens = dice.choice([20, 40, 50, 100])
        flag = dice.choice([None, None, "budget_scaled", "budget_scaled,count_mismatch"])
        size = dice.choice([80, 100, 130])
        figures = {"reference_tokens": size, "carrier_tokens": tokens, "compression_ratio": size / tokens, "token_flag": flag}
        figures |= {"encoded_tokens": tokens - 5, "encoded_ratio": size / (tokens - 5), "read_seconds": dice.random()}
        figures |= {"context_bytes": size * 4, "payload_bytes": dice.choice([100, 200]), "channel_correct": channel and dice.random() < 0.9}
        outcome = "correct" if right else dice.choice(["confabulated", "abstained", "unparsable"])
        cer = None if channel is None else dice.random()
        more = {"score": dice.random(), "channel_ok": channel, "channel_cer": cer, "prompt_tokens": tokens + 30}
        rows.append(trial(number, **where, outcome=outcome, **figures, **more))
    store.append("r1", rows)
    return store, rows


def cells(rows) -> dict[tuple, list]:
    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in CELL), []).append(row)
    return groups


def test_summary_is_what_the_rows_say(mixed):
    """Counts, accuracy over all trials, intervals, means; ratios are of means and leave no row out; NULL adapters are a cell."""
    store, rows = mixed
    expected = cells(rows)
    found = {tuple(record[name] for name in CELL): record for record in records(store, "summary")}
    assert set(found) == set(expected)
    assert len(found) == 36
    for key, group in expected.items():
        record = found[key]
        fine = [row for row in group if row.status == "ok"]
        right = sum(row.outcome == "correct" for row in group)
        assert (record["n"], record["errors"], record["n_scored"]) == (len(group), len(group) - len(fine), len(fine))
        assert record["accuracy"] == pytest.approx(right / len(group))
        assert (record["accuracy_low"], record["accuracy_high"]) == pytest.approx(wilson(right, len(group)), abs=1e-12)
        scores = [row.score for row in fine]
        assert record["score"] == pytest.approx(statistics.mean(scores))
        assert (record["score_low"], record["score_high"]) == pytest.approx(wilson(sum(scores), len(scores)), abs=1e-12)
        assert record["carrier_tokens"] == pytest.approx(statistics.mean(row.carrier_tokens for row in fine))
        assert record["prompt_tokens"] == pytest.approx(statistics.mean(row.prompt_tokens for row in fine))
        for ratio, top, under in (
            ("compression_ratio", "reference_tokens", "carrier_tokens"),
            ("encoded_ratio", "reference_tokens", "encoded_tokens"),
            ("prompt_ratio", "text_prompt_tokens", "formula_prompt_tokens"),
            ("text_compression", "context_bytes", "payload_bytes"),
        ):
            means = [statistics.mean(getattr(row, name) for row in fine) for name in (top, under)]
            assert record[ratio] == pytest.approx(means[0] / means[1]), ratio
        assert record["n_counted"] == len(fine)
        assert record["n_flagged"] == sum(row.token_flag is not None for row in fine)
        known = [row.channel_ok for row in fine if row.channel_ok is not None]
        assert record["channel_ok"] == (pytest.approx(sum(known) / len(known)) if known else None)
        assert record["read_seconds"] == pytest.approx(statistics.mean(row.read_seconds for row in fine))


def test_ratios_have_bootstrap_intervals(mixed):
    """The ratio of means lies in its interval, which is about as wide as resampling in Python says, and the same at every reading."""
    store, rows = mixed
    dice = random.Random(1)
    groups = cells(rows)
    found = records(store, "ratios")
    assert found == records(store, "ratios")
    assert len(found) == 36
    widths = []
    for record in found:
        fine = [row for row in groups[tuple(record[name] for name in CELL)] if row.status == "ok"]
        assert record["n_counted"] == len(fine)
        drawn = []
        for _ in range(1000):
            sample = dice.choices(fine, k=len(fine))
            drawn.append(sum(row.reference_tokens for row in sample) / sum(row.carrier_tokens for row in sample))
        low, _, high = statistics.quantiles(drawn, n=40)[0], 0, statistics.quantiles(drawn, n=40)[-1]
        assert record["compression_ratio_low"] <= record["compression_ratio"] <= record["compression_ratio_high"]
        widths.append((record["compression_ratio_high"] - record["compression_ratio_low"]) / (high - low))
    assert 0.85 < statistics.median(widths) < 1.2
    assert min(widths) > 0.5
    assert max(widths) < 2


def newcombe_low(first, second) -> float:
    """Lower bound of the difference of two rates (Newcombe 1998, method 10)."""
    (p1, l1, _), (p2, _, u2) = ((r["accuracy"], r["accuracy_low"], r["accuracy_high"]) for r in (first, second))
    return p1 - p2 - math.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)


def test_frontier_is_what_no_other_cell_is_shown_to_beat(mixed):
    """Brute force over every group: cells of one bucket, one level, one reader are compared with each other and with no others."""
    store, _ = mixed
    for number, (codec, tokens, right, bucket) in enumerate(
        (("x", 30, 300, 128), ("y", 60, 300, 128), ("y", 60, 300, 64), ("z", 70, 250, 128))
    ):
        store.append(
            "r1",
            [
                trial(
                    10_000 + 1000 * number + i,
                    codec=codec,
                    bucket=bucket,
                    carrier_tokens=tokens,
                    outcome="correct" if i < right else "abstained",
                )
                for i in range(300)
            ],
        )
    store.append("r1", [failure(9000 + i, codec="broken", adapter=None, language=None, augmentation="clean") for i in range(3)])
    group = [name for name in CELL if name != "codec"]
    summary = [record for record in records(store, "summary") if record["carrier_tokens"] is not None]

    def beaten(cell) -> bool:
        for other in summary:
            if other is not cell and all(other[name] == cell[name] for name in group):
                cheaper = other["carrier_tokens"] < cell["carrier_tokens"]
                tie = other["carrier_tokens"] == cell["carrier_tokens"] and other["accuracy"] > cell["accuracy"]
                if (cheaper or tie) and newcombe_low(other, cell) > -0.05:
                    return True
        return False

    expected = {tuple(cell[name] for name in CELL) for cell in summary if not beaten(cell)}
    found = [tuple(record[name] for name in CELL) for record in records(store, "frontier")]
    assert len(found) == len(set(found))
    assert set(found) == expected
    large = {(record["codec"], record["bucket"]) for record in records(store, "frontier") if record["n"] == 300}
    assert large == {("x", 128), ("y", 64)}


def test_frontier_drops_nothing_that_is_not_shown(store):
    """A dearer codec that is right as often stays while three trials show nothing, and goes when hundreds do."""
    for codec, tokens, first in (("a", 50, 0), ("b", 50, 1000), ("c", 60, 2000)):
        store.append("r1", [trial(first + i, codec=codec, carrier_tokens=tokens) for i in range(3)])
    assert [record["codec"] for record in records(store, "frontier")] == ["a", "b", "c"]
    for codec, tokens, first in (("a", 50, 0), ("b", 50, 1000), ("c", 60, 2000)):
        store.append("r1", [trial(first + i, codec=codec, carrier_tokens=tokens) for i in range(3, 300)])
    assert [record["codec"] for record in records(store, "frontier")] == ["a", "b"]  # ties stay together


def test_attribution_shares_sum_to_one(mixed):
    """Each trial is right, right in spite of the channel, lost in the channel or by the reader, unknown or an error."""
    store, rows = mixed
    expected = cells(rows)
    for record in records(store, "attribution"):
        group = expected.pop(tuple(record[name] for name in CELL))
        right = [row for row in group if row.status == "ok" and row.outcome == "correct"]
        wrong = [row for row in group if row.status == "ok" and row.outcome != "correct"]
        shares = {
            "correct": sum(row.channel_correct is not False for row in right),
            "in_spite_of_channel": sum(row.channel_correct is False for row in right),
            "lost_in_channel": sum(row.channel_correct is False for row in wrong),
            "lost_in_reader": sum(row.channel_correct is True for row in wrong),
            "unknown": sum(row.channel_correct is None for row in wrong),
            "errors": sum(row.status == "error" for row in group),
        }
        for name, count in shares.items():
            assert record[name] == pytest.approx(count / len(group)), name
        assert sum(record[name] for name in shares) == pytest.approx(1)
    assert not expected


def test_the_channel_is_judged_by_the_question(store):
    """A decoder that lost a character somewhere else has lost nothing: what is wrong then is lost by the reader."""
    wrong = {"outcome": "confabulated", "score": 0.0, "channel_ok": False, "channel_cer": 0.01}
    store.append("r1", [trial(1, channel_correct=True, **wrong), trial(2, channel_correct=False, **wrong)])
    (record,) = records(store, "attribution")
    assert (record["lost_in_reader"], record["lost_in_channel"]) == (0.5, 0.5)


def test_a_trial_that_nothing_judges_is_unknown(store):
    """Without an outcome there is no accuracy, and attribution does not blame the channel."""
    store.append("r1", [trial(1, outcome=None, channel_ok=False)])
    assert records(store, "summary")[0]["accuracy"] is None
    assert records(store, "attribution")[0]["unknown"] == 1.0
    assert records(store, "results")[0]["correct"] is None


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_intervals_as_published(store, k, n, low, high):
    """Values of the literature: 81 of 263 is Newcombe's (1998) example; bounds stay within 0 and 1."""
    store.append("r1", [trial(i, outcome="correct" if i < k else "confabulated") for i in range(n)])
    record = records(store, "summary")[0]
    assert record["accuracy_low"] == pytest.approx(low, abs=5e-5)
    assert record["accuracy_high"] == pytest.approx(high, abs=5e-5)
    assert 0 <= record["accuracy_low"] <= record["accuracy"] <= record["accuracy_high"] <= 1


def test_errors_count_against_accuracy(store):
    """A codec that cannot carry half of the samples is not as good as one that can."""
    store.append("r1", [trial(1), trial(2), failure(3), failure(4)])
    assert records(store, "summary")[0]["accuracy"] == 0.5
    assert store.query("SELECT avg(correct::INT) FROM results").rows == [(0.5,)]


def test_mixed_settings_are_cells_of_their_own(store):
    """One label, two settings: two rows, which say how many there are, and no mean over both."""
    store.append("r1", [trial(1, variant="v"), trial(2, variant="v"), trial(3, variant="w", outcome="confabulated")])
    found = {record["variant"]: record for record in records(store, "summary")}
    assert {key: (record["n"], record["accuracy"], record["n_variants"]) for key, record in found.items()} == {
        "v": (2, 1.0, 2),
        "w": (1, 0.0, 2),
    }
    assert len(records(store, "attribution")) == 2


def test_the_newest_release_is_shown_and_the_older_one_said(store):
    """A re-released codec's trials are not counted together with its old ones: n is that of the new ones."""
    old = {"variant": "v", "cell": "c1", "codec_version": "1.0/1"}
    store.append("r1", [trial(i, **old, outcome="confabulated", score=0.0) for i in range(3)])
    store.append("r1", [trial(10 + i, variant="v", cell="c2", codec_version="1.1/1", carrier_tokens=25) for i in range(2)])
    (record,) = records(store, "summary")
    assert (record["n"], record["accuracy"], record["n_superseded"], record["codec_version"]) == (2, 1.0, 3, "1.1/1")
    assert record["compression_ratio"] == 4.0
    (ratio,) = records(store, "ratios")
    assert (ratio["n_counted"], ratio["compression_ratio"]) == (2, 4.0)
    (fates,) = records(store, "attribution")
    assert (fates["n"], fates["correct"]) == (2, 1.0)
    assert [point["n"] for point in records(store, "frontier")] == [2]
    assert store.query("SELECT count(*) FROM results").rows == [(5,)]


def test_rows_of_before_cells_were_stored_are_told_apart_by_their_settings(store):
    """An early store has no hashes: equal settings are one cell, whether a trial was read or failed; others are others."""
    store.append("r1", [trial(1), failure(2, token_family=None), trial(3, codec_config={"cell": 5}), trial(4, token_family="qwen2-vl")])
    assert sorted((record["n"], record["n_variants"]) for record in records(store, "summary")) == [(1, 2), (3, 2)]


@pytest.mark.parametrize("scores", [[1.0] * 3, [0.9, 1.0, 1.0], [0.0] * 4, [0.2, 0.9]])
def test_score_intervals_stay_where_scores_can_be(store, scores):
    """Between 0 and 1, around the mean, and not empty; scores on another scale keep the normal interval."""
    store.append("r1", [trial(i, score=score) for i, score in enumerate(scores)])
    (record,) = records(store, "summary")
    assert 0 <= record["score_low"] <= record["score"] <= record["score_high"] <= 1
    assert record["score_high"] - record["score_low"] > 0.1
    store.append("r1", [trial(50 + i, codec="x", score=value) for i, value in enumerate((10.0, 20.0, 30.0))])
    other = next(record for record in records(store, "summary") if record["codec"] == "x")
    half = 1.959963984540054 * 10 / math.sqrt(3)
    assert (other["score_low"], other["score_high"]) == pytest.approx((20 - half, 20 + half))


def test_results_are_one_row_a_trial(store):
    """Scores become columns, missing ones NULL; the run's columns are beside them; a trial without a run is there too."""
    store.append("r1", [trial(1, scores=(score_row(), score_row(metric="f1", name="key_f1", value=0.5))), trial(2, scores=())])
    store.append("gone", [failure(3)])
    found = store.query("SELECT trial_id, hit, key_f1, correct, run_id, run_name, run_seed FROM results ORDER BY trial_id").rows
    assert found == [
        (trial(1).trial_id, 1.0, 0.5, True, "r1", "a test", 7),
        (trial(2).trial_id, None, None, True, "r1", "a test", 7),
        (trial(3).trial_id, None, None, False, "gone", None, None),
    ]


def test_new_scores_become_columns_at_once(store):
    """In the same open store, by both ways in which scores arrive, and after it was opened again."""
    store.append("r1", [trial(1)])
    assert "len" not in store.query("SELECT * FROM results").columns
    store.append("r1", [trial(2, scores=(score_row(metric="len", name="len", value=4.0),))])
    store.append_scores({trial(1).trial_id: [score_row(metric="cer", name="cer", value=0.1)]})
    assert store.query("SELECT hit, len, cer FROM results ORDER BY trial_id").rows == [(1.0, None, 0.1), (None, 4.0, None)]
    store.close()
    with Store.open_read_only(store.path) as reader:
        assert reader.query("SELECT hit, len, cer FROM results ORDER BY trial_id").rows == [(1.0, None, 0.1), (None, 4.0, None)]


def test_the_newest_version_of_a_metric_counts(store):
    """An upgraded metric's score takes the older one's place in ``results``; the table keeps both."""
    store.append("r1", [trial(1, scores=(score_row(metric_version="9", value=0.9),))])
    store.append_scores({trial(1).trial_id: [score_row(metric_version="10", value=0.1)]})
    assert store.query("SELECT hit FROM results").rows == [(0.1,)]
    assert store.query("SELECT count(*) FROM scores").rows == [(2,)]


def test_score_names_may_be_anything(store):
    """Names that collide, differ in case only, are taken, hostile or empty get columns of their own, and values do not mix."""
    names = [
        ("m", "score"),
        ("a", "f1"),
        ("b", "F1"),
        ("m", 'x"; DROP TABLE trials; --'),
        ("it's", "y"),
        ("m", ""),
        ("m", "a.b"),
        ("t", "Model"),
    ]
    scores = tuple(score_row(metric=metric, name=name, value=float(i)) for i, (metric, name) in enumerate(names))
    store.append("r1", [trial(1, scores=scores)])
    (record,) = records(store, "results")
    assert record["score"] == 1.0  # the trial's own
    expected = ["m.score", "a.f1", "b.F1", 'x"; DROP TABLE trials; --', "y", "m.", "a.b", "t.Model"]
    assert [record[name] for name in expected] == [float(i) for i in range(len(names))]


def test_errors_are_grouped(store):
    """One row for each distinct error, the most frequent first, with where it happened."""
    store.append("r1", [failure(1), failure(2, codec="qr"), failure(3, error_stage="encode", error_message="too long"), trial(4)])
    found = store.query("SELECT n, error_stage, error_type, error_message, codecs, example FROM errors").rows
    assert found[0] == (2, "read", "RuntimeError", "no memory", ["codebook", "qr"], trial(1).trial_id)
    assert found[1] == (1, "encode", "RuntimeError", "too long", ["codebook"], trial(3).trial_id)
    assert len(found) == 2


def test_an_empty_store_has_empty_views(store):
    """Every view can be asked before anything was stored."""
    for view in ("results", "summary", "ratios", "frontier", "attribution", "errors"):
        assert store.query(f"SELECT * FROM {view}").rows == []


def test_an_up_to_date_store_is_not_written_to(store):
    """Opening it again makes no view anew, so the file stays byte for byte as it was."""
    store.append("r1", [trial(1)])
    store.finish_run("r1", "finished", {})
    store.close()
    before = store.path.read_bytes()
    with Store.open(store.path):
        pass
    assert store.path.read_bytes() == before
    with Store.open(store.path) as again:
        again.start_run(run_record(run_id="r2"))
    assert store.path.read_bytes() != before
