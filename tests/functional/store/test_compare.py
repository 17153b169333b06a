"""``ctxbench compare``: which trials are paired, which are not and why, and what is said of the difference."""

from __future__ import annotations

import json
import random

import pytest
from click.testing import CliRunner
from store_records import failure, run_record, trial

import ctxbench_stats
from ctxbench import UsageError
from ctxbench.store import Store
from ctxbench_cli.main import Cli
from ctxbench_stats.compare_command import command
from ctxbench_stats.proportions import Pairs, mcnemar, paired_interval

RIGHT, WRONG = {"outcome": "correct", "score": 1.0}, {"outcome": "confabulated", "score": 0.0}


def rows(codec: str, right: list[bool], start: int = 0, **changes):
    """A trial for each entry, of sample 0, 1, ...; equal samples of two codecs have equal seeds and contexts."""
    cell = changes.pop("cell", f"cell of {codec}")
    for i, good in enumerate(right):
        values = {"sample_index": i, "sample_seed": 1000 + i, "augmentation_seed": 2000 + i, "context_sha256": f"c{i}"}
        values |= {"codec": codec, "codec_config": {"of": codec}, "cell": cell, "variant": f"variant of {codec}", "seed": 0}
        yield trial(start + i, **{**values, **(RIGHT if good else WRONG), **changes})


@pytest.fixture
def put(tmp_path):
    """``put(rows, ...)`` makes a store of them and returns its path."""

    def make(*groups, name="s.duckdb", run="r1"):
        path = tmp_path / name
        with Store.open(path) as store:
            store.start_run(run_record(run_id=run))
            for group in groups:
                store.append(run, list(group))
        return path

    return make


def call(*args, exit_code: int = 0):
    group = Cli("ctxbench", commands={"compare": command})
    done = CliRunner().invoke(group, ["compare", *map(str, args)])
    assert done.exit_code == exit_code, done.output
    return done


def test_pairs_are_of_the_same_sample(put):
    """Accuracies, difference, interval and p are those of the pairs, not of all trials of each side."""
    a = [True] * 12 + [False] * 4
    b = [False] * 9 + [True] * 3 + [False] * 4 + [True] * 20  # 20 samples that only b was run on, all right
    matched, found = ctxbench_stats.compare(put(rows("alpha", a), rows("beta", b, 100)), "alpha", "beta")
    assert len(matched.pairs) == 16
    assert matched.unmatched_a == {}
    assert matched.unmatched_b == {"sample not run with alpha": 20}
    accuracy = found[0]
    pairs = Pairs(3, 9, 0, 4)
    assert (accuracy.measure, accuracy.n, accuracy.clusters) == ("accuracy", 16, 16)
    assert (accuracy.a, accuracy.b, accuracy.difference) == (12 / 16, 3 / 16, 9 / 16)
    assert (accuracy.low, accuracy.high) == paired_interval(pairs)
    assert accuracy.p == mcnemar(pairs) == 2 / 2**9
    assert accuracy.verdict == "alpha is right more often than beta"
    back = ctxbench_stats.compare(put(run="r2"), "beta", "alpha")[1][0]
    assert (back.difference, back.verdict) == (-9 / 16, "alpha is right more often than beta")


def test_every_reason_for_a_missing_partner_is_told(put):
    """The coarsest thing that the other side lacks; trials of other damage, options or contexts are no partners."""
    everything = rows("alpha", [True] * 7)
    partners = [
        *rows("beta", [True], 100),
        *rows("beta", [True], 110, sample_index=1, sample_seed=1001, augmentation_seed=9, context_sha256="c1"),
        *rows("beta", [True], 120, sample_index=2, sample_seed=7, context_sha256="other"),
        *rows("beta", [True], 130, sample_index=3, sample_seed=1003, augmentation_seed=2003, context_sha256="changed"),
        *rows("beta", [True], 140, sample_index=4, sample_seed=1004, outcome=None),
        *rows("beta", [True], 150, bucket=999),
        *rows("beta", [True], 160, task="json_restore", sample_index=5),
    ]
    partners[4] = next(
        rows("beta", [True], 140, sample_index=4, sample_seed=1004, augmentation_seed=2004, context_sha256="c4", outcome=None)
    )
    matched, _ = ctxbench_stats.compare(put(everything, partners), "alpha", "beta")
    assert len(matched.pairs) == 1
    assert matched.unmatched_a == {
        "sample not run with beta": 2,
        "nothing decides whether the answer was right": 1,
        "other draw of damage than with beta": 1,
        "other sample seed than with beta": 1,
        "the same seed made another context or question (another version of the task)": 1,
    }
    assert matched.unmatched_b["not run with alpha: bucket 999"] == 1
    assert matched.unmatched_b["not run with alpha: task json_restore"] == 1


