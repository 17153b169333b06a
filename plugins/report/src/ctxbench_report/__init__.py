"""Plots and reports of stored results: ``ctxbench plot`` and ``ctxbench report``, :func:`figure`, :func:`plot` and :func:`report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctxbench

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ctxbench.store import Store
    from ctxbench_report.building import Report
    from ctxbench_report.characters import Confusion
    from ctxbench_report.data import Filters
    from ctxbench_report.positions import PageErrors


@ctxbench.hookimpl
def ctxbench_commands(cli: Any) -> None:
    from ctxbench_report import characters_command, command, report_command

    cli.add_command(command.command)
    cli.add_command(report_command.command)
    cli.add_command(characters_command.command)


def plot(store: Store | Path | str, kind: str, path: Path | str, *, filters: Filters | None = None) -> Path:
    """Draw one plot into a file, whose ending says the format (``.png``, ``.svg`` or ``.pdf``), and return its path.

    Args:
        store: an open :class:`ctxbench.Store`, or the path of one, which is then opened read-only.
        kind: ``cost-accuracy``, ``ratio-accuracy``, ``robustness``, ``frontier``, ``attribution``, ``outcomes``, ``depth-length``,
            ``prior-gap``, ``trust``, ``confusions``, ``page-position`` or ``costs``.
        path: the file to write; an existing one is replaced.
        filters: which trials to draw; all if ``None``.

    Raises:
        UsageError: another kind or ending.
        NothingToPlot: the store has no rows for this plot, or too few to say anything.
        StoreError: the store cannot be opened.
    """
    from ctxbench_report.plots import plot as draw

    return draw(store, kind, Path(path), filters)


def figure(store: Store | Path | str, kind: str, *, filters: Filters | None = None) -> Figure:
    """One plot as a matplotlib figure, to show in a notebook or to change before it is saved.

    Arguments and errors are those of :func:`plot`.
    """
    from ctxbench_report.plots import figure as make

    return make(store, kind, filters)


def report(
    store: Store | Path | str,
    path: Path | str = "report.html",
    *,
    filters: Filters | None = None,
    title: str | None = None,
    samples: int = 2_000,
    embed_mb: float = 2.0,
    logs: Sequence[Path] = (),
) -> Report:
    """Write everything that a store says into one HTML file that loads nothing from a network, and say what is in it.

    The same store gives the same file.

    Args:
        store: an open :class:`ctxbench.Store`, or the path of one, which is then opened read-only.
        path: the file to write; an existing one is replaced.
        filters: which trials it is about; all if ``None``.
        title: its heading; ``None`` makes one of the names of the runs.
        samples: trials that it lets people look at, of every outcome in every cell the same number as far as there are any.
        embed_mb: megabytes of page images inside the file; the others are shown from the folder beside the store.
        logs: training logs to draw learning curves of.

    Raises:
        UsageError: a negative number.
        NothingToPlot: the store has no trial, or none that passes the filters.
        CtxbenchError: the file cannot be written.
        StoreError: the store cannot be opened.
    """
    from ctxbench.store import Store
    from ctxbench_report.building import write_report
    from ctxbench_report.data import Filters

    if not isinstance(store, Store):
        with Store.open_read_only(store) as opened:
            return report(opened, path, filters=filters, title=title, samples=samples, embed_mb=embed_mb, logs=logs)
    return write_report(store, Path(path), filters or Filters(), title=title, most_samples=samples, embed_mb=embed_mb, logs=logs)


def confusions(store: Store | Path | str, *, filters: Filters | None = None) -> list[Confusion]:
    """Which characters were said in place of which, for each reader and codec, the most frequent first; errors as of :func:`plot`."""
    from ctxbench.store import Store
    from ctxbench_report.characters import confusions as count
    from ctxbench_report.data import Filters, check

    if not isinstance(store, Store):
        with Store.open_read_only(store) as opened:
            return confusions(opened, filters=filters)
    check(store, filters or Filters())
    return count(store, filters or Filters())


def page_errors(store: Store | Path | str, *, filters: Filters | None = None) -> PageErrors:
    """How often characters came back wrong by where on the page they stood; errors are those of :func:`plot`."""
    from ctxbench.store import Store
    from ctxbench_report.data import Filters, check
    from ctxbench_report.positions import page_errors as count

    if not isinstance(store, Store):
        with Store.open_read_only(store) as opened:
            return page_errors(opened, filters=filters)
    check(store, filters or Filters())
    return count(store, filters or Filters())


__all__ = ["confusions", "figure", "page_errors", "plot", "report"]
