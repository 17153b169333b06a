"""Export, merge, verify and page images."""

from __future__ import annotations

import csv
import io
import json
import re

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from store_records import failure, page_row, run_record, score_row, trial

from ctxbench import QueryError, StoreError
from ctxbench.images import page_sha256
from ctxbench.store import Store, image_folder
from ctxbench.store.export import export
from ctxbench.store.merge import Merged, merge
from ctxbench.store.verify import verify

ALL = "SELECT * FROM {} ORDER BY ALL"


def page(color: str) -> tuple[Image.Image, str]:
    image = Image.new("RGB", (30, 20), color)
    return image, page_sha256(image)


def with_image(number: int, color: str, **changes):
    image, sha = page(color)
    return trial(number, pages=(page_row(sha256=sha),), **changes), [image]


@pytest.fixture
def filled(tmp_path):
    """A store with images, odd values and an error; closed."""
    with Store.open(tmp_path / "a.duckdb", images="all") as store:
        store.start_run(run_record())
        red, images = with_image(1, "red", prediction='say "hi",\r\nbye\x00', sample_metadata={"depth": 0.5})
        rows = [store.keep_images(red, images), store.keep_images(*with_image(2, "blue", adapter="")), failure(3)]
        store.append("r1", [*rows, trial(4, score=float("nan"), scores=(score_row(value=0.1 + 0.2),))])
        store.finish_run("r1", "finished", {"finished": 4, "errors": 1})
    return store.path


def contents(path) -> dict[str, list]:
    with Store.open_read_only(path) as store:
        found = {name: store.query(ALL.format(name)).rows for name in ("runs", "trials", "scores", "pages")}
    return {name: [tuple("nan" if value != value else value for value in row) for row in rows] for name, rows in found.items()}


def test_parquet_round_trip(filled, tmp_path):
    """Export to Parquet and import into a new store gives the same four tables, but for images, which stay behind."""
    with Store.open_read_only(filled) as store:
        made = export(store, "parquet", tmp_path / "out")
    assert [(item.name, item.path.name, item.rows) for item in made] == [
        ("runs", "runs.parquet", 1),
        ("trials", "trials.parquet", 4),
        ("scores", "scores.parquet", 3),
        ("pages", "pages.parquet", 3),
    ]
    with Store.open(tmp_path / "b.duckdb") as store:
        assert merge(store, tmp_path / "out") == Merged(runs=1, trials=4, replaced=0, scores=3, pages=3)
        assert merge(store, tmp_path / "out") == Merged(runs=0, trials=0, replaced=0, scores=0, pages=0)
        assert store.query("SELECT count(hit) FROM results").rows == [(3,)]
    old, new = contents(filled), contents(tmp_path / "b.duckdb")
    assert [row[:-2] for row in new.pop("pages")] == [row[:-2] for row in old.pop("pages")]
    assert new == old


