"""What is stored comes back as it was, once, and a batch is stored whole or not at all."""

from __future__ import annotations

import datetime
import json

import attrs
import pytest
from store_records import STARTED, failure, page_row, run_record, score_row, trial

from ctxbench import StoreError
from ctxbench.results import PageRow, RunRecord, ScoreRow, TrialResult
from ctxbench.store import Store


def one(store, sql: str):
    ((value,),) = store.query(sql).rows
    return value


def test_every_field_of_a_trial_is_a_column_and_comes_back(store):
    """A column filled from another field, a lost NULL or a rounded number shows here."""
    told = {}
    for i, field in enumerate(attrs.fields(TrialResult)):
        kind = str(field.type)
        if field.name in ("scores", "pages", "status"):
            continue
        if "dict" in kind:
            told[field.name] = {"number": i, "text": f"値 {i}"}
        elif "bool" in kind:
            told[field.name] = bool(i % 2)
        elif "float" in kind:
            told[field.name] = i + 1 / 3
        elif "int" in kind:
            told[field.name] = 2**62 + i
        else:
            told[field.name] = f"{field.name} {i}"
    before = datetime.datetime.now(datetime.UTC)
    store.append("r1", [TrialResult(**told, status="ok")])
    after = datetime.datetime.now(datetime.UTC)
    table = store.query("SELECT * FROM trials")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    for name, value in told.items():
        assert (json.loads(row[name]) if isinstance(value, dict) else row[name]) == value, name
    assert row["run_id"] == "r1"
    second = datetime.timedelta(seconds=1)  # of the two clocks, whatever they round to
    assert before - second <= row["created_at"] <= after + second


@pytest.mark.parametrize(
    ("table", "record", "extra"),
    [
        ("trials", TrialResult, {"run_id", "created_at"}),
        ("scores", ScoreRow, {"trial_id", "created_at"}),
        ("pages", PageRow, {"trial_id", "created_at"}),
        ("runs", RunRecord, {"status", "finished_at", "finished", "errors", "spent_usd", "idle_share"}),
    ],
)
def test_tables_and_records_have_the_same_columns(store, table, record, extra):
    """A field that is added to a record needs a migration that adds its column, of the type that holds it."""
    fields = {field.name: str(field.type) for field in attrs.fields(record) if field.name not in ("scores", "pages")}
    columns = {row[0]: row[1] for row in store.query(f"DESCRIBE {table}").rows}
    assert set(columns) == set(fields) | extra, "add a migration in core/src/ctxbench/store/sql"
    wanted = {"dict": "JSON", "bool": "BOOLEAN", "float": "DOUBLE", "int": "BIGINT", "datetime": "TIMESTAMP WITH TIME ZONE"}
    for name, kind in fields.items():
        found = next((column for word, column in wanted.items() if word in kind), "VARCHAR")
        assert columns[name] == found, name


def test_children_follow_their_trial(store):
    """Scores and pages are stored under the trial they belong to, with all their values."""
    pages = (page_row(0, "aa" * 32), page_row(1, "bb" * 32, budget_scaled=True))
    scores = (score_row(value=0.25, extraction="fence"), score_row(name="other", higher_is_better=False))
    store.append("r1", [trial(1), trial(2, pages=pages, scores=scores), trial(3, pages=(), scores=())])
    found = store.query("SELECT trial_id, page, sha256, budget_scaled, resize_factor, path FROM pages ORDER BY ALL").rows
    assert found == [
        (trial(1).trial_id, 0, "ab" * 32, False, 0.9503, None),
        (trial(2).trial_id, 0, "aa" * 32, False, 0.9503, None),
        (trial(2).trial_id, 1, "bb" * 32, True, 0.9503, None),
    ]
    found = store.query("SELECT metric, metric_version, name, value, higher_is_better, extraction FROM scores ORDER BY trial_id, name").rows
    assert found == [
        ("hit", "1", "hit", 1.0, True, None),
        ("hit", "1", "hit", 0.25, True, "fence"),
        ("hit", "1", "other", 1.0, False, None),
    ]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\x00b\x1b[31m\r\n\t", "a\x00b\x1b[31m\r\n\t"),
        ("\ud83d\ude00", "😀"),
        ("x\udc00y", "x\ufffdy"),
        ("שלום 👩‍👩‍👧 世界", "שלום 👩‍👩‍👧 世界"),
        ("'; DROP TABLE trials; --", "'; DROP TABLE trials; --"),
        ("", ""),
    ],
)
def test_whatever_a_model_says_can_be_stored(store, said, kept):
    """Control characters come back as they were; what UTF-8 cannot hold does not lose the batch."""
    store.append("r1", [trial(1), trial(2, prediction=said, sample_metadata={"said": said})])
    assert one(store, f"SELECT prediction FROM trials WHERE trial_id = '{trial(2).trial_id}'") == kept
    metadata = json.loads(one(store, f"SELECT sample_metadata FROM trials WHERE trial_id = '{trial(2).trial_id}'"))
    assert metadata["said"] == kept
    assert store.answers([trial(2).trial_id]) == {trial(2).trial_id: (kept, "stop")}


