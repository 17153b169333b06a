"""The store that the engine writes and everybody reads."""

from __future__ import annotations

import contextlib
import datetime
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs
import duckdb
from PIL import Image

from ctxbench.errors import StoreError
from ctxbench.results import Outcome, RunRecord, ScoreRow, TrialResult
from ctxbench.store import migrations, pages, views
from ctxbench.store.connection import connect, store_error
from ctxbench.store.inserts import insert
from ctxbench.store.interrupts import interrupts_kept, interrupts_wait
from ctxbench.store.query import Parameters, Rows, Table, execute, guarded, missing, named, relation
from ctxbench.store.rows import RUN_COLUMNS, id_table, json_text, page_table, score_table, storable_text, trial_table, verdict_table

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

ENDINGS = ("finished", "interrupted", "failed")
SCORE_NAMES = "SELECT DISTINCT metric, name FROM scores"


@attrs.frozen
class StoredTrial:
    """What a run needs to know of a trial that is stored.

    Attributes:
        status: ``ok`` or ``error``.
        has_channel: the codec's decoder was asked.
        run_id: the run that stored it.
    """

    status: str
    has_channel: bool
    run_id: str


@attrs.frozen
class Verdict:
    """What the score that decides *correct* makes of a stored answer."""

    outcome: Outcome
    primary_score: str
    score: float


