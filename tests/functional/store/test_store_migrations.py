"""Stores of other versions: older ones are brought up to date with their rows, newer and foreign ones are refused untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from store_records import run_record, trial

from ctxbench import StoreError
from ctxbench.store import Store, migrations
from ctxbench.store.migrations import MIGRATIONS, Migration

NEXT = Migration(
    MIGRATIONS[-1].version + 1,
    "next",
    "ALTER TABLE trials ADD COLUMN mood VARCHAR DEFAULT 'calm'; CREATE TABLE extra AS SELECT count(*) AS n FROM trials;",
)


def version_1(path) -> None:
    """A store as the first release made it: its tables by its migration, rows by plain SQL, views by nobody."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(migrations.LEDGER)
        connection.execute(MIGRATIONS[0].sql)
        connection.execute("INSERT INTO schema_migrations VALUES (1, 'tables', ?, now())", [MIGRATIONS[0].checksum])
        connection.execute(
            """INSERT INTO runs BY NAME SELECT 'r0' AS run_id, 'old' AS name, 'h' AS config_hash, '{}' AS config, 1 AS seed,
            '' AS command, now() AS started_at, '0.1.0' AS ctxbench_version, '{}' AS versions, '3.11' AS python, 'Linux' AS platform,
            4 AS planned, 'finished' AS status, 4 AS finished, 1 AS errors"""
        )
        connection.execute(
            """INSERT INTO trials BY NAME SELECT 'old' || i AS trial_id, 'r0' AS run_id, now() AS created_at, 'channel' AS model,
            '{}' AS model_config, '' AS model_fingerprint, '' AS adapter_fingerprint, 'needle' AS task, '{}' AS task_config,
            64 AS bucket, 'en' AS language, i AS sample_index, i AS sample_seed, 'text' AS codec, '{}' AS codec_config,
            'clean' AS augmentation, '{}' AS augmentation_config, i AS augmentation_seed, 'ok' AS status,
            if(i < 3, 'correct', 'abstained') AS outcome, 64 AS carrier_tokens, '{}' AS sample_metadata, '{}' AS reading_metadata
            FROM range(4) t(i)"""
        )
        connection.execute("INSERT INTO scores SELECT 'old' || i, 'hit', '1', 'hit', i / 4, TRUE, NULL, now() FROM range(4) t(i)")


def test_the_first_migration_is_never_edited():
    """Its checksum is recorded in every store; another text would make two kinds of version 1."""
    assert (MIGRATIONS[0].version, MIGRATIONS[0].name) == (1, "tables")
    assert MIGRATIONS[0].checksum == "d8ec137dfa266f65abed681953698b0ea198e5af7c62f59e74352634e68c3935", (
        "add a migration instead; this one may have been released"
    )


def test_a_version_1_store_is_migrated_with_its_rows(tmp_path, monkeypatch):
    """Every later migration runs once, in order; rows and scores are all there and every view works on them."""
    path = tmp_path / "old.duckdb"
    version_1(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, NEXT))
    with pytest.raises(
        StoreError, match=rf"schema version 1, this ctxbench reads {NEXT.version}; run: ctxbench store upgrade --store {path}"
    ):
        Store.open_read_only(path)
    with Store.open(path) as store:
        assert store.query("SELECT count(*), count(DISTINCT mood) FROM trials").rows == [(4, 1)]
        assert store.query("SELECT n FROM extra").rows == [(4,)]
        assert store.query("SELECT trial_id, hit, correct, run_name FROM results ORDER BY hit DESC LIMIT 1").rows == [
            ("old3", 0.75, False, "old")
        ]
        assert store.query("SELECT n, accuracy FROM summary").rows == [(4, 0.75)]
        store.append("r0", [trial(1)])
        assert store.query("SELECT count(*) FROM results").rows == [(5,)]
    with Store.open(path) as store:
        done = store.query("SELECT version, name, checksum, applied_at IS NOT NULL FROM schema_migrations ORDER BY version").rows
        assert done == [(m.version, m.name, m.checksum, True) for m in migrations.MIGRATIONS]
    with Store.open_read_only(path) as store:
        assert store.query("SELECT mood FROM trials WHERE trial_id = 'old1'").rows == [("calm",)]


def test_a_migration_that_fails_leaves_no_trace(tmp_path, monkeypatch):
    """Half of a migration is not applied; the store still opens with the version it had."""
    path = tmp_path / "s.duckdb"
    version_1(path)
    broken = Migration(NEXT.version, "broken", "ALTER TABLE trials ADD COLUMN half BIGINT; SELECT * FROM no_such_table;")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(StoreError, match=rf"no_such_table.*\(migration {NEXT.version}, broken\)"):
            Store.open(path)
    with Store.open(path) as store:
        assert "half" not in store.query("SELECT * FROM trials").columns
        assert store.query("SELECT count(*) FROM trials").rows == [(4,)]
        assert store.query("SELECT max(version) FROM schema_migrations").rows == [(MIGRATIONS[-1].version,)]


