"""Putting Arrow tables into the store's tables, within the caller's transaction."""

from __future__ import annotations

import duckdb


def insert(connection: duckdb.DuckDBPyConnection, *, replace_errors: str | None = None) -> None:
    """Insert the registered tables ``new_trials``, ``new_scores`` and ``new_pages``; their columns go by name.

    Trials that are stored already are left as they are, and so are their scores and pages. The ids of those that were inserted
    are left in the temporary table ``fresh``.

    Args:
        replace_errors: an SQL condition on the new trial ``n`` under which it replaces a stored trial that is an error.
    """
    if replace_errors is not None:
        gone = f"SELECT t.trial_id FROM trials t JOIN new_trials n USING (trial_id) WHERE t.status = 'error' AND {replace_errors}"
        for table in ("scores", "pages", "trials"):
            connection.execute(f"DELETE FROM {table} WHERE trial_id IN ({gone})")
    connection.execute("CREATE OR REPLACE TEMP TABLE fresh AS SELECT trial_id FROM new_trials ANTI JOIN trials USING (trial_id)")
    for table in ("trials", "scores", "pages"):
        connection.execute(f"INSERT INTO {table} BY NAME SELECT n.* FROM new_{table} n SEMI JOIN fresh USING (trial_id)")
