"""Reading a store that another process is writing: from a copy of what it has committed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ctxbench.errors import StoreError
from ctxbench.store.connection import connect, store_error
from ctxbench.store.store import Store

_HEADERS = 3 * 4096
"""Bytes of a DuckDB file that say which of its blocks count. Committed data go to the log beside it; a checkpoint writes them into free
blocks first, then the header, and then empties the log."""

TRIES = 20
PAUSE = 0.1


def snapshot(path: Path | str, target: Path | str) -> None:
    """Copy what is committed of a store, which another process may be writing, into a new file ``target``.

    The copy is that of one moment: if a checkpoint falls between, it is made again. Page images are not copied.

    Raises:
        StoreError: there is no such store, ``target`` exists, or the disk is full.
    """
    path, target = Path(path), Path(target)
    if not path.is_file():
        raise StoreError(f"{path}: no such store")
    if target.exists():
        raise StoreError(f"{target}: exists already; name another file for the snapshot")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
            copy = Path(folder) / "copy.duckdb"
            _copy(path, copy)
            copy.replace(target)
    except OSError as error:
        raise StoreError(f"{target}: not written: {error.strerror or error}") from error


@contextlib.contextmanager
def live(path: Path | str) -> Iterator[Store]:
    """A store to read: itself, or while another process writes it, a snapshot that lasts as long as the block.

    Raises:
        StoreError: it is missing, or no store.
    """
    path = Path(path)
    try:
        store = Store.open_read_only(path)
    except StoreError as error:
        if "in use by" not in str(error):
            raise
        with tempfile.TemporaryDirectory(prefix="ctxbench-") as folder:
            copy = Path(folder) / path.name
            snapshot(path, copy)
            with Store.open_read_only(copy) as store:
                yield store
        return
    with store:
        yield store


def _copy(path: Path, copy: Path) -> None:
    """A copy that opens, with the log written into it."""
    log, copied_log = (Path(f"{name}.wal") for name in (path, copy))
    last: Exception | None = None
    for _ in range(TRIES):
        before = _header(path)
        shutil.copyfile(path, copy)
        copied_log.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # all is in the file itself
            shutil.copyfile(log, copied_log)
        if _header(path) == before:
            try:
                connect(copy, read_only=False).close()
            except (StoreError, duckdb.Error) as error:  # the end of the log was being written
                last = error
            else:
                return
        time.sleep(PAUSE)
    raise store_error(path, last) if isinstance(last, duckdb.Error) else StoreError(f"{path}: changes too fast to be copied; try again")


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADERS)


__all__ = ["live", "snapshot"]
