"""Killed processes, full disks, locks and wrong files: one clear error, and what was stored stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_records import page_row, run_record, trial

from ctxbench import StoreError
from ctxbench.store import Store

WRITER = """
store = Store.open(sys.argv[1])
store.start_run(run_record())
for batch in range(10_000):
    store.append("r1", [trial(batch * 20 + i) for i in range(20)])
    print(batch, flush=True)
"""


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_slow_statements_draw_nothing_into_stdout(tmp_path):
    """Where Python runs no file (``python -c``, a console), DuckDB draws a progress bar there once a statement takes two seconds."""
    code = "import sys; from ctxbench.store import Store; print(getattr(Store, sys.argv[2])(sys.argv[1]).query(sys.argv[3]).rows)"
    for way in ("open", "open_read_only"):
        command = [sys.executable, "-c", code, str(tmp_path / "s.duckdb"), way, "SELECT current_setting('enable_progress_bar')"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "[(False,)]\n", way


@pytest.mark.parametrize("first", [Store.open_read_only, Store.open])
def test_a_killed_writer_leaves_every_batch_it_reported(tmp_path, python, first):
    """SIGKILL in the middle: every batch that was stored is there, whole, whichever way the store is opened first."""
    path = tmp_path / "s.duckdb"
    writer = python(WRITER, path)
    for _ in range(12):
        last = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    told = int((writer.stdout.read().split() or [last])[-1]) + 1
    writer.wait()
    with first(path) as store:
        rows = store.query("SELECT count(*), count(DISTINCT trial_id) FROM trials").rows
        children = store.query("SELECT (SELECT count(*) FROM scores), (SELECT count(*) FROM pages)").rows
    stored = rows[0][0]
    assert stored % 20 == 0
    assert stored // 20 in (told, told + 1)  # a batch may be stored and not yet told
    assert rows == [(stored, stored)]
    assert children == [(stored, stored)]
    with Store.open(path) as store:
        store.append("r1", [trial(i) for i in range(stored + 5)])
        assert store.query("SELECT count(*) FROM trials").rows == [(stored + 5,)]


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a full disk needs root to mount a small tmpfs")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_error_and_loses_nothing(tmp_path):
    """Batches up to the full disk are there, in the same process and after it; with space again, the rest can be stored."""
    with small_disk(tmp_path / "disk", "6m") as disk:
        path = disk / "s.duckdb"
        store = Store.open(path)
        store.start_run(run_record())
        stored = 0

        def fill() -> None:
            nonlocal stored
            for batch in range(1000):
                store.append("r1", [trial(batch * 50 + i, prediction=os.urandom(400).hex()) for i in range(50)])
                stored += 50

        with pytest.raises(StoreError, match="the disk is full; what was stored before is kept") as error:
            fill()
        assert str(path) in one_line(error)
        assert stored >= 100
        with contextlib.suppress(StoreError):
            store.finish_run("r1", "failed", {})
        store.close()
        with Store.open_read_only(path) as reader:
            assert reader.query("SELECT count(*) FROM trials").rows == [(stored,)]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        with Store.open(path) as again:
            again.append("r1", [trial(i) for i in range(stored + 10)])
            assert again.query("SELECT count(*), (SELECT count(*) FROM scores) FROM trials").rows == [(stored + 10, stored + 10)]


def test_page_images_on_a_full_disk(tmp_path):
    """An image that does not fit is one error and no half file."""
    from PIL import Image

    from ctxbench.images import page_sha256

    image = Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3))

    def fill(store: Store) -> None:
        for shift in range(4):
            page = image.rotate(shift * 90)
            store.keep_images(trial(shift, pages=(page_row(sha256=page_sha256(page)),)), [page])

    with small_disk(tmp_path / "disk", "2m") as disk:
        with Store.open(disk / "s.duckdb", images="all") as store:
            store.start_run(run_record())
            with pytest.raises(StoreError, match="No space left") as error:
                fill(store)
        assert ".png: not written" in one_line(error)
        assert not list(disk.rglob("*.part"))


def test_a_store_in_use_names_who_uses_it(tmp_path, python):
    """The error gives the process and its command, for readers and writers alike, and the other goes on."""
    path = tmp_path / "s.duckdb"
    other = python("store = Store.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()", path)
    try:
        assert other.stdout.readline() == "open\n"
        for opening in (Store.open, Store.open_read_only):
            with pytest.raises(StoreError, match=rf"in use by process {other.pid} \(.*python") as error:
                opening(path)
            assert "--store" in one_line(error)
    finally:
        other.kill()


def test_two_processes_that_create_the_same_store(tmp_path, python):
    """One makes it; the other gets it afterwards or is told that it is in use. Never a broken file, never another error."""
    code = """
try:
    with Store.open(sys.argv[1]) as store:
        print("made", store.query("SELECT count(*) FROM trials").rows)
except StoreError as error:
    print("refused", error)
