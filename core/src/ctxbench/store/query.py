"""Asking a store in SQL: reading statements only, results as plain Python values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import duckdb

from ctxbench.errors import QueryError
from ctxbench.store.connection import one_line
from ctxbench.store.interrupts import stoppable
from ctxbench.store.views import quoted

BATCH_ROWS = 4096

Parameters = Sequence[Any] | Mapping[str, Any]
"""Values for the ``?`` of a statement in order, or for its ``$name`` by name."""

T = TypeVar("T")

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
"""``SELECT`` includes FROM, WITH, VALUES, TABLE, DESCRIBE, SHOW and SUMMARIZE; ``MULTI`` is PIVOT without a list of values."""


@attrs.frozen
class Table:
    """A query's result, all of it.

    Attributes:
        columns: names, made unique (``a``, ``a_1``) where the query repeats one.
        types: DuckDB's name of each column's type (``BIGINT``, ``JSON``, ...).
        rows: values as Python objects; NULL is ``None``, JSON is text, timestamps are in UTC.
    """

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


@attrs.frozen
class Rows:
    """A query's result as a stream; iterating it can raise :class:`~ctxbench.errors.QueryError`."""

    columns: list[str]
    types: list[str]
    _cursor: duckdb.DuckDBPyConnection

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while batch := guarded(self._cursor, lambda: self._cursor.fetchmany(BATCH_ROWS)):
            yield from batch


def statement(connection: duckdb.DuckDBPyConnection, sql: str, *, read_only: bool) -> duckdb.Statement:
    """The one statement of an SQL text; it only reads.

    Raises:
        QueryError: a syntax error, no statement or several, or one that does more than reading.
    """
    found: list[duckdb.Statement] = guarded(connection, lambda: connection.extract_statements(sql))
    if not found:
        raise QueryError("the query is empty; ask for example: SELECT * FROM summary")
    if len(found) > 1:
        raise QueryError(f"one statement at a time, got {len(found)}; ask them one by one")
    allowed = _READING if read_only else {duckdb.StatementType.SELECT}
    if found[0].type not in allowed:
        raise QueryError(f"only reading is possible here (SELECT, FROM, DESCRIBE, EXPLAIN, ...), not {found[0].type.name}")
    return found[0]


def execute(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters | None = None, *, read_only: bool) -> Rows:
    """Run one reading statement and stream its rows."""
    wanted = statement(connection, sql, read_only=read_only)
    guarded(connection, lambda: connection.execute(wanted, _values(parameters)))
    description = connection.description or []
    return Rows(unique([str(column[0]) for column in description]), [str(column[1]) for column in description], connection)


def relation(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters | None = None, *, read_only: bool
) -> duckdb.DuckDBPyRelation:
    """Like :func:`execute`, as a relation, from which Arrow and pandas take columns without a copy."""
    wanted = statement(connection, sql, read_only=read_only)
    found: duckdb.DuckDBPyRelation = guarded(connection, lambda: connection.sql(wanted, params=_values(parameters)))
    return found


def _values(parameters: Parameters | None) -> Any:
    """As DuckDB takes them: a list or a dictionary.

    Raises:
        QueryError: neither a sequence nor a mapping; a text is no sequence of values here.
    """
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return dict(parameters)
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise QueryError(f"parameters: expected a list of values or a dictionary, got {type(parameters).__name__}")
    return list(parameters)


def named(connection: duckdb.DuckDBPyConnection, view_or_sql: str) -> str:
    """SQL for the name of a table or view; any other text is SQL already."""
    name = view_or_sql.strip()
    if not name.isidentifier():
        return view_or_sql
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND lower(table_name) = lower(?)", [name]
    ).fetchall()
    if not found:
        known = [row[0] for row in connection.execute("SELECT table_name FROM information_schema.tables ORDER BY ALL").fetchall()]
        raise QueryError(f"no table or view {name!r}; there are: {', '.join(known)}")
    return f"SELECT * FROM {quoted(found[0][0])}"


def unique(names: list[str]) -> list[str]:
    """The names with ``_1``, ``_2`` ... put behind those that came before."""
    seen: set[str] = set()
    made = []
    for name in names:
        new, number = name, 0
        while new in seen:
            number += 1
            new = f"{name}_{number}"
        seen.add(new)
        made.append(new)
    return made


def guarded(connection: duckdb.DuckDBPyConnection, call: Callable[[], T]) -> T:
    """What ``call()`` returns; an error of DuckDB becomes a one-line QueryError, and Ctrl-C stops what ``connection`` does."""
    try:
        return stoppable(connection, call)
    except duckdb.OutOfMemoryException as error:
        raise QueryError("the query needs more memory than it may use; add a WHERE or a LIMIT") from error
    except duckdb.PermissionException as error:
        raise QueryError(f"a query can read nothing but the store: {one_line(error)}") from error
    except (duckdb.Error, RuntimeError) as error:
        raise QueryError(one_line(error)) from error


def missing(path: Path, library: str) -> QueryError:
    """The error for a library that is not installed, such as pandas or polars."""
    return QueryError(f"{path}: a data frame needs {library}: pip install {library} (Store.query and Store.arrow work without it)")
