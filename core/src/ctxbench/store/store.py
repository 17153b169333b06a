"""The results store: opening it, and writing runs, trials, scores and pages."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import duckdb
from PIL import Image

from ctxbench.errors import StoreError
from ctxbench.results import Outcome, RunRecord, ScoreRow, TrialResult
from ctxbench.store import migrations, pages
from ctxbench.store.connection import connect, store_error
from ctxbench.store.database import Database
from ctxbench.store.inserts import insert, insert_scores
from ctxbench.store.interrupts import interrupts_wait
from ctxbench.store.queries import Queries
from ctxbench.store.rows import RUN_COLUMNS, id_table, json_text, page_table, score_table, storable_text, trial_table, verdict_table

ENDINGS = ("finished", "interrupted", "failed")


@attrs.frozen
class StoredTrial:
    """The columns of a stored trial that a run needs to decide what is left to do.

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
    """The outcome of a stored answer by the score that decides *correct*."""

    outcome: Outcome
    primary_score: str
    score: float


class Store(Queries):
    """An open results store; a context manager. Use :meth:`open` or :meth:`open_read_only`. One thread at a time.

    Attributes:
        images: which page images :meth:`keep_images` keeps.
    """

    def __init__(self, database: Database, images: str) -> None:
        super().__init__(database)
        self.images = images

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
                store = cls(Database(connection, path, False), images)
                store.database.prepare()
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
                store = cls(Database(connection, path, True), "none")
                store.database.find_outdated_views()
            except BaseException as error:
                connection.close()
                raise _as_store_error(path, error) from None
        return store

    def start_run(self, run: RunRecord) -> None:
        """Add a run, as ``running``."""
        names = [column.name for column in RUN_COLUMNS]
        values = [json_text(getattr(run, c.name)) if c.is_json else getattr(run, c.name) for c in RUN_COLUMNS]
        marks = ", ".join("?" * len(names))
        with interrupts_wait(), self.database.transaction():
            self.database.connection.execute(
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
        with interrupts_wait(), self.database.transaction():
            self.database.connection.execute(
                "UPDATE runs SET status = ?, finished_at = ?, finished = ?, errors = ?, spent_usd = ?, idle_share = ? WHERE run_id = ?",
                [status, datetime.datetime.now(datetime.UTC), *(counts.get(name, 0) for name in ("finished", "errors")), *known, run_id],
            )

    @property
    def is_empty(self) -> bool:
        """True if no trial is stored."""
        with interrupts_wait():
            return self.database.connection.execute("SELECT 1 FROM trials LIMIT 1").fetchall() == []

    def stored(self, trial_ids: Iterable[str]) -> dict[str, StoredTrial]:
        """The stored ones of these trials, by id."""
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
        """Prediction and finish reason of each of these trials that is stored without an error."""
        sql = """SELECT t.trial_id, t.prediction, coalesce(t.finish_reason, 'stop') FROM trials t JOIN wanted_ids USING (trial_id)
            WHERE t.status = 'ok' AND t.prediction IS NOT NULL"""
        return {str(trial_id): (str(text), str(reason)) for trial_id, text, reason in self._by_id(sql, trial_ids)}

    def _by_id(self, sql: str, trial_ids: Iterable[str]) -> list[tuple[Any, ...]]:
        with interrupts_wait(), self.database.registered(wanted_ids=id_table(trial_ids)):
            try:
                return self.database.connection.execute(sql).fetchall()
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
        with interrupts_wait(), self.database.registered(**tables), self.database.transaction():
            insert(self.database.connection, replace_errors="TRUE" if replace else None)
            self.database.learn_scores(names)

    def append_scores(self, scores: Mapping[str, Sequence[ScoreRow]], verdicts: Mapping[str, Verdict] | None = None) -> None:
        """Add scores to stored trials, in one transaction; a score that is there already is left as it is.

        Args:
            verdicts: outcome and deciding score of trials whose deciding score is among the new ones.
        """
        table = score_table(scores, datetime.datetime.now(datetime.UTC))
        verdicts = verdicts or {}
        with (
            interrupts_wait(),
            self.database.registered(new_scores=table, new_verdicts=verdict_table(verdicts)),
            self.database.transaction(),
        ):
            insert_scores(self.database.connection)
            if verdicts:
                self.database.connection.execute(
                    "UPDATE trials SET outcome = v.outcome, primary_score = v.primary_score, score = v.score "
                    "FROM new_verdicts v WHERE v.trial_id = trials.trial_id"
                )
            self.database.learn_scores({(score.metric, score.name) for group in scores.values() for score in group})

    def fill_channels(self, columns: Mapping[str, Mapping[str, Any]]) -> None:
        """Give stored trials that lack it what the codec's decoder made of their pages: the ``channel_`` columns, by trial id."""
        if not columns:
            return
        names = next(iter(columns.values())).keys()
        sets = ", ".join(f"{name} = ?" for name in names)
        with interrupts_wait(), self.database.transaction():
            for trial_id, values in columns.items():
                self.database.connection.execute(
                    f"UPDATE trials SET {sets} WHERE trial_id = ? AND channel_cer IS NULL", [*(values[name] for name in names), trial_id]
                )

    def keep_images(self, result: TrialResult, images: Sequence[Image.Image]) -> TrialResult:
        """Keep a trial's pages beside the store if :attr:`images` asks for it; the result with the paths of what was kept.

        Raises:
            StoreError: a page could not be written.
        """
        return pages.keep(pages.image_folder(self.path), self.images, result, images)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _as_store_error(path: Path, error: BaseException) -> BaseException:
    return store_error(path, error) if isinstance(error, duckdb.Error) else error
