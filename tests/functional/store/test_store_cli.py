"""``ctxbench sql`` and ``ctxbench store`` as a user types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from store_records import failure, run_record, trial

from ctxbench.store import Store, migrations
from ctxbench_cli.main import cli

SCRIPT = Path(sys.executable).with_name("ctxbench")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works in a folder with a store under the default name."""
    monkeypatch.chdir(tmp_path)
    with Store.open("ctxbench.duckdb") as store:
        store.start_run(run_record())
        store.append("r1", [trial(1, prediction="a\nb\x1b[31m"), trial(2, adapter="NULL", prediction=""), failure(3)])
        store.finish_run("r1", "finished", {"finished": 3, "errors": 1})
    return tmp_path


def call(*args, exit_code: int = 0, stdin: str | None = None) -> tuple[str, str]:
    done = CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin)
    assert done.exit_code == exit_code, done.output
    return done.stdout, done.stderr


def test_a_table_is_aligned_and_complete():
    """NULL is told from an empty text, control characters are written out, numbers stand right, nothing is cut."""
    out, _ = call("sql", "SELECT sample_index AS i, adapter, prediction, score, repeat('x', 500) AS long FROM trials ORDER BY i")
    assert out.splitlines()[2:] == [
        "1   NULL      a\\nb\\u001b[31m     1.0   " + "x" * 500,
        "2   NULL                         1.0   " + "x" * 500,
        "3   NULL      NULL              NULL   " + "x" * 500,
    ]
    assert out.splitlines()[0].rstrip() == "i   adapter   prediction       score   long"
    assert set(out.splitlines()[1]) == {"─"}


def test_wide_characters_are_aligned():
    """Chinese takes two columns of a terminal."""
    out, _ = call("sql", "SELECT * FROM (VALUES ('世界', 1), ('ab', 22)) t(word, n)")
    assert out.splitlines()[2:] == ["世界    1", "ab     22"]


def test_json_formats_are_exact():
    """Types survive: big integers, floats, NaN as null, JSON columns as objects, lists, times in ISO 8601."""
    sql = """SELECT 9223372036854775807 AS big, 0.1::DOUBLE + 0.2 AS f, 'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS inf, NULL AS n, '' AS e,
        TIMESTAMPTZ '2031-04-01 12:00:00.5+00' AS t, DATE '2031-04-01' AS d, [1, NULL] AS l, {'a': 'x'} AS s, '{"k": [1]}'::JSON AS j,
        170141183460469231731687303715884105727::HUGEINT AS h, 1.10::DECIMAL(9,2) AS dec, '\\xAB'::BLOB AS b, '"' AS q, true AS yes"""
    expected = {
        "big": 9223372036854775807,
        "f": 0.30000000000000004,
        "nan": None,
        "inf": None,
        "n": None,
        "e": "",
        "t": "2031-04-01T12:00:00.500000+00:00",
        "d": "2031-04-01",
        "l": [1, None],
        "s": {"a": "x"},
        "j": {"k": [1]},
        "h": 170141183460469231731687303715884105727,
        "dec": 1.1,
        "b": "ab",
        "q": '"',
        "yes": True,
    }
    assert json.loads(call("sql", sql, "--format", "json")[0]) == [expected]
    assert json.loads(call("sql", sql, "--format", "jsonl")[0]) == expected
    out, _ = call("sql", "SELECT range AS i FROM range(3)", "--format", "json")
    assert json.loads(out) == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert json.loads(call("sql", "SELECT 1 WHERE false", "--format", "json")[0]) == []
    assert call("sql", "SELECT 1 WHERE false", "--format", "jsonl")[0] == ""


def test_csv_is_exact():
    """RFC 4180, an empty text quoted, NULL empty."""
    out, _ = call("sql", """SELECT 1 AS a, NULL AS b, '' AS c, 'x,"y"' AS "d,e", 0.1::DOUBLE AS f, true AS g""", "--format", "csv")
    assert out == 'a,b,c,"d,e",f,g\n1,,"","x,""y""",0.1,true\n'


