"""Opening a DuckDB file, and what its errors mean to a user."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import duckdb

from ctxbench.errors import StoreError

NO_OUTSIDE = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
"""No SQL of ours needs another file, an extension or a Python variable."""

MAX_QUERY_MEMORY = 4 << 30
"""Most memory in bytes that a read-only connection uses, where the machine has twice as much."""

MAX_WRITE_MEMORY = 1 << 30
"""The same for a connection that writes. Most of it is a cache of what was written; what does not fit goes into a file beside the store."""

_BUSY = "wait until it ends, name another file with --store, or read what it has stored: ctxbench sql --live, ctxbench store snapshot"

RACE_SECONDS = 2.0
"""How long a file that another process is just creating may look like something else."""


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open ``path``; timestamps are told in UTC.

    A read-only connection cannot reach the file system at all, whatever the SQL: external access off alone still lets ``COPY``
    write the database's own file and write-ahead log. It spills nothing to disk either.

    Raises:
        StoreError: it cannot be opened; the message says why and what to do.
    """
    _check_path(path, read_only)
    connection = _open(path, read_only)
    try:
        connection.execute("SET enable_progress_bar = false")  # in Python without a file it would draw one into stdout
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        if read_only:
            _seal(connection)
        else:
            connection.execute(f"SET GLOBAL memory_limit = '{_memory(MAX_WRITE_MEMORY)}B'")
    except duckdb.Error as error:
        if "configuration has been locked" not in str(error):  # a second connection to a store that this process has open
            connection.close()
            raise store_error(path, error) from error
    return connection


def _check_path(path: Path, read_only: bool) -> None:
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a directory; a store is one file, for example {path / 'ctxbench.duckdb'}")
        if read_only and not path.exists():
            raise StoreError(f"{path}: no such store; ctxbench run --store {path} makes one")
    except OSError as error:
        raise store_error(path, error) from error
    if "\0" in str(path):
        raise StoreError(f"{str(path)!r}: a file name cannot hold a NUL character")


def _open(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {**NO_OUTSIDE, **({"temp_directory": ""} if read_only else {})}
    deadline = time.monotonic() + RACE_SECONDS
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=config)
        except duckdb.Error as error:
            if "not a valid DuckDB" not in str(error) or not _just_made(path) or time.monotonic() > deadline:
                raise store_error(path, error) from error
        time.sleep(0.02)


def _just_made(path: Path) -> bool:
    """True if another process may be creating the file right now: its header is not written yet."""
    try:
        state = path.stat()
    except OSError:
        return True
    return state.st_size < 12_288 and time.time() - state.st_mtime < RACE_SECONDS


def _seal(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"SET memory_limit = '{_memory(MAX_QUERY_MEMORY)}B'")
    connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET lock_configuration = true")


def _memory(most: int) -> int:
    """Bytes: at most half of the machine's memory."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return most
    return min(most, max(physical // 2, 256 << 20))


def one_line(error: BaseException) -> str:
    """An error of DuckDB without its ``LINE 1:`` excerpt, as one line."""
    text = str(error).partition("\nLINE ")[0]
    return " ".join(text.split())


def store_error(path: Path, error: Exception) -> StoreError:
    """What an error of DuckDB or the operating system means for the store at ``path``."""
    text = one_line(error)
    if held := re.search(r"Conflicting lock is held in (.*?) \(PID (\d+)\)", text):
        holder = f"process {held[2]} ({_command(held[2]) or held[1]})"
        return StoreError(f"{path}: in use by {holder}; {_BUSY}")
    if "Could not set lock" in text:
        return StoreError(f"{path}: in use by another process; {_BUSY}")
    if "different configuration than existing connections" in text:
        return StoreError(f"{path}: this process has it open already, in the other mode; close that Store first")
    if "No space left" in text or "disk full" in text.lower() or "Disk quota" in text:
        return StoreError(f"{path}: the disk is full; what was stored before is kept. Free some space and run the same command again")
    if "not read enough bytes" in text or "checksum" in text.lower() or "Corrupt" in text:
        return StoreError(f"{path}: the file is damaged or cut off: {text}")
    if "not a valid DuckDB" in text or "Loading external extensions" in text:  # DuckDB would load one for SQLite's files
        return StoreError(f"{path}: not a DuckDB file, so it cannot be a store; it was left as it is. Name another file with --store")
    if "has been invalidated" in text:
        return StoreError(f"{path}: writing failed before, so this store takes nothing more; what was stored before is kept. Open it again")
    if "Permission denied" in text or "Read-only file system" in text or "read-only file system" in text:
        return StoreError(f"{path}: permission denied; the file and its folder must be writable to store results, readable to ask")
    if "No such file or directory" in text:
        return StoreError(f"{path}: the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}")
    return StoreError(f"{path}: {text}")


def _command(pid: str) -> str:
    """The command line of a process, where the system tells (Linux), cut to a readable length."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    line = " ".join(b" ".join(words).decode("utf-8", "replace").split())
    return line if len(line) <= 120 else line[:117] + "..."