def test_other_options_are_no_partners(put):
    """Two codecs read by one model label with other weights are not compared with each other."""
    path = put(rows("alpha", [True] * 3), rows("beta", [True] * 3, 100, model_fingerprint="other weights"))
    with pytest.raises(UsageError, match=r"no sample was run with both alpha and beta.*other options of model than with beta"):
        ctxbench_stats.compare(path, "alpha", "beta")


def test_variants_are_not_pooled(put):
    """A label that stands for two configs is refused, with what differs and how to name one; named, it is compared."""
    old = rows("beta", [True] * 8, 100, variant="aaaa1111", cell="x", codec_config={"cell": 4})
    new = rows("beta", [False] * 8, 200, variant="bbbb2222", cell="y", codec_config={"cell": 5})
    path = put(rows("alpha", [True] * 8), old, new)
    with pytest.raises(UsageError, match=r"'beta' stands for several variants: codec_config .*beta@aaaa1111 or beta@bbbb2222"):
        ctxbench_stats.compare(path, "alpha", "beta")
    assert ctxbench_stats.compare(path, "alpha", "beta@aaaa1111")[1][0].b == 1.0
    assert ctxbench_stats.compare(path, "alpha", "beta@bbbb")[1][0].b == 0.0
    assert ctxbench_stats.compare(path, "aaaa1111", "bbbb2222")[1][0].difference == 1.0


def test_of_releases_the_newest_counts(put):
    """Trials of an older release of the codec are left out, as in ``summary``; the partner's other version is told."""
    path = put(rows("alpha", [True] * 8), rows("beta", [False] * 8, 100, cell="old", codec_version="1"))
    with Store.open(path) as store:
        store.append("r1", list(rows("beta", [True] * 8, 200, cell="new", codec_version="2", task_version="7")))
    matched, found = ctxbench_stats.compare(path, "alpha", "beta")
    assert (found[0].b, found[0].n) == (1.0, 8)
    assert matched.notes == ["task_version differs in 8 pairs, for example unknown and 7"]


