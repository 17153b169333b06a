"""The schema's ordered migrations. Each runs in one transaction, once, and is recorded in ``schema_migrations``.

A migration that was released is never edited; a change is a new file ``sql/NNNN_name.sql`` with the next number. Views are not
part of it: they hold no data, and :mod:`ctxbench.store.views` makes them anew.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from pathlib import Path

import attrs
import duckdb

from ctxbench.errors import StoreError
from ctxbench.store.connection import store_error

LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    checksum VARCHAR NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL
)
"""


@attrs.frozen
class Migration:
    """One step of the schema: from ``version - 1`` to ``version``."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL text."""
        return hashlib.sha256(self.sql.encode("utf-8")).hexdigest()


def _load() -> tuple[Migration, ...]:
    folder = importlib.resources.files("ctxbench.store") / "sql"
    found = []
    for file in folder.iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append(Migration(int(number), name, file.read_text("utf-8").replace("\r\n", "\n")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise RuntimeError("migrations must be numbered 1, 2, 3, ... without a gap")
    return tuple(found)


MIGRATIONS = _load()


def latest() -> int:
    """The schema version that this program writes."""
    return MIGRATIONS[-1].version


def applied(connection: duckdb.DuckDBPyConnection) -> dict[int, str] | None:
    """Version and checksum of every migration that a database has had, or ``None`` if it is no store of ours."""
    if "schema_migrations" not in _tables(connection):
        return None
    rows = connection.execute("SELECT version, checksum FROM schema_migrations ORDER BY version").fetchall()
    return {int(version): str(checksum) for version, checksum in rows}


def check_current(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse a database that this program cannot read as it is.

    Raises:
        StoreError: it is no store, or of a newer or an older schema version.
    """
    done = applied(connection)
    if done is None:
        raise _foreign(connection, path)
    version = max(done, default=0)
    _refuse_newer(path, version)
    if version < latest():
        raise StoreError(f"{path}: schema version {version}, this ctxbench reads {latest()}; run: ctxbench store upgrade --store {path}")


def upgrade(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Apply every migration that the database has not had; the number applied.

    Raises:
        StoreError: it is somebody else's database, it is newer than this program, or a migration fails (and leaves no trace).
    """
    done = applied(connection)
    if done is None:
        if _tables(connection):
            raise _foreign(connection, path)
        done = {}
    _refuse_newer(path, max(done, default=0))
    missing = [migration for migration in MIGRATIONS if migration.version not in done]
    for migration in missing:
        try:
            connection.execute("BEGIN")
            connection.execute(LEDGER)
            connection.execute(migration.sql)
            values = [migration.version, migration.name, migration.checksum]
            connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, now())", values)
            connection.execute("COMMIT")
        except duckdb.Error as error:
            failure = store_error(path, error)
            raise StoreError(f"{failure} (migration {migration.version}, {migration.name})") from error
    return len(missing)


def _refuse_newer(path: Path, version: int) -> None:
    if version > latest():
        raise StoreError(f"{path}: schema version {version} is newer than this ctxbench, which knows {latest()}; pip install -U ctxbench")


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    return {str(name) for (name,) in rows}


def _foreign(connection: duckdb.DuckDBPyConnection, path: Path) -> StoreError:
    names = ", ".join(sorted(_tables(connection))[:5]) or "no tables"
    return StoreError(f"{path}: a DuckDB database, but not a ctxbench store (it has {names}); name another file with --store")
