"""Reading a store: rows, data frames and Arrow tables of a view or of reading SQL."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctxbench.store.connection import store_error
from ctxbench.store.database import Database
from ctxbench.store.query import Parameters, Rows, Table, execute, guarded, missing, named, relation

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class Queries:
    """The reading methods of a store.

    Attributes:
        path: the DuckDB file.
        read_only: true if it was opened so.
        database: the open file, for the modules of this package.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.path: Path = database.path
        self.read_only = database.read_only
        self._reader: duckdb.DuckDBPyConnection | None = None

    def query(self, sql: str, parameters: Parameters | None = None) -> Table:
        """All rows of one SQL statement that only reads.

        Args:
            parameters: values for the statement's ``?`` in order, or for its ``$name`` by name. They are values and never SQL, whatever
                they hold.

        Raises:
            QueryError: the SQL is wrong, or does more than reading; or the parameters do not fit it.
        """
        found = self.rows(sql, parameters)
        return Table(found.columns, found.types, list(found))

    def rows(self, view_or_sql: str, parameters: Parameters | None = None) -> Rows:
        """Like :meth:`query`, for a view's name or SQL, as a stream that is good until the next call of a method."""
        reader = self._new_reader()
        return execute(reader, named(reader, view_or_sql), parameters, read_only=self.read_only)

    def df(self, view_or_sql: str, parameters: Parameters | None = None) -> pandas.DataFrame:
        """A view, a table or reading SQL as a pandas data frame; ``parameters`` as in :meth:`query`.

        Raises:
            QueryError: pandas is not installed, or the SQL is wrong or does more than reading.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise missing(self.path, "pandas") from None
        reader, found = self._relation(view_or_sql, parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # DuckDB calls pandas in ways that newer versions deprecate
            return guarded(reader, found.df)

    def pl(self, view_or_sql: str, parameters: Parameters | None = None) -> polars.DataFrame:
        """A view, a table or reading SQL as a polars data frame; ``parameters`` as in :meth:`query`.

        Raises:
            QueryError: polars is not installed, or the SQL is wrong or does more than reading.
        """
        try:
            import polars
        except ImportError:
            raise missing(self.path, "polars") from None
        made = polars.from_arrow(self.arrow(view_or_sql, parameters))
        assert isinstance(made, polars.DataFrame)  # a table never makes a series
        return made

    def arrow(self, view_or_sql: str, parameters: Parameters | None = None) -> pyarrow.Table:
        """A view, a table or reading SQL as an Arrow table; ``parameters`` as in :meth:`query`.

        Raises:
            QueryError: the SQL is wrong or does more than reading.
        """
        reader, found = self._relation(view_or_sql, parameters)
        return guarded(reader, found.to_arrow_table)

    def arrow_reader(self, view_or_sql: str, batch_rows: int = 50_000, parameters: Parameters | None = None) -> pyarrow.RecordBatchReader:
        """Like :meth:`arrow`, as a stream of record batches that is good until the next call of a method."""
        reader, found = self._relation(view_or_sql, parameters)
        return guarded(reader, lambda: found.to_arrow_reader(batch_rows))

    def _relation(self, view_or_sql: str, parameters: Parameters | None) -> tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation]:
        reader = self._new_reader()
        return reader, relation(reader, named(reader, view_or_sql), parameters, read_only=self.read_only)

    def _new_reader(self) -> duckdb.DuckDBPyConnection:
        """A cursor for one result: DuckDB does no other work on a connection whose result is not fetched to its end."""
        if self._reader is not None:
            self._reader.close()
        try:
            self._reader = self.database.connection.cursor()
            for statement in self.database.views:
                self._reader.execute(statement)
        except duckdb.Error as error:
            raise store_error(self.path, error) from error
        return self._reader

    def close(self) -> None:
        """Close the file; closing it twice is harmless."""
        if self._reader is not None:
            self._reader.close()
        self.database.connection.close()