def test_questions_about_one_context_are_clustered(put):
    """Ten copies of each of four contexts are four observations: the interval is that of clusters, not of 40 pairs."""
    a, b = [], []
    for i in range(40):
        context = {"sample_index": i, "sample_seed": i, "augmentation_seed": i, "context_sha256": f"c{i // 10}"}
        a += rows("alpha", [True], 1000 + i, **context)
        b += rows("beta", [i // 10 == 0], 2000 + i, **context)
    found = ctxbench_stats.compare(put(a, b), "alpha", "beta")[1][0]
    assert (found.n, found.clusters, found.interval, found.test) == (40, 4, "clustered t", "clustered t")
    assert found.difference == 0.75
    assert found.p == pytest.approx(0.0577, abs=1e-3)  # t = 3 with 3 degrees of freedom
    assert found.p > 0.05 > mcnemar(Pairs(10, 30, 0, 0))


def test_levels_models_adapters_and_runs(put):
    """Each kind is found by its name; what is compared may differ, and a level has its own damage."""
    clean = list(rows("alpha", [True] * 9))
    heavy = rows("alpha", [False] * 9, 100, augmentation="heavy", augmentation_seed=77)
    other = rows("alpha", [False] * 9, 200, model="hf:some/model", model_fingerprint="g")
    adapted = rows("alpha", [False] * 9, 300, adapter="mine", adapter_fingerprint="h")
    path = put(clean, heavy, other, adapted)
    for a, b, kind, stratum in (
        ("clean", "heavy", "level", "augmentation"),
        ("channel", "hf:some/model", "model", "model"),
        ("base", "mine", "adapter", "adapter"),
        ("level:clean", "level:heavy", "level", "augmentation"),
    ):
        filters = {} if kind == "level" else {"augmentation": ["clean"]}
        filters |= {} if kind == "adapter" else {"adapter": []}
        matched, found = ctxbench_stats.compare(path, a, b, filters=filters)
        assert (matched.kind, len(matched.pairs)) == (kind, 9)
        assert stratum not in matched.strata
        assert (found[0].a, found[0].b) == (1.0, 0.0)
    with_adapter = ctxbench_stats.compare(path, "channel + base", "channel + mine", filters={"augmentation": ["clean"]})
    assert (with_adapter[0].kind, with_adapter[1][0].difference) == ("reader", 1.0)
    bare = ctxbench_stats.compare(path, "channel", "channel + mine", filters={"augmentation": ["clean"]})
    assert (bare[0].kind, len(bare[0].pairs)) == ("reader", 9)


def test_runs_and_stores(put):
    """Two runs of one store, and two stores, are matched by labels; what else differs between the partners is said."""
    path = put(rows("alpha", [True] * 8))
    with Store.open(path) as store:
        store.start_run(run_record(run_id="r2"))
        store.append("r2", list(rows("alpha", [False] * 8, 100, model_fingerprint="retrained", cell="other", variant="v2")))
    matched, found = ctxbench_stats.compare(path, "r1", "r2")
    assert (matched.kind, found[0].difference) == ("run", 1.0)
    assert matched.notes == ["model_fingerprint differs in 8 pairs, for example f and retrained"]
    other = put(rows("alpha", [False] * 6, 500), name="other.duckdb")
    first = put(rows("alpha", [True] * 8, 800), name="first.duckdb")
    matched, found = ctxbench_stats.compare("unused.duckdb", str(first), str(other))
    assert (matched.kind, found[0].n, found[0].difference) == ("store", 6, 1.0)
    assert list(matched.unmatched_a.values()) == [2]


def test_holm_and_the_row_for_all(put):
    """Strata are adjusted for their number; the row for all pairs is one more test and is not."""
    groups = []
    for i, bucket in enumerate((128, 256, 512, 1024)):
        groups.append(rows("alpha", [True] * 7, 1000 * i, bucket=bucket))
        groups.append(rows("beta", [False] * 7, 1000 * i + 500, bucket=bucket))
    found = [row for row in ctxbench_stats.compare(put(*groups), "alpha", "beta")[1] if row.measure == "accuracy"]
    assert [row.stratum for row in found] == [{"bucket": 128}, {"bucket": 256}, {"bucket": 512}, {"bucket": 1024}, {}]
    assert [row.p for row in found[:4]] == [2 / 2**7] * 4
    assert [row.p_holm for row in found] == [pytest.approx(4 * 2 / 2**7)] * 4 + [None]
    assert all(row.verdict.startswith("no difference shown") for row in found[:4])  # 0.0156 alone, 0.0625 among four
    assert (found[4].n, found[4].clusters) == (28, 7)


def test_scores_and_ratios_have_intervals_of_their_own(put):
    """BCa for a score and for a ratio of sums; the estimate is the ratio of sums, not the mean of ratios."""
    draw = random.Random(1)
    a, b = [], []
    for i in range(40):
        where = {"sample_index": i, "sample_seed": i, "augmentation_seed": i, "context_sha256": f"c{i}", "reference_tokens": 100 + i}
        a += rows("alpha", [True], 1000 + i, **where, encoded_tokens=25 + i % 5)
        b += rows("beta", [True], 2000 + i, **where, encoded_tokens=50 + i % 7)
        a[-1] = trial_with(a[-1], score=draw.uniform(0.6, 1.0))
        b[-1] = trial_with(b[-1], score=draw.uniform(0.2, 0.6))
    found = {row.measure: row for row in ctxbench_stats.compare(put(a, b), "alpha", "beta")[1]}
    score, ratio = found["score"], found["ratio"]
    assert score.interval == ratio.interval == "BCa bootstrap"
    assert score.low < score.difference < score.high
    assert 0.3 < score.low < score.high < 0.5
    assert score.verdict == "alpha has the higher score"
    total = sum(100 + i for i in range(40))
    cost_a, cost_b = sum(25 + i % 5 for i in range(40)), sum(50 + i % 7 for i in range(40))
    assert (ratio.a, ratio.b) == (pytest.approx(total / cost_a), pytest.approx(total / cost_b))
    assert ratio.low < ratio.difference < ratio.high
    assert ratio.verdict == f"alpha needs {cost_b / cost_a:.2f} times fewer tokens"


def trial_with(row, **changes):
    import attrs

    return attrs.evolve(row, **changes)


def test_equal_rates_are_equivalent_only_if_that_is_shown(put):
    """400 pairs that agree rule out 5 points; 20 do not, and the difference that they could show is named."""
    right = [True, False] * 200
    many = ctxbench_stats.compare(put(rows("alpha", right), rows("beta", right, 5000), name="a.duckdb"), "alpha", "beta")[1][0]
    assert many.verdict == "equivalent: they differ by less than 5 points"
    few = ctxbench_stats.compare(put(rows("alpha", right[:20]), rows("beta", right[:20], 5000), name="b.duckdb"), "alpha", "beta")[1][0]
    assert few.verdict == f"no difference shown; so many pairs show one from {100 * few.detectable:.3g} points on"
    assert few.detectable > 0.3


def test_errors_are_not_right_and_are_counted(put):
    """As in ``summary``; the command says how many."""
    lost = [
        failure(
            100 + i,
            codec="beta",
            codec_config={"of": "beta"},
            sample_index=i,
            sample_seed=1000 + i,
            augmentation_seed=2000 + i,
            cell="b",
            variant="b",
            seed=0,
        )
        for i in range(4)
    ]
    path = put(rows("alpha", [True] * 4), lost)
    out = call("alpha", "beta", "--store", path).stdout
    assert "errors count as not right: 0 of A, 4 of B" in out
    assert json.loads(call("alpha", "beta", "--store", path, "--json").stdout)["differences"][0]["b"] == 0


def test_json_says_what_the_table_says(put):
    """One document: what was shared, why others were not, and every difference."""
    path = put(rows("alpha", [True] * 8), rows("beta", [False] * 6, 100))
    told = json.loads(call("alpha", "beta", "--store", path, "--json").stdout)
    assert told == json.loads(call("alpha", "beta", "--store", path, "--format", "json").stdout)
    assert (told["kind"], told["shared"], told["unmatched_a"]) == ("codec", 6, {"sample not run with beta": 2})
    assert told["differences"][0]["verdict"] == "alpha is right more often than beta"
    table = call("alpha", "beta", "--store", path).stdout
    assert "codec alpha (A) against beta (B): 6 samples shared" in table
    assert "2  sample not run with beta" in table
    assert "alpha is right more often than beta" in table


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("alpha", "bta"), "nothing is named 'bta'"),
        (("alpha", "betta"), "did you mean 'beta'?"),
        (("alpha", "alpha"), "on both sides"),
        (("alpha", "clean"), "'alpha' is a codec and 'clean' a level: name two of a kind"),
        (("alpha", "beta", "--task", "nedle"), "no trial has task 'nedle'; did you mean 'needle'?"),
        (("alpha", "beta", "--bucket", "7"), "no trial has bucket 7; known: [128]"),
        (("alpha", "beta", "--measure", "f2"), "no score 'f2'"),
        (("alpha", "beta", "--margin", "wide"), "expected a difference"),
        (("a' OR 1=1 --", "beta"), "nothing is named"),
    ],
)
def test_mistakes_are_told_in_one_line(put, args, words):
    """What was wrong and what there is, exit code 2."""
    path = put(rows("alpha", [True] * 3), rows("beta", [False] * 3, 100))
    message = call(*args, "--store", path, exit_code=2).stderr
    assert words in message
    assert len(message.strip().splitlines()) == 1


def test_a_score_by_name(put):
    """``--measure`` compares a score of the table ``scores``; a lower one may be the better, so no side is called right."""
    path = put(rows("alpha", [True] * 3), rows("beta", [False] * 3, 100))
    found = json.loads(call("alpha", "beta", "--store", path, "--measure", "hit", "--json").stdout)["differences"]
    assert [(row["measure"], row["a"], row["b"]) for row in found] == [("hit", 1.0, 1.0)]
