"""SQL from outside can read the store and nothing else, and its mistakes are one line."""

from __future__ import annotations

import shutil

import pytest
from store_records import run_record, trial

from ctxbench import QueryError
from ctxbench.store import Store, Table, connection


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with three trials; closed."""
    path = tmp_path_factory.mktemp("made") / "s.duckdb"
    with Store.open(path) as store:
        store.start_run(run_record())
        store.append("r1", [trial(i) for i in range(3)])
    return path


@pytest.fixture
def reader(made, tmp_path):
    """A copy of it, open for reading, in a folder with a file that must stay secret."""
    shutil.copy(made, tmp_path / "s.duckdb")
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    with Store.open_read_only(tmp_path / "s.duckdb") as opened:
        yield opened


def snapshot(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


READS_OR_WRITES_FILES = [
    "SELECT * FROM read_csv('{folder}/secret.csv')",
    "SELECT * FROM '{folder}/secret.csv'",
    "FROM read_text('{folder}/secret.csv')",
    "FROM read_blob('{store}')",
    "FROM read_duckdb('{store}')",
    "FROM read_json('{folder}/secret.csv')",
    "FROM read_parquet('{folder}/x.parquet')",
    "FROM glob('{folder}/*')",
    "FROM sniff_csv('{folder}/secret.csv')",
    "SELECT * FROM query('FROM read_text(''{folder}/secret.csv'')')",
    "COPY trials TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{store}'",
    "COPY (SELECT 1) TO '{store}.wal'",
    "COPY trials FROM '{folder}/secret.csv'",
    "WITH x AS (COPY (SELECT 1) TO '{store}.wal') FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{store}') FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{store}.tmp/x') FROM x",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}.wal'",
    "EXPORT DATABASE '{folder}/dump'",
    "IMPORT DATABASE '{folder}/dump'",
    "ATTACH '{folder}/other.duckdb'",
    "ATTACH ':memory:' AS m",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
    "FROM 'https://example.com/x.csv'",
    "FROM read_csv('https://example.com/x.csv')",
    "CREATE SECRET s (TYPE s3)",
    "CALL enable_logging(storage = 'file', storage_path = '{folder}/logs')",
    "FROM enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/logs')",
]
CHANGES_SOMETHING = [
    "DROP TABLE trials",
    "DELETE FROM trials",
    "UPDATE trials SET score = 1",
    "INSERT INTO trials SELECT * FROM trials",
    "WITH gone AS (DELETE FROM trials RETURNING *) FROM gone",
    "CREATE TABLE t (a INTEGER)",
    "CREATE TEMP TABLE t (a INTEGER)",
    "CREATE MACRO f(x) AS x",
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "SET disabled_filesystems = ''",
    "SET memory_limit = '1TB'",
    "RESET memory_limit",
    "PRAGMA memory_limit = '1TB'",
    "PRAGMA enable_profiling",
    "USE memory",
    "DETACH s",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "SELECT 1; DROP TABLE trials",
]


@pytest.mark.parametrize("sql", READS_OR_WRITES_FILES + CHANGES_SOMETHING)
def test_no_query_leaves_the_store(reader, sql):
    """Each fails with one line, and no byte of any file changes; the store can still be asked."""
    folder = reader.path.parent
    before = snapshot(folder)
    with pytest.raises(QueryError) as error:
        list(reader.rows(sql.format(folder=folder, store=reader.path)))
    assert "\n" not in str(error.value)
    assert "1,2" not in str(error.value)
    assert snapshot(folder) == before
    assert reader.query("SELECT count(*) FROM trials").rows == [(3,)]
    reader.close()
    assert snapshot(folder) == before


def test_python_variables_are_not_tables(reader):
    """A name in the SQL never means an object of the program."""
    import pyarrow as pa

    passwords = pa.table({"a": ["hunter2"]})
    with pytest.raises(QueryError, match="passwords"):
        reader.query("SELECT * FROM passwords")
    assert passwords.num_rows == 1


def test_a_query_has_bounded_memory_and_no_disk(reader, monkeypatch):
    """What does not fit is one error with advice, and nothing is spilled beside the store."""
    ((limit,),) = reader.query("SELECT current_setting('memory_limit')").rows
    assert limit.endswith("GiB")
    assert float(limit.split()[0]) <= 4
    reader.close()
    before = sorted(reader.path.parent.iterdir())
    monkeypatch.setattr(connection, "MAX_QUERY_MEMORY", 64 << 20)
    with Store.open_read_only(reader.path) as small, pytest.raises(QueryError, match="needs more memory than it may use"):
        small.query("SELECT a || repeat('x', 10000) AS s FROM range(100000) t(a) ORDER BY s DESC, a")
    assert sorted(reader.path.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT modle FROM trials", '"modle" not found.*"model"'),
        ("SELECT * FROM trails", 'trails does not exist! Did you mean "trials"'),
        ("trails", "no table or view 'trails'; there are: attribution, costs, errors, frontier, pages, prior_gap, ratios, results"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT count(* FROM trials", "syntax error"),
        ("SELECT 'a'::INT", "Could not convert string 'a'"),
        ("", "the query is empty"),
        ("-- nothing", "the query is empty"),
        ("SELECT 1; SELECT 2", "one statement at a time, got 2"),
        ("DROP VIEW results", "only reading is possible here .*, not DROP"),
    ],
)
def test_mistakes_are_one_line_with_a_hint(reader, sql, message):
    """DuckDB's nearest names survive, its multi-line excerpt does not."""
    with pytest.raises(QueryError, match=message) as error:
        reader.query(sql)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sql", "columns", "row"),
    [
        ("trials", None, None),
        ("Summary", None, None),
        ("FROM scores LIMIT 1", None, None),
        ("SELECT 1 AS a, 2 AS a, 3 AS a;", ["a", "a_1", "a_2"], (1, 2, 3)),
        ("VALUES (1, NULL, 'x')", None, (1, None, "x")),
        ("DESCRIBE runs", None, ("run_id", "VARCHAR", "NO", "PRI", None, None)),
        ("WITH t AS (SELECT count(*) AS n FROM trials) FROM t", ["n"], (3,)),
        (
            "PIVOT (SELECT codec, augmentation, score FROM trials) ON augmentation USING count(*)",
            ["codec", "score", "clean"],
            ("codebook", 1.0, 3),
        ),
        ("SELECT sum(bucket) AS s FROM trials", ["s"], (384,)),
    ],
)
def test_reading_in_all_its_forms(reader, sql, columns, row):
    """Names of tables and views in any case, and every statement that only reads."""
    rows = reader.rows(sql)
    table = Table(rows.columns, rows.types, list(rows))
    assert len(table.columns) == len(table.types) == len(table.rows[0])
    assert columns in (None, table.columns)
    assert row in (None, table.rows[0])


