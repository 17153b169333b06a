"""Plots of stored results: ``ctxbench plot`` and :func:`plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctxbench

if TYPE_CHECKING:
    from ctxbench.store import Store
    from ctxbench_report.data import Filters


@ctxbench.hookimpl
def ctxbench_commands(cli: Any) -> None:
    from ctxbench_report.command import command

    cli.add_command(command)


def plot(store: Store | Path | str, kind: str, path: Path | str, *, filters: Filters | None = None) -> Path:
    """Draw one plot into a file, whose ending says the format (``.png`` or ``.svg``), and return its path.

    Args:
        store: an open :class:`ctxbench.Store`, or the path of one, which is then opened read-only.
        kind: ``cost-accuracy``, ``ratio-accuracy``, ``robustness`` or ``depth-length``.
        path: the file to write; an existing one is replaced.
        filters: which trials to draw; all if ``None``.

    Raises:
        UsageError: another kind or ending.
        NothingToPlot: the store has no rows for this plot.
        StoreError: the store cannot be opened.
    """
    from ctxbench_report.plots import plot as draw

    return draw(store, kind, Path(path), filters)


__all__ = ["plot"]
