"""Gathers rows and stores them a batch at a time, each batch in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import attrs
from PIL import Image

from ctxbench.engine.progress import Progress
from ctxbench.engine.report import RunReport
from ctxbench.errors import CtxbenchError
from ctxbench.plugin import PluginManager
from ctxbench.results import TrialResult
from ctxbench.store import Store
from ctxbench.store.interrupts import interrupts_wait

FLUSH_ROWS = 1024
FLUSH_SECONDS = 2.0


@attrs.define
class Writer:
    """Writes the rows of one run, calls the hook ``ctxbench_trial_finished``, and reports progress."""

    store: Store
    run_id: str
    manager: PluginManager
    progress: Progress
    report: RunReport
    replace: bool
    fail_fast: bool
    _rows: list[TrialResult] = attrs.field(factory=list, init=False)
    _flushed: float = attrs.field(factory=time.monotonic, init=False)

    def add(self, row: TrialResult, pages: Sequence[Image.Image] = ()) -> None:
        """Take a row; it is stored within two seconds, and with the 1,024th row.

        Raises:
            StoreError: it could not be written.
            CtxbenchError: it is an error, and the run is to stop at the first.
        """
        self.keep(row, pages)
        stop = self.fail_fast and row.status == "error"
        if stop or len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()
        if stop:
            raise CtxbenchError(f"stopped at the first failure (--fail-fast): {row.error_stage}: {row.error_type}: {row.error_message}")

    def keep(self, row: TrialResult, pages: Sequence[Image.Image] = ()) -> None:
        """Queue a row for the next :meth:`flush`, whatever it says.

        Raises:
            StoreError: a page could not be written.
        """
        self._rows.append(self.store.keep_images(row, pages))

    def flush(self) -> None:
        """Store the rows that are queued."""
        rows, self._rows = self._rows, []
        self._flushed = time.monotonic()
        if not rows:
            return
        errors = sum(row.status == "error" for row in rows)
        with interrupts_wait():  # what is stored is counted
            self.store.append(self.run_id, rows, replace=self.replace)
            self.report.finished += len(rows)
            self.report.errors += errors
            self.progress.advance(len(rows), errors)
        for row in rows:
            self.manager.trial_finished(row)

    def close(self, status: Literal["finished", "interrupted", "failed"]) -> None:
        """Store the rows that are queued, and record how the run ended."""
        self.flush()
        counts: dict[str, float | None] = {
            "finished": self.report.finished,
            "errors": self.report.errors,
            "spent_usd": self.report.spent_usd,
        }
        counts["idle_share"] = self.report.idle_share
        self.store.finish_run(self.run_id, status, counts)