def test_metadata_that_json_cannot_express_does_not_lose_the_batch(store):
    """NaN becomes null, a numpy value a number, anything else its text."""
    import numpy as np

    metadata = {"nan": float("nan"), "np": np.float32(0.5), "array": np.arange(2), "tuple": (1, {2}), 3: object}
    store.append("r1", [trial(1, reading_metadata=metadata)])
    found = json.loads(one(store, "SELECT reading_metadata FROM trials"))
    assert found == {"nan": None, "np": 0.5, "array": [0, 1], "tuple": [1, [2]], "3": str(object)}
    assert one(store, "SELECT (reading_metadata->>'$.np')::DOUBLE FROM trials") == 0.5


def test_scores_may_be_nan_or_infinite(store):
    """A NaN is a value and not a NULL."""
    store.append("r1", [trial(1, score=float("nan"), scores=(score_row(value=float("nan")), score_row(name="i", value=float("-inf"))))])
    assert one(store, "SELECT isnan(score) FROM trials") is True
    assert store.query("SELECT isnan(value), isinf(value) FROM scores ORDER BY name").rows == [(True, False), (False, True)]


def test_nothing_is_stored_twice(store):
    """A trial that comes again, in the same batch or later, changes nothing, nor does an error that comes after a result."""
    store.append("r1", [trial(1), trial(1, prediction="other", scores=(score_row(name="new"),))])
    store.append("r1", [trial(1, prediction="third"), failure(1)], replace=True)
    assert store.query("SELECT prediction, status FROM trials").rows == [("7319", "ok")]
    assert store.query("SELECT name FROM scores").rows == [("hit",)]
    assert one(store, "SELECT count(*) FROM pages") == 1


def test_replace_rewrites_errors_only(store):
    """With ``replace`` an error gives way to what comes now, be it a result or another error; without it, it stays."""
    store.append("r1", [failure(1, scores=(score_row(name="old"),), pages=(page_row(5),)), failure(2), failure(3)])
    store.append("r1", [trial(1)])
    assert {key: row.status for key, row in store.stored([trial(1).trial_id]).items()} == {trial(1).trial_id: "error"}
    store.append("r1", [trial(1), failure(2, error_message="still no memory")], replace=True)
    found = store.query("SELECT status, error_message FROM trials ORDER BY trial_id").rows
    assert found == [("ok", None), ("error", "still no memory"), ("error", "no memory")]
    assert store.query("SELECT name FROM scores").rows == [("hit",)]
    assert store.query("SELECT page FROM pages").rows == [(0,)]


def test_a_batch_is_stored_whole_or_not_at_all(store):
    """A row that breaks a rule of the schema takes its batch with it, children too, and the store goes on."""
    store.append("r1", [trial(1)])
    with pytest.raises(StoreError, match="NOT NULL"):
        store.append("r1", [trial(2), trial(3, pages=(page_row(sha256=None),))])
    assert store.query("SELECT count(*), (SELECT count(*) FROM scores), (SELECT count(*) FROM pages) FROM trials").rows == [(1, 1, 1)]
    store.append("r1", [trial(2)])
    assert one(store, "SELECT count(*) FROM trials") == 2


@pytest.mark.parametrize("twice", [{"scores": (score_row(), score_row(value=0.0))}, {"pages": (page_row(0), page_row(0, width=1))}])
def test_two_rows_with_one_key_are_refused(store, twice):
    """No index finds them: two scores of one name, or two pages in one place, would be counted twice in every mean."""
    store.append("r1", [trial(1)])
    with pytest.raises(StoreError, match=r"two (scores|pages) are for the same trial_id 0*2, .*; none was stored"):
        store.append("r1", [trial(3), trial(2, **twice)])
    assert store.query("SELECT count(*), (SELECT count(*) FROM scores), (SELECT count(*) FROM pages) FROM trials").rows == [(1, 1, 1)]
    with pytest.raises(StoreError, match="two scores are for the same"):
        store.append_scores({trial(1).trial_id: [score_row(name="n"), score_row(name="n")]})
    assert one(store, "SELECT count(*) FROM scores") == 1