def test_timestamps_are_in_utc(made, python, monkeypatch):
    """Whatever the machine's time zone, and on a second connection of the same process too."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    code = """
sql = "SELECT started_at, strftime(TIMESTAMPTZ '2031-04-01 12:00:00+02', '%H') FROM runs"
with Store.open_read_only(sys.argv[1]) as one, Store.open_read_only(sys.argv[1]) as two:
    for store in (one, two):
        ((started, hour),) = store.query(sql).rows
        print(started.isoformat(), hour)
"""
    assert python(code, made).communicate()[0] == "2031-04-01T12:30:15.250000+00:00 10\n" * 2


def test_a_stream_can_be_left_early(reader):
    """A result that is not read to its end does not block the next question."""
    first = next(iter(reader.rows("SELECT * FROM range(1000000)")))
    assert first == (0,)
    assert reader.query("SELECT count(*) FROM trials").rows == [(3,)]
    assert len(list(reader.rows("SELECT * FROM range(10000)"))) == 10_000


def test_the_writer_only_reads_in_queries(store):
    """``query`` of a store open for writing takes no statement that writes either."""
    for sql in ("DELETE FROM runs", "COPY runs TO 'x.csv'", "EXPLAIN ANALYZE DELETE FROM runs", "SET threads = 1"):
        with pytest.raises(QueryError, match="only reading"):
            store.query(sql)
    assert store.query("SELECT count(*) FROM runs").rows == [(1,)]
