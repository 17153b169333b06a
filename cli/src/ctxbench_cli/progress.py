"""Progress bars on stderr: count, rate, time left. Nothing is shown where stderr is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from ctxbench.engine import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Display


class Bar:
    """One bar from ``start`` to ``total``; a context manager, for plugins' commands too. It is removed at the end.

    Attributes:
        visible: false where stderr is no terminal, or where the caller asked for none.
    """

    def __init__(self, label: str, total: int, start: int = 0, *, visible: bool = True) -> None:
        self.visible = visible and sys.stderr.isatty()
        self._label, self._total, self._start = label, total, start
        self._display: Display | None = None

    def __enter__(self) -> Bar:
        if self.visible:
            self._display = _display()
            self._display.add_task(self._label, total=self._total, completed=self._start, note="")
            self._display.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._display is not None:
            self._display.stop()

    def advance(self, note: str = "", steps: int = 1) -> None:
        """Count ``steps`` more; ``note`` stands beside the rate."""
        if self._display is not None:
            task = self._display.tasks[0]
            rate = "" if task.speed is None else f"{task.speed:.1f}/s "
            self._display.update(task.id, advance=steps, note=rate + note)

    def say(self, line: str) -> None:
        """Print a line that stays, on stderr, also where no bar is shown."""
        if self._display is not None:
            self._display.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def _display() -> Display:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Display(*columns, console=Console(stderr=True), transient=True)


class RunProgress:
    """The bar of a run: its trials, and how many of them are errors."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._errors = 0

    def start(self, planned: int, stored: int) -> None:
        """Show the bar."""
        self._bar = Bar("trials", planned, stored).__enter__()

    def advance(self, finished: int, errors: int) -> None:
        """Move the bar."""
        self._errors += errors
        if self._bar is not None:
            self._bar.advance(f"{self._errors} errors" if self._errors else "", finished)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def make_progress() -> Progress:
    """A bar if stderr is a terminal, else nothing."""
    return RunProgress() if sys.stderr.isatty() else Silent()
