"""The progress bar on stderr: trials, rate, time left. Nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ctxbench.engine import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class RichProgress:
    """A rich progress bar."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._errors = 0

    def start(self, planned: int, stored: int) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("trials", total=planned, completed=stored, rate="")
        self._bar.start()

    def advance(self, finished: int, errors: int) -> None:
        """Move the bar."""
        if self._bar is None or self._task is None:
            return
        self._errors += errors
        speed = self._bar.tasks[0].speed
        rate = "" if speed is None else f"{speed:.1f}/s"
        if self._errors:
            rate += f" {self._errors} errors"
        self._bar.update(self._task, advance=finished, rate=rate)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


def make_progress() -> Progress:
    """A bar if stderr is a terminal, else nothing."""
    return RichProgress() if sys.stderr.isatty() else Silent()
