"""Reading a store while another process writes it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ctxbench import StoreError
from ctxbench.store import Store, snapshot
from ctxbench.store.snapshot import live

WRITER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '256KB'")
connection.execute("CREATE TABLE pairs (a BIGINT, b BIGINT, filler VARCHAR)")
print("ready", flush=True)
i = 0
while True:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO pairs SELECT ?, -?, repeat('x', 2000) FROM range(20)", [i, i])
    connection.execute("INSERT INTO pairs SELECT -?, ?, 'y' FROM range(20)", [i, i])
    connection.execute("COMMIT")
    i += 1
"""


@pytest.fixture
def writer(tmp_path):
    """The path of a store that another process writes without a pause, with a checkpoint every few transactions."""
    path = tmp_path / "s.duckdb"
    Store.open(path).close()
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield path
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_snapshot_is_of_one_moment(writer, tmp_path):
    """No transaction is torn, none that was committed before is missing, and it opens as any store does."""
    with pytest.raises(StoreError, match=r"in use by process .*ctxbench sql --live, ctxbench store snapshot"):
        Store.open_read_only(writer)
    before = -1
    for number in range(8):
        copy = tmp_path / f"copy{number}.duckdb"
        snapshot.snapshot(writer, copy)
        with Store.open_read_only(copy) as store:
            ((total, rows, most),) = store.query("SELECT coalesce(sum(a + b), 0), count(*), coalesce(max(a), -1) FROM pairs").rows
        assert (total, rows % 40) == (0, 0)
        assert most >= before
        before = most
    assert before > 0


def test_live_reads_a_copy_only_while_the_store_is_in_use(writer, tmp_path):
    """And leaves nothing behind."""
    with live(writer) as store:
        assert store.path != writer
        copied = store.path
        assert store.query("SELECT count(*) FROM trials").rows == [(0,)]
    assert not copied.exists()
    free = tmp_path / "free.duckdb"
    Store.open(free).close()
    with live(free) as store:
        assert store.path == free


def test_refusals(tmp_path):
    """Nothing is overwritten; what is no store stays an error."""
    path = tmp_path / "s.duckdb"
    with pytest.raises(StoreError, match="no such store"):
        snapshot.snapshot(path, tmp_path / "copy.duckdb")
    Store.open(path).close()
    with pytest.raises(StoreError, match="exists already"):
        snapshot.snapshot(path, path)
    (tmp_path / "text").write_text("no store " * 3000)
    with pytest.raises(StoreError, match="not a DuckDB file"), live(tmp_path / "text"):
        pass
    assert not list(tmp_path.glob(".*"))