def test_a_writer_has_bounded_memory(store):
    """What was written stays in DuckDB's cache up to its limit, which would be four fifths of the machine."""
    number, unit = one(store, "SELECT current_setting('memory_limit')").split()
    assert float(number) * {"MiB": 1, "GiB": 1024}[unit] <= 1024


def test_lookups_take_many_ids(store):
    """A hundred thousand ids, most of them unknown, some twice, are one query."""
    store.append("r1", [trial(1), failure(2), trial(3, scores=()), trial(4, prediction=None)])
    ids = [f"{i:032x}" for i in range(100_000)] * 2
    assert {key: row.status for key, row in store.stored(ids).items()} == {f"{i:032x}": "error" if i == 2 else "ok" for i in (1, 2, 3, 4)}
    hit = {("hit", "1")}
    assert store.stored_scores(ids) == {f"{1:032x}": hit, f"{2:032x}": set(), f"{3:032x}": set(), f"{4:032x}": hit}
    assert store.answers(iter(ids)) == {f"{1:032x}": ("7319", "stop"), f"{3:032x}": ("7319", "stop")}
    assert store.stored([]) == {}


def test_scores_are_added_to_stored_trials(store):
    """Rescoring adds what is missing, in its own version, and leaves what is there."""
    store.append("r1", [trial(1), trial(2)])
    more = [score_row(metric_version="2", value=0.5), score_row(value=0.0), score_row(metric="len", name="len", value=3.0)]
    store.append_scores({trial(1).trial_id: more, trial(2).trial_id: []})
    assert store.stored_scores([trial(1).trial_id]) == {trial(1).trial_id: {("hit", "1"), ("hit", "2"), ("len", "1")}}
    assert store.query("SELECT value FROM scores WHERE metric = 'hit' ORDER BY trial_id, metric_version").rows == [(1.0,), (0.5,), (1.0,)]


def test_a_run_tells_how_it_ended(store):
    """Start, end, counts and provenance of a run come back; a status that is no ending is refused."""
    assert one(store, "SELECT status FROM runs") == "running"
    with pytest.raises(StoreError, match="not 'done'"):
        store.finish_run("r1", "done", {})
    store.finish_run("r1", "failed", {"finished": 5, "errors": 2})
    table = store.query("SELECT started_at, status, finished, errors, config->>'$.samples', seed, git_revision FROM runs")
    assert table.rows == [(STARTED, "failed", 5, 2, "2", 7, None)]
    assert one(store, "SELECT finished_at > started_at - INTERVAL 100 YEAR FROM runs") is True


def test_a_run_whose_process_died_is_not_running(store):
    """The next one to open the store for writing finds it interrupted, and others as they were."""
    store.start_run(run_record(run_id="r2"))
    store.finish_run("r2", "finished", {})
    store.close()
    with Store.open(store.path) as again:
        assert again.query("SELECT run_id, status FROM runs ORDER BY run_id").rows == [("r1", "interrupted"), ("r2", "finished")]


def test_frames_and_arrow(store):
    """A view's name or SQL as pandas and Arrow; column types survive."""
    store.append("r1", [trial(1), trial(2, adapter="a", bucket=64)])
    frame = store.df("SELECT trial_id, bucket, adapter, created_at, correct FROM results ORDER BY bucket")
    assert list(frame["bucket"]) == [64, 128]
    assert frame["adapter"].isna().tolist() == [False, True]
    assert str(frame["created_at"].dtype).endswith("UTC]")
    assert store.df("results").shape[0] == 2
    table = store.arrow("summary")
    assert sorted(table.column("n").to_pylist()) == [1, 1]
    assert store.query("SELECT 1").rows == [(1,)]


def test_a_closed_or_read_only_store_says_so(store):
    """Writing into a store that is open for reading is one clear error."""
    store.close()
    store.close()
    with Store.open_read_only(store.path) as reader, pytest.raises(StoreError, match="opened read-only"):
        reader.append("r1", [trial(1)])
    with pytest.raises(StoreError, match="all, failures, none, got 'some'"):
        Store.open(store.path, images="some")
