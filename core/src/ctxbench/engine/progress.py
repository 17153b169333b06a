"""The interface through which a run reports its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a run. Its methods are called in the process that called :func:`ctxbench.run`."""

    def start(self, planned: int, stored: int) -> None:
        """The run begins: ``planned`` trials in all, ``stored`` of them finished by an earlier run."""

    def advance(self, finished: int, errors: int) -> None:
        """``finished`` more trials are in the store, ``errors`` of them as errors."""

    def stop(self) -> None:
        """The run is over, however it ended."""


class Silent:
    """Ignores all progress."""

    def start(self, planned: int, stored: int) -> None:
        """Nothing to do."""

    def advance(self, finished: int, errors: int) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""
