"""Putting Arrow tables into the store's tables, within the caller's transaction.

Scores and pages have no index of their own, which would be most of the file: what a trial's key does not rule out is checked here.
"""

from __future__ import annotations

import duckdb

from ctxbench.errors import StoreError

KEYS = {
    "runs": ("run_id",),
    "trials": ("trial_id",),
    "scores": ("trial_id", "metric", "metric_version", "name"),
    "pages": ("trial_id", "page"),
}
"""The columns that tell the rows of a table apart."""


def insert(connection: duckdb.DuckDBPyConnection, *, replace_errors: str | None = None) -> None:
    """Insert the registered tables ``new_trials``, ``new_scores`` and ``new_pages``; their columns go by name.

    Trials that are stored already are left as they are, and so are their scores and pages. The ids of those that were inserted
    are left in the temporary table ``fresh``.

    Args:
        replace_errors: an SQL condition on the new trial ``n`` under which it replaces a stored trial that is an error.

    Raises:
        StoreError: two of the new scores or pages have the same key.
    """
    for table in ("scores", "pages"):
        _refuse_doubles(connection, table)
    if replace_errors is not None:
        gone = f"SELECT t.trial_id FROM trials t JOIN new_trials n USING (trial_id) WHERE t.status = 'error' AND {replace_errors}"
        for table in ("scores", "pages", "trials"):
            connection.execute(f"DELETE FROM {table} WHERE trial_id IN ({gone})")
    connection.execute("CREATE OR REPLACE TEMP TABLE fresh AS SELECT trial_id FROM new_trials ANTI JOIN trials USING (trial_id)")
    for table in ("trials", "scores", "pages"):
        connection.execute(f"INSERT INTO {table} BY NAME SELECT n.* FROM new_{table} n SEMI JOIN fresh USING (trial_id)")


def insert_scores(connection: duckdb.DuckDBPyConnection, *, which: str = "TRUE") -> None:
    """Insert those of the registered table ``new_scores`` for whose trial ``which``, an SQL condition, holds.

    A score that is stored already is left as it is.

    Raises:
        StoreError: two of the new scores have the same key.
    """
    _refuse_doubles(connection, "scores")
    key = ", ".join(KEYS["scores"])
    connection.execute(f"INSERT INTO scores BY NAME SELECT n.* FROM new_scores n ANTI JOIN scores USING ({key}) WHERE {which}")


def _refuse_doubles(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    key = ", ".join(KEYS[table])
    double = connection.execute(f"SELECT {key} FROM new_{table} GROUP BY {key} HAVING count(*) > 1 LIMIT 1").fetchone()
    if double is not None:
        told = ", ".join(f"{column} {value}" for column, value in zip(KEYS[table], double, strict=True))
        raise StoreError(f"two {table} are for the same {told}; none was stored")