def test_a_view_by_name_and_a_query_from_stdin():
    """``summary`` alone means all of it; ``-`` reads SQL."""
    assert json.loads(call("sql", "summary", "--format", "json")[0])[0]["task"] == "needle"
    assert json.loads(call("sql", "-", "--format", "json", stdin="SELECT count(*) AS n\nFROM trials")[0]) == [{"n": 3}]
    out, err = call("sql", "SELECT trial_id FROM trials WHERE false")
    assert (out.splitlines(), err) == (["trial_id", "────────"], "(no rows)\n")
    assert json.loads(call("sql", "errors", "--format", "json")[0])[0]["error_message"] == "no memory"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sql", "SELECT modle FROM trials"], 'Referenced column "modle" not found.*Candidate bindings: "model"'),
        (["sql", "COPY trials TO 'x.csv'"], "only reading is possible here"),
        (["sql", "FROM read_csv('/etc/passwd')"], "a query can read nothing but the store"),
        (["sql", "SELECT 1", "--store", "nope.duckdb"], "nope.duckdb: no such store; ctxbench run --store nope.duckdb makes one"),
        (["sql", "SELECT 1", "--store", "."], "is a directory; a store is one file"),
        (["store", "verify", "--store", "nope.duckdb"], "nope.duckdb: no such store"),
        (["store", "upgrade", "--store", "nope.duckdb"], "nope.duckdb: no such store"),
        (["store", "import", "nope", "--store", "new.duckdb"], "nope: no such file or folder"),
        (["store", "export", "runs", "trials", "-o", "x.parquet"], "is one file, but 2 tables"),
    ],
)
def test_errors_are_one_line(folder, args, message):
    """On stderr, exit code 1, no traceback, and no file is made."""
    before = sorted(folder.rglob("*"))
    out, err = call(*args, exit_code=1)
    assert out == ""
    assert re.fullmatch(f"error: .*{message}.*\n", err), err
    assert sorted(folder.rglob("*")) == before


def test_export_import_verify(folder):
    """The round trip through Parquet by commands; a second import adds nothing; verify finds a wrong figure."""
    out, _ = call("store", "export", "-o", "out")
    assert out.splitlines()[1] == f"{Path('out/trials.parquet')}: 3 rows"
    assert (
        "out: 3 trials added (0 in place of an error), 1 runs, 2 scores, 2 pages"
        in call("store", "import", "out", "--store", "b.duckdb")[0]
    )
    assert "0 trials added" in call("store", "import", "out", "ctxbench.duckdb", "--store", "b.duckdb")[0]
    assert call("store", "verify", "--store", "b.duckdb")[0] == "b.duckdb: whole; 1 runs, 3 trials, 2 scores, 2 pages\n"
    with duckdb.connect("b.duckdb") as connection:
        connection.execute("UPDATE trials SET compression_ratio = 9 WHERE sample_index = 1")
    out, err = call("store", "verify", "--store", "b.duckdb", exit_code=1)
    assert out.count("\n") == 1
    assert "compression_ratio is not reference_tokens" in out
    assert err == "error: b.duckdb: 1 problems in 1 runs, 3 trials, 2 scores, 2 pages\n"
    assert call("store", "upgrade", "--store", "b.duckdb")[0] == f"b.duckdb: schema version {migrations.latest()}\n"
    assert call("store", "export", "summary", "--format", "jsonl", "-o", "s.jsonl")[0] == "s.jsonl: 2 rows\n"
    assert sum(json.loads(line)["n"] for line in Path("s.jsonl").read_text("utf-8").splitlines()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
@pytest.mark.parametrize("kind", ["table", "csv", "json", "jsonl"])
def test_a_reader_that_goes_away_is_no_error(folder, kind):
    """``ctxbench sql ... | head -1`` ends quietly."""
    command = f"set -o pipefail; {SCRIPT} sql 'SELECT range FROM range(200000)' --format {kind} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert done.returncode == 0


def on_a_terminal(folder, columns: int, *args: str, **env: str) -> str:
    """Standard output of the command on a terminal of this width."""
    import pty

    main, terminal = pty.openpty()
    settings = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm", **env}
    process = subprocess.Popen([SCRIPT, *args], stdout=terminal, stderr=subprocess.DEVNULL, cwd=folder, env=settings)
    os.close(terminal)
    chunks = []
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(main)
    assert process.wait() == 0
    return b"".join(chunks).decode().replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_wide_row_on_a_narrow_terminal(folder, monkeypatch):
    """Rows that do not fit are listed column by column; those that fit are a table; colour only where it is wanted."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    sql = "SELECT sample_index AS i, 'some text' AS a, 'more of the text' AS b FROM trials ORDER BY i LIMIT 2"
    wide = on_a_terminal(folder, 80, "sql", sql)
    assert wide.startswith("\x1b[1mi   a           b")
    plain = on_a_terminal(folder, 20, "sql", sql, NO_COLOR="1")
    expected = ["── row 1 ────────────────────", "i   1", "a   some text", "b   more of the text"]
    assert plain.splitlines()[:4] == expected
    assert plain.splitlines()[5] == "i   2"
    assert "\x1b" not in plain