"""
    for number in range(3):
        path = tmp_path / f"{number}.duckdb"
        said = [process.communicate()[0] for process in [python(code, path) for _ in range(2)]]
        assert all(text.startswith("made [(0,)]") or "in use by" in text for text in said), said
        assert any(text.startswith("made") for text in said), said
        with Store.open_read_only(path) as store:
            assert store.query("SELECT version FROM schema_migrations ORDER BY version").rows[0] == (1,)


def test_one_process_and_two_modes(tmp_path):
    """Open for writing and for reading at once is refused clearly; twice in the same mode works."""
    path = tmp_path / "s.duckdb"
    with Store.open(path), pytest.raises(StoreError, match="this process has it open already, in the other mode"):
        Store.open_read_only(path)
    with Store.open_read_only(path) as one, Store.open_read_only(path) as two:
        assert one.query("FROM trials").rows == two.query("FROM trials").rows == []
        with pytest.raises(StoreError, match="in the other mode"):
            Store.open(path)
    with Store.open(path) as one, Store.open(path) as two:
        one.start_run(run_record())
        one.append("r1", [trial(1)])
        two.append("r1", [trial(1), trial(2)])
        assert one.query("SELECT count(*) FROM trials").rows == [(2,)]


@pytest.mark.parametrize("opening", [Store.open, Store.open_read_only])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database" * 2000, "not a DuckDB file"),
        (b"", "not a DuckDB file"),
        (b"SQLite format 3\x00" + bytes(8000), "not a DuckDB file|SQLite"),
    ],
)
def test_a_file_that_is_no_store_is_left_alone(tmp_path, opening, content, message):
    """Whatever it holds, its bytes stay."""
    path = tmp_path / "s.duckdb"
    path.write_bytes(content)
    os.utime(path, (1, 1))
    with pytest.raises(StoreError, match=message) as error:
        opening(path)
    assert str(path) in one_line(error)
    assert path.read_bytes() == content


def test_places_where_no_store_can_be(tmp_path):
    """A directory, a missing folder, a file as folder, a NUL in the name, a missing store."""
    (tmp_path / "file").write_text("x")
    for opening, path, message in (
        (Store.open, tmp_path, "is a directory; a store is one file"),
        (Store.open_read_only, tmp_path, "is a directory"),
        (Store.open, tmp_path / "no" / "s.duckdb", "does not exist; make it first: mkdir -p"),
        (Store.open, tmp_path / "file" / "s.duckdb", "Not a directory"),
        (Store.open, f"{tmp_path}/a\0b", "NUL"),
        (Store.open_read_only, tmp_path / "s.duckdb", "no such store; ctxbench run --store"),
    ):
        with pytest.raises(StoreError, match=message) as error:
            opening(path)
        one_line(error)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


def test_a_truncated_store_is_one_error(store):
    """Half a file is refused; DuckDB's checksums find it."""
    store.append("r1", [trial(i) for i in range(500)])
    store.close()
    data = store.path.read_bytes()
    store.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError) as error:
        Store.open_read_only(store.path)
    assert str(store.path) in one_line(error)


UNPRIVILEGED = """
import encodings.utf_16_le, encodings.idna, os
from pathlib import Path
base = Path(sys.argv[1])
Store.open(base / "warm.duckdb").close()
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
def attempt(what):
    try:
        with what() as store:
            print("ok", store.query("SELECT count(*) FROM trials").rows)
    except StoreError as error:
        print("refused", error)
attempt(lambda: Store.open(base / "file.duckdb"))
attempt(lambda: Store.open_read_only(base / "file.duckdb"))
attempt(lambda: Store.open(base / "folder" / "new.duckdb"))
attempt(lambda: Store.open_read_only(base / "folder" / "s.duckdb"))
try:
    with Store.open(base / "folder" / "s.duckdb") as store:
        store.start_run(run_record(run_id="r9"))
    print("ok written")
except StoreError as error:
    print("refused", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_read_only_files_and_folders(store, python):
    """They can be read; writing them is one clear error."""
    store.append("r1", [trial(1)])
    store.close()
    base = store.path.parent
    for folder in (base, *base.parents):
        if folder.stat().st_mode & 0o055 != 0o055 and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    (base / "folder").mkdir()
    shutil.copy(store.path, base / "file.duckdb")
    shutil.copy(store.path, base / "folder" / "s.duckdb")
    (base / "file.duckdb").chmod(0o444)
    (base / "folder" / "s.duckdb").chmod(0o666)
    (base / "folder").chmod(0o555)
    try:
        said = python(UNPRIVILEGED, base).communicate()[0].splitlines()
    finally:
        (base / "folder").chmod(0o755)
    assert "permission denied" in said[0]
    assert said[1] == "ok [(1,)]"
    assert "permission denied" in said[2]
    assert said[3] == "ok [(1,)]"
    assert "permission denied" in said[4]
    assert len(said) == 5
    with Store.open_read_only(base / "folder" / "s.duckdb") as reader:
        assert reader.query("SELECT run_id FROM runs").rows == [("r1",)]