class Store:
    """An open results store; a context manager. Use :meth:`open` or :meth:`open_read_only`. One thread at a time.

    Attributes:
        path: the DuckDB file.
        images: which page images :meth:`keep_images` keeps.
        read_only: true if it was opened so.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, images: str, read_only: bool) -> None:
        self._connection = connection
        self.path = path
        self.images = images
        self.read_only = read_only
        self._score_names: set[tuple[str, str]] = set()
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._views: list[str] = []  # what gives a reader the views of this release, where the file has others

    @classmethod
    def open(cls, path: Path | str, *, images: str = "none") -> Store:
        """Open a store for writing, make it if it is missing, and bring its schema up to date.

        Raises:
            StoreError: it is no store, is newer than this program, is in use, or cannot be written.
        """
        if images not in pages.POLICIES:
            raise StoreError(f"images must be one of {', '.join(pages.POLICIES)}, got {images!r}")
        path = Path(path)
        with interrupts_wait():
            connection = connect(path, read_only=False)
            try:
                migrations.upgrade(connection, path)
                store = cls(connection, path, images, False)
                store._prepare()
            except BaseException as error:
                connection.close()
                raise _as_store_error(path, error) from None
        return store

    @classmethod
    def open_read_only(cls, path: Path | str) -> Store:
        """Open a store for reading. Nothing can be written, and no SQL reaches a file, an extension or the network.

        Raises:
            StoreError: it is missing, no store, of another schema version, or being written by another process.
        """
        path = Path(path)
        with interrupts_wait():
            connection = connect(path, read_only=True)
            try:
                migrations.check_current(connection, path)
                store = cls(connection, path, "none", True)
                store._views = views.outdated(connection, connection.execute(SCORE_NAMES).fetchall())
            except BaseException as error:
                connection.close()
                raise _as_store_error(path, error) from None
        return store

    def _prepare(self) -> None:
        """After opening for writing: up-to-date views, and no run left ``running`` by a process that is gone."""
        with self._transaction():
            self._score_names = {(str(metric), str(name)) for metric, name in self._connection.execute(SCORE_NAMES).fetchall()}
            views.refresh(self._connection, self._score_names)
            if self._connection.execute("SELECT run_id FROM runs WHERE status = 'running'").fetchall():
                self._connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; an error of DuckDB becomes a StoreError that says what it means."""
        if self.read_only:
            raise StoreError(f"{self.path}: opened read-only")
        try:
            with interrupts_kept():
                self._connection.execute("BEGIN")
                yield
                self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(duckdb.Error), interrupts_wait():
                self._connection.execute("ROLLBACK")
            if isinstance(error, duckdb.Error):
                raise store_error(self.path, error) from error
            raise

    @contextlib.contextmanager
    def _arrow(self, **tables: Any) -> Iterator[None]:
        """Arrow tables visible to SQL under their names."""
        with interrupts_kept():
            for name, table in tables.items():
                self._connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                with contextlib.suppress(duckdb.Error), interrupts_wait():
                    self._connection.unregister(name)

    def start_run(self, run: RunRecord) -> None:
        """Add a run, as ``running``."""
        names = [column.name for column in RUN_COLUMNS]
        values = [json_text(getattr(run, c.name)) if c.is_json else getattr(run, c.name) for c in RUN_COLUMNS]
        marks = ", ".join("?" * len(names))
        with interrupts_wait(), self._transaction():
            self._connection.execute(
                f"INSERT INTO runs ({', '.join(names)}, status, finished, errors) VALUES ({marks}, 'running', 0, 0)",
                [storable_text(value) if isinstance(value, str) else value for value in values],
            )

    def finish_run(self, run_id: str, status: str, counts: Mapping[str, float | None]) -> None:
        """Say how a run ended: ``finished``, ``interrupted`` or ``failed``.

        ``counts`` holds ``finished`` and ``errors``, in trials, and, if they are known, ``spent_usd``, in US dollars, and ``idle_share``.
        """
        if status not in ENDINGS:
            raise StoreError(f"a run ends {', '.join(ENDINGS)}, not {status!r}")
        known = (counts.get("spent_usd"), counts.get("idle_share"))
        with interrupts_wait(), self._transaction():
            self._connection.execute(
                "UPDATE runs SET status = ?, finished_at = ?, finished = ?, errors = ?, spent_usd = ?, idle_share = ? WHERE run_id = ?",
                [status, datetime.datetime.now(datetime.UTC), *(counts.get(name, 0) for name in ("finished", "errors")), *known, run_id],
            )

    @property
    def is_empty(self) -> bool:
        """True if no trial is stored."""
        with interrupts_wait():
            return self._connection.execute("SELECT 1 FROM trials LIMIT 1").fetchall() == []

    def stored(self, trial_ids: Iterable[str]) -> dict[str, StoredTrial]:
        """What is known of each of these trials that is stored."""
        sql = "SELECT t.trial_id, t.status, t.channel_cer IS NOT NULL, t.run_id FROM trials t JOIN wanted_ids USING (trial_id)"
        return {str(i): StoredTrial(str(status), bool(channel), str(run)) for i, status, channel, run in self._by_id(sql, trial_ids)}

    def environments(self, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The recorded environment of each of these runs; empty for a run of before it was recorded."""
        sql = "SELECT r.run_id, r.environment FROM runs r JOIN wanted_ids w ON w.trial_id = r.run_id"
        return {str(run_id): json.loads(text or "{}") for run_id, text in self._by_id(sql, run_ids)}

    def stored_scores(self, trial_ids: Iterable[str]) -> dict[str, set[tuple[str, str]]]:
        """(metric, version) of the scores of each of these trials that is stored; an empty set if it has none."""
        sql = """SELECT DISTINCT t.trial_id, s.metric, s.metric_version
            FROM trials t JOIN wanted_ids USING (trial_id) LEFT JOIN scores s USING (trial_id)"""
        scores: dict[str, set[tuple[str, str]]] = {}
        for trial_id, metric, version in self._by_id(sql, trial_ids):
            known = scores.setdefault(str(trial_id), set())
            if metric is not None:
                known.add((str(metric), str(version)))
        return scores

    def answers(self, trial_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """What the model said, and why it stopped, for each of these trials that is stored and ended without an error."""
        sql = """SELECT t.trial_id, t.prediction, coalesce(t.finish_reason, 'stop') FROM trials t JOIN wanted_ids USING (trial_id)
            WHERE t.status = 'ok' AND t.prediction IS NOT NULL"""
        return {str(trial_id): (str(text), str(reason)) for trial_id, text, reason in self._by_id(sql, trial_ids)}

    def _by_id(self, sql: str, trial_ids: Iterable[str]) -> list[tuple[Any, ...]]:
        with interrupts_wait(), self._arrow(wanted_ids=id_table(trial_ids)):
            try:
                return self._connection.execute(sql).fetchall()
            except duckdb.Error as error:
                raise store_error(self.path, error) from error

    def append(self, run_id: str, results: Sequence[TrialResult], *, replace: bool = False) -> None:
        """Store trials with their scores and pages, in one transaction.

        A trial that is stored already is left as it is; with ``replace``, one that is stored as an error is replaced.

        Raises:
            StoreError: they could not be written; none of them is stored, and all that was stored before is.
        """
        once: dict[str, TrialResult] = {}
        for result in results:
            once.setdefault(result.trial_id, result)
        now = datetime.datetime.now(datetime.UTC)
        tables = {
            "new_trials": trial_table(list(once.values()), run_id, now),
            "new_scores": score_table({key: result.scores for key, result in once.items()}, now),
            "new_pages": page_table({key: result.pages for key, result in once.items()}, now),
        }
        names = {(score.metric, score.name) for result in once.values() for score in result.scores}
        with interrupts_wait(), self._arrow(**tables), self._transaction():
            insert(self._connection, replace_errors="TRUE" if replace else None)
            self._learn(names)

    def append_scores(self, scores: Mapping[str, Sequence[ScoreRow]], verdicts: Mapping[str, Verdict] | None = None) -> None:
        """Add scores to stored trials, in one transaction; a score that is there already is left as it is.

        Args:
            verdicts: outcome and deciding score of trials whose deciding score is among the new ones.
        """
        table = score_table(scores, datetime.datetime.now(datetime.UTC))
        verdicts = verdicts or {}
        with interrupts_wait(), self._arrow(new_scores=table, new_verdicts=verdict_table(verdicts)), self._transaction():
            self._connection.execute("INSERT INTO scores BY NAME SELECT * FROM new_scores ON CONFLICT DO NOTHING")
            if verdicts:
                self._connection.execute(
                    "UPDATE trials SET outcome = v.outcome, primary_score = v.primary_score, score = v.score "
                    "FROM new_verdicts v WHERE v.trial_id = trials.trial_id"
                )
            self._learn({(score.metric, score.name) for group in scores.values() for score in group})

    def fill_channels(self, columns: Mapping[str, Mapping[str, Any]]) -> None:
        """Give stored trials that lack it what the codec's decoder made of their pages: the ``channel_`` columns, by trial id."""
        if not columns:
            return
        names = next(iter(columns.values())).keys()
        sets = ", ".join(f"{name} = ?" for name in names)
        with interrupts_wait(), self._transaction():
            for trial_id, values in columns.items():
                self._connection.execute(
                    f"UPDATE trials SET {sets} WHERE trial_id = ? AND channel_cer IS NULL", [*(values[name] for name in names), trial_id]
                )

    def _learn(self, names: set[tuple[str, str]]) -> None:
        """Give new score names their columns in ``results``."""
        if names <= self._score_names:
            return
        known = self._score_names | names
        views.refresh(self._connection, known)
        self._score_names = known

    def keep_images(self, result: TrialResult, images: Sequence[Image.Image]) -> TrialResult:
        """Keep a trial's pages beside the store if :attr:`images` asks for it; the result with the paths of what was kept.

        Raises:
            StoreError: a page could not be written.
        """
        return pages.keep(pages.image_folder(self.path), self.images, result, images)

    def query(self, sql: str, parameters: Parameters | None = None) -> Table:
        """All rows that one reading SQL statement gives.

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
            self._reader = self._connection.cursor()
            for statement in self._views:
                self._reader.execute(statement)
        except duckdb.Error as error:
            raise store_error(self.path, error) from error
        return self._reader

    def close(self) -> None:
        """Close the file; closing it twice is harmless."""
        if self._reader is not None:
            self._reader.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _as_store_error(path: Path, error: BaseException) -> BaseException:
    return store_error(path, error) if isinstance(error, duckdb.Error) else error