@pytest.mark.parametrize("opening", [Store.open, Store.open_read_only])
def test_a_newer_store_is_refused_and_not_touched(tmp_path, opening):
    """The error gives both versions and what to do; the file's bytes stay."""
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.start_run(run_record())
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'later', 'x', now())")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"schema version 99 is newer than this ctxbench, which knows .*pip install -U ctxbench"):
        opening(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("opening", [Store.open, Store.open_read_only])
def test_somebody_elses_database_is_refused_and_not_touched(tmp_path, opening):
    """A DuckDB file with other tables gets none of ours."""
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE invoices (a INTEGER)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a ctxbench store \(it has invoices\)"):
        opening(path)
    assert path.read_bytes() == before


def test_an_empty_database_becomes_a_store(tmp_path):
    """A DuckDB file without tables is as good as none."""
    path = tmp_path / "s.duckdb"
    duckdb.connect(str(path)).close()
    with Store.open(path) as store:
        assert store.query("SELECT count(*) FROM trials").rows == [(0,)]


FIXTURES = Path(__file__).parents[2] / "data" / "store"
LABELS = ("model", "task", "bucket", "codec", "augmentation")


def fixture_store(path: Path, version: int) -> Path:
    """A store as the program of schema ``version`` left it."""
    with duckdb.connect(str(path)) as connection:
        connection.execute((FIXTURES / f"schema-{version}.sql").read_text("utf-8"))
    return path


def told(store: Store, view: str, names: Sequence[str]) -> list[tuple]:
    return store.query(f"SELECT {', '.join((*LABELS, *names))} FROM {view} ORDER BY ALL").rows


def test_every_schema_version_has_a_store_that_is_kept():
    """A migration without the store that it starts from is never tried on real rows."""
    kept = sorted(file.name for file in FIXTURES.glob("*.sql"))
    assert kept == [f"schema-{version}.sql" for version in range(1, migrations.latest() + 1)], (
        f"make the missing one with: python -m tools.store_fixture tests/data/store/schema-{migrations.latest()}.sql"
    )


@pytest.mark.parametrize("version", range(1, migrations.latest() + 1))
def test_views_of_a_migrated_store_say_what_they_said(tmp_path, version):
    """The same trials, stored by the program of each schema version: counts, rates, ratios, times and scores come out the same.

    What an early schema did not hold is not made up: before version 2 nothing said what the channel answered where it was not exact.
    """
    path = fixture_store(tmp_path / "old.duckdb", version)
    with Store.open(path) as store:
        assert [row[0] for row in store.query("SELECT version FROM schema_migrations ORDER BY 1").rows] == [m.version for m in MIGRATIONS]
        assert store.query("SELECT count(*), count(hit), sum(hit) FROM results").rows == [(16, 14, 9)]
        low, high = (pytest.approx(value, abs=1e-4) for value in (0.4093, 0.9285))
        text, render = "channel needle 128 text clean".split(), "channel needle 128 render clean".split()
        text[2] = render[2] = 128
        summary = told(store, "summary", ("n", "errors", "accuracy", "n_variants", "seed"))
        assert summary == [(*render, 8, 1, 3 / 8, 1, 7), (*text, 8, 1, 6 / 8, 1, 7)]
        assert told(store, "summary", ("accuracy_low", "accuracy_high"))[1][5:] == (low, high)
        costs = sum(40 + i for i in range(7))
        ratios = told(store, "summary", ("compression_ratio", "encoded_ratio", "n_counted", "carrier_tokens"))
        assert [row[5:] for row in ratios] == [pytest.approx((7 * 128 / costs, 7 * 128 / costs, 7, costs / 7)), (1.28, 1.28, 7, 100)]
        assert [row[5:] for row in told(store, "ratios", ("n_counted", "compression_ratio"))] == [
            (7, pytest.approx(7 * 128 / costs)),
            (7, 1.28),
        ]
        assert [row[5] for row in told(store, "frontier", ("n",))] == [8, 8]
        fates = ("correct", "lost_in_channel", "lost_in_reader", "unknown", "errors")
        lost = (0, 3 / 8) if version == 1 else (3 / 8, 0)
        assert [row[5:] for row in told(store, "attribution", fates)] == [
            (3 / 8, lost[0], 1 / 8, lost[1], 1 / 8),
            (6 / 8, 0, 0, 1 / 8, 1 / 8),
        ]
        assert [row[5:] for row in told(store, "costs", ("n_timed", "read_seconds", "cost_usd"))] == [(7, pytest.approx(0.8), None)] * 2
        assert [row[5:] for row in told(store, "trust", ("correct", "confabulated", "errors", "n_absent"))] == [(3, 4, 1, 0), (6, 1, 1, 0)]
        assert store.query("SELECT n, error_type, error_message FROM errors").rows == [(2, "RuntimeError", "no 'memory'")]
        assert store.query("SELECT status, planned, finished, spent_usd FROM runs").rows == [("finished", 16, 16, None)]
        assert store.query("SELECT question, prediction FROM trials WHERE trial_id LIKE '%06'").rows == [("What is it?\n漢字", "it's 1\n")]
    with Store.open_read_only(path) as store:
        assert store.query("SELECT count(*) FROM pages").rows == [(7,)]


def test_a_store_of_another_release_is_read_by_the_views_of_this_one(tmp_path):
    """The file is not written to; views that it lacks are there, and those that it has in another form are this release's."""
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.start_run(run_record())
        store.append("r1", [trial(i) for i in range(3)])
    with duckdb.connect(str(path)) as connection:
        connection.execute("DROP VIEW trust")
        connection.execute("CREATE OR REPLACE VIEW summary AS SELECT 'old' AS model, 99 AS n")  # loses the mark that says which they are
        connection.execute("COMMENT ON VIEW results IS 'ctxbench views of another release'")
    before = path.read_bytes()
    with Store.open_read_only(path) as store:
        for _ in range(2):
            assert store.query("SELECT n, accuracy FROM summary").rows == [(3, 1.0)]
            assert store.df("trust")["correct"].tolist() == [3]
            assert store.query("SELECT n FROM ratios JOIN summary USING (variant)").rows == [(3,)]
    assert path.read_bytes() == before
    with Store.open(path) as store:
        assert store.query("SELECT n FROM trust").rows == [(3,)]
    with Store.open_read_only(path) as store:
        assert store.database.views == []
