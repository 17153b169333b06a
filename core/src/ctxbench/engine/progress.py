"""How a run tells whoever watches it how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of every step, always from the process that called :func:`ctxbench.run`."""

    def start(self, planned: int, stored: int) -> None:
        """The run begins: ``planned`` trials in all, ``stored`` of them finished by an earlier run."""

    def advance(self, finished: int, errors: int) -> None:
        """``finished`` more trials are in the store, ``errors`` of them as errors."""

    def stop(self) -> None:
        """The run is over, however it ended."""


class Silent:
    """Tells nobody."""

    def start(self, planned: int, stored: int) -> None:
        """Nothing to do."""

    def advance(self, finished: int, errors: int) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""
