"""The open DuckDB file behind a store, for the modules of this package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import duckdb

from ctxbench.errors import StoreError
from ctxbench.store import views
from ctxbench.store.connection import store_error
from ctxbench.store.interrupts import interrupts_kept, interrupts_wait

SCORE_NAMES = "SELECT DISTINCT metric, name FROM scores"


@attrs.define(eq=False)
class Database:
    """One connection to one file.

    Attributes:
        connection: DuckDB's own.
        path: the file.
        read_only: true if it was opened so.
        views: what gives a reader the views of this release, where the file has others.
    """

    connection: duckdb.DuckDBPyConnection
    path: Path
    read_only: bool
    views: list[str] = attrs.field(factory=list, init=False)
    _score_names: set[tuple[str, str]] = attrs.field(factory=set, init=False)

    def find_outdated_views(self) -> None:
        """After opening for reading, when the file's own views cannot be changed."""
        self.views = views.outdated(self.connection, self.connection.execute(SCORE_NAMES).fetchall())

    def prepare(self) -> None:
        """After opening for writing: up-to-date views, and no run left ``running`` by a process that is gone."""
        with self.transaction():
            self._score_names = {(str(metric), str(name)) for metric, name in self.connection.execute(SCORE_NAMES).fetchall()}
            views.refresh(self.connection, self._score_names)
            if self.connection.execute("SELECT run_id FROM runs WHERE status = 'running'").fetchall():
                self.connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an error of DuckDB becomes a StoreError that says what it means."""
        if self.read_only:
            raise StoreError(f"{self.path}: opened read-only")
        try:
            with interrupts_kept():
                self.connection.execute("BEGIN")
                yield
                self.connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(duckdb.Error), interrupts_wait():
                self.connection.execute("ROLLBACK")
            if isinstance(error, duckdb.Error):
                raise store_error(self.path, error) from error
            raise

    @contextlib.contextmanager
    def registered(self, **tables: Any) -> Iterator[None]:
        """Arrow tables visible to SQL under their names."""
        with interrupts_kept():
            for name, table in tables.items():
                self.connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                with contextlib.suppress(duckdb.Error), interrupts_wait():
                    self.connection.unregister(name)

    def learn_scores(self, names: set[tuple[str, str]]) -> None:
        """Give new score names their columns in ``results``."""
        if names <= self._score_names:
            return
        known = self._score_names | names
        views.refresh(self.connection, known)
        self._score_names = known
