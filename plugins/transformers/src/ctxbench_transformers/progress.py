"""One line of progress on standard error, and none where that is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """Counts up to ``total``; shows the count, the rate and the time left at most four times a second."""

    def __init__(self, label: str, total: int, start: int = 0) -> None:
        self.label, self.total, self.count, self.first = label, total, start, start
        self.shown = 0.0
        self.began = time.monotonic()
        self.visible = sys.stderr.isatty()

    def advance(self, note: str = "", steps: int = 1) -> None:
        """Count ``steps`` more."""
        self.count += steps
        now = time.monotonic()
        if self.visible and (now - self.shown > 0.25 or self.count == self.total):
            self.shown = now
            rate = (self.count - self.first) / max(now - self.began, 1e-9)
            left = (self.total - self.count) / rate if rate else 0
            line = f"{self.label} {self.count}/{self.total}  {rate:.2f}/s  {left:.0f} s left  {note}"
            sys.stderr.write(f"\r\x1b[K{line[:110]}")
            sys.stderr.flush()

    def say(self, line: str) -> None:
        """A line that stays, also where standard error is no terminal."""
        sys.stderr.write(f"\r\x1b[K{line}\n" if self.visible else f"{line}\n")
        sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.visible and self.shown:
            sys.stderr.write("\n")