def test_csv_is_exact(filled, tmp_path):
    """Quotes, line ends, NUL, empty text against NULL, and floats survive; Python's csv reads them back."""
    with Store.open_read_only(filled) as store:
        export(store, "csv", tmp_path / "trials.csv", ["trials"])
        export(store, "csv", tmp_path / "folder", ["scores", "summary"])
    data = (tmp_path / "trials.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(data.replace("\x00", "<NUL>"), newline="")))
    assert rows[0]["prediction"] == 'say "hi",\r\nbye<NUL>'
    assert json.loads(rows[0]["sample_metadata"]) == {"depth": 0.5}
    assert rows[0]["created_at"].endswith("+00:00")
    lines = data.split("\n")
    assert ',"",' in lines[3]  # the empty adapter of trial 2, next to NULLs without quotes
    scores = (tmp_path / "folder" / "scores.csv").read_text("utf-8")
    assert "0.30000000000000004" in scores
    assert (tmp_path / "folder" / "summary.csv").read_text("utf-8").startswith("model,adapter,task,")


def test_jsonl_is_exact(filled, tmp_path):
    """One object a line; JSON columns are objects, NaN is null, times are ISO 8601."""
    with Store.open_read_only(filled) as store:
        export(store, "jsonl", tmp_path / "out", ["trials", "scores"])
    rows = [json.loads(line) for line in (tmp_path / "out" / "trials.jsonl").read_bytes().decode().splitlines()]
    by_index = {row["sample_index"]: row for row in rows}
    assert by_index[1]["prediction"] == 'say "hi",\r\nbye\x00'
    assert by_index[1]["codec_config"] == {"cell": 4}
    assert by_index[4]["score"] is None
    assert by_index[1]["sample_seed"] == 2**63 - 2
    assert 0.1 + 0.2 in [json.loads(line)["value"] for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]


def test_where_an_export_cannot_go(filled, tmp_path):
    """Several tables into one file, a file where a folder must be, unknown names: one error and nothing is left behind."""
    (tmp_path / "file").write_text("x")
    with Store.open_read_only(filled) as store:
        for kind, output, names, kind_of_error, message in (
            ("csv", "x.csv", ["runs", "trials"], StoreError, "is one file, but 2 tables"),
            ("csv", "file", [], StoreError, "is a file that does not end in .csv"),
            ("csv", "file/deeper", [], StoreError, "Not a directory"),
            ("xml", "out", [], StoreError, "parquet, csv, jsonl, got 'xml'"),
            ("jsonl", "new/x.jsonl", ["nope"], QueryError, "no table or view 'nope'"),
            ("jsonl", "x.jsonl", ["SELECT 1"], StoreError, "not the name of a table"),
        ):
            with pytest.raises(kind_of_error, match=message):
                export(store, kind, tmp_path / output, names)
    assert (tmp_path / "file").read_text() == "x"
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.jsonl"))


def test_merging_stores(filled, tmp_path):
    """New trials come with scores, pages and images; a result replaces an error; scores join only the same prediction."""
    with Store.open(tmp_path / "b.duckdb") as store:
        store.start_run(run_record(run_id="r2"))
        same = trial(4, score=float("nan"), scores=(score_row(metric="len", name="len", value=4.0),))
        store.append("r2", [failure(1), trial(2, prediction="something else", scores=()), trial(3, prediction="we got it"), same, trial(5)])
        assert merge(store, filled) == Merged(runs=1, trials=1, replaced=1, scores=2, pages=1)
        rows = store.query("SELECT sample_index, run_id, status, hit, len FROM results ORDER BY 1").rows
        assert rows == [
            (1, "r1", "ok", 1.0, None),
            (2, "r2", "ok", None, None),
            (3, "r2", "ok", 1.0, None),
            (4, "r2", "ok", 0.1 + 0.2, 4.0),
            (5, "r2", "ok", 1.0, None),
        ]
        sha = page("red")[1]
        assert store.query("SELECT path FROM pages WHERE path IS NOT NULL").rows == [(f"{sha[:2]}/{sha}.png",)]
        files = [file for file in image_folder(store.path).rglob("*") if file.is_file()]
        assert files == [image_folder(store.path) / sha[:2] / f"{sha}.png"]  # none of trials that stayed as they were
        with Image.open(files[0]) as image:
            assert page_sha256(image) == sha
        assert [problem for problem in verify(store) if "carrier" not in problem] == []


def test_a_result_replaces_an_error_with_all_that_it_left(filled, tmp_path):
    """An error after encoding has pages, and one between two metrics has scores: none of them may stay with the result."""
    with Store.open(tmp_path / "b.duckdb") as store:
        left = (score_row(metric="len", name="len", value=4.0), score_row(value=0.0))
        store.append("r2", [failure(1, pages=(page_row(0), page_row(1)), scores=left)])
        assert merge(store, filled).replaced == 1
        of_it = f"WHERE trial_id = '{trial(1).trial_id}'"
        assert store.query(f"SELECT metric, value FROM scores {of_it}").rows == [("hit", 1.0)]
        assert store.query(f"SELECT page, sha256 FROM pages {of_it}").rows == [(0, page("red")[1])]


def test_what_cannot_be_merged(filled, tmp_path):
    """The store itself, a missing file, a lone Parquet file, broken, foreign or newer Parquet: one error, nothing changed."""
    with Store.open_read_only(filled) as store:
        export(store, "parquet", tmp_path / "good")
    (tmp_path / "empty").mkdir()
    made = {}
    for name in ("broken", "nested", "strange", "lacking", "newer", "double", "scored"):
        made[name] = tmp_path / name
        with Store.open_read_only(filled) as store:
            export(store, "parquet", made[name])
    trials = pq.read_table(tmp_path / "good" / "trials.parquet")
    (made["broken"] / "trials.parquet").write_bytes(b"PAR1 nothing")
    (made["nested"] / "trials.parquet").unlink()
    (made["nested"] / "trials.parquet").mkdir()
    pq.write_table(trials.append_column("mood", trials.column("codec")), made["strange"] / "trials.parquet")
    pq.write_table(trials.drop_columns(["codec"]), made["lacking"] / "trials.parquet")
    pq.write_table(trials.replace_schema_metadata({b"ctxbench.schema_version": b"99"}), made["newer"] / "trials.parquet")
    pq.write_table(pa.concat_tables([trials, trials]), made["double"] / "trials.parquet")
    scores = pq.read_table(tmp_path / "good" / "scores.parquet")
    pq.write_table(pa.concat_tables([scores, scores]), made["scored"] / "scores.parquet")
    with Store.open(tmp_path / "b.duckdb") as store:
        for source, message in (
            (tmp_path / "b.duckdb", "is the store itself"),
            (tmp_path / "nope", "no such file or folder"),
            (tmp_path / "good" / "trials.parquet", "name the folder that holds runs.parquet"),
            (tmp_path / "empty", "runs.parquet: missing; make it with: ctxbench store export"),
            (made["broken"], "trials.parquet: not a readable Parquet file"),
            (made["nested"], "trials.parquet: not a readable Parquet file"),
            (made["strange"], "table trials has a column 'mood' that this ctxbench does not know"),
            (made["lacking"], "table trials lacks the column 'codec'"),
            (made["newer"], "schema version 99 is newer"),
            (made["double"], "[Dd]uplicate"),
            (made["scored"], "two scores are for the same trial_id"),
        ):
            with pytest.raises(StoreError, match=message) as error:
                merge(store, source)
            assert "\n" not in str(error.value)
        assert store.query("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM trials)").rows == [(0, 0)]


@pytest.mark.parametrize(("policy", "kept"), [("all", {"red", "blue", "green"}), ("failures", {"blue", "green"}), ("none", set())])
def test_which_images_are_kept(tmp_path, policy, kept):
    """Every page, those of trials that were not right, or none; the row has the path, the file the very pixels."""
    outcomes = {"red": "correct", "blue": "confabulated", "green": None}
    with Store.open(tmp_path / "s.duckdb", images=policy) as store:
        for number, (color, outcome) in enumerate(outcomes.items()):
            result, images = with_image(number, color, outcome=outcome)
            before = images[0].copy()
            row = store.keep_images(result, images)
            assert images[0] == before
            assert (row.pages[0].path is not None) == (color in kept)
            store.append("r1", [row])
        files = {str(file.relative_to(image_folder(store.path))) for file in image_folder(store.path).rglob("*.*")}
        assert files == {f"{page(color)[1][:2]}/{page(color)[1]}.png" for color in kept}
        assert {path for (path,) in store.query("SELECT path FROM pages WHERE path IS NOT NULL").rows} == files


def test_equal_pages_are_kept_once(tmp_path):
    """The second trial with the same pixels points to the first one's file, which is not written again."""
    with Store.open(tmp_path / "s.duckdb", images="all") as store:
        first = store.keep_images(*with_image(1, "red"))
        file = image_folder(store.path) / first.pages[0].path
        stamp = file.stat().st_mtime_ns
        assert store.keep_images(*with_image(2, "red")).pages[0].path == first.pages[0].path
        assert file.stat().st_mtime_ns == stamp
        with pytest.raises(ValueError, match="1 page rows and 2 page images"):
            store.keep_images(with_image(3, "red")[0], [page("red")[0]] * 2)


def test_a_whole_store_verifies(filled):
    """Nothing to report for what the writer made, ratios, images and odd values included."""
    with Store.open_read_only(filled) as store:
        assert verify(store) == []


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("DELETE FROM trials WHERE sample_index = 1", "scores: 1 rows of a trial that is not stored"),
        ("DELETE FROM trials WHERE sample_index = 1", "pages: 1 rows of a trial that is not stored"),
        ("DELETE FROM runs", "trials: 4 rows of a run that is not stored: run_id r1"),
        ("INSERT INTO scores FROM scores", "scores: 3 keys are there more than once"),
        ("INSERT INTO pages FROM pages LIMIT 1", "pages: 1 keys are there more than once"),
        ("UPDATE trials SET compression_ratio = 3 WHERE sample_index = 1", "compression_ratio is not reference_tokens / .*: 3.0, not 2.0"),
        ("UPDATE trials SET compression_ratio = NULL WHERE sample_index = 1", "compression_ratio is not .*: None, not 2.0"),
        ("UPDATE trials SET prompt_ratio = 9 WHERE sample_index = 1", "prompt_ratio is not"),
        ("UPDATE trials SET carrier_visual_tokens = 51 WHERE sample_index = 1", "carrier_tokens is not carrier_text_tokens"),
        ("UPDATE trials SET n_pages = 2 WHERE sample_index = 1", "n_pages is not the number of rows in pages"),
        ("UPDATE trials SET error_type = 'E' WHERE sample_index = 1", "status and error_type contradict"),
        ("UPDATE schema_migrations SET checksum = 'x'", "migration 1 .* applied in another form"),
        ("UPDATE pages SET path = '../../etc/passwd' WHERE path IS NOT NULL", "path does not follow from its hash"),
    ],
)
def test_verify_finds_what_is_wrong(filled, sql, problem):
    """Each kind of damage is reported as itself."""
    with duckdb.connect(str(filled)) as connection:
        connection.execute(sql)
    with Store.open_read_only(filled) as store:
        found = verify(store)
    assert any(re.search(problem, line) for line in found), found


def test_verify_finds_missing_and_changed_images(filled):
    """A page file that is gone, is no image, or has other pixels."""
    folder = image_folder(filled)
    red, blue = (folder / sha[:2] / f"{sha}.png" for _, sha in (page("red"), page("blue")))
    red.unlink()
    Image.new("RGB", (30, 20), "black").save(blue)
    with Store.open_read_only(filled) as store:
        found = verify(store)
        blue.write_bytes(blue.read_bytes()[:50])
        later = verify(store)
    assert len(found) == 2
    assert any(red.name in line and line.endswith("missing") for line in found)
    assert any(blue.name in line and "pixels do not match" in line for line in found)
    assert any(blue.name in line and "not a readable image" in line for line in later)


def test_verify_lists_twenty_and_counts_the_rest(store):
    """A store with thousands of wrong rows gives a list that can be read."""
    store.append("r1", [trial(i, compression_ratio=7.0) for i in range(50)])
    found = verify(store)
    assert len(found) == 21
    assert found[-1].endswith("and 30 more")
