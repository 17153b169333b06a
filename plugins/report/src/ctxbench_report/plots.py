"""The kinds of plot, and drawing one of them into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ctxbench import UsageError
from ctxbench.store import Store
from ctxbench_report import bars, characters, curves, dots, heatmap, learning, positions
from ctxbench_report.data import Filters, check
from ctxbench_report.style import save, settings

KINDS: dict[str, Callable[[Store, Filters], Figure]] = {
    "cost-accuracy": curves.cost_accuracy,
    "ratio-accuracy": curves.ratio_accuracy,
    "robustness": curves.robustness,
    "frontier": curves.frontier,
    "attribution": bars.attribution,
    "outcomes": bars.outcome_shares,
    "depth-length": heatmap.depth_length,
    "prior-gap": dots.prior_gap,
    "trust": dots.trust,
    "confusions": characters.confusion_matrix,
    "page-position": positions.page_position,
    "costs": dots.costs,
}

FORMATS = ("png", "svg", "pdf")


def plot(store: Store | Path | str, kind: str, path: Path, filters: Filters | None = None) -> Path:
    """See :func:`ctxbench_report.plot`."""
    if path.suffix[1:].lower() not in FORMATS:
        raise UsageError(f"{path}: a plot is written as png, svg or pdf; end the file name in one of these")
    if isinstance(store, Store):
        return draw(store, kind, [path], filters or Filters())[0]
    with Store.open_read_only(store) as opened:
        return draw(opened, kind, [path], filters or Filters())[0]


def figure(store: Store | Path | str, kind: str, filters: Filters | None = None) -> Figure:
    """See :func:`ctxbench_report.figure`."""
    if not isinstance(store, Store):
        with Store.open_read_only(store) as opened:
            return figure(opened, kind, filters)
    if kind not in KINDS:
        raise UsageError(f"no plot named {kind!r}; there are: {', '.join(KINDS)}")
    check(store, filters or Filters())
    with settings():
        return KINDS[kind](store, filters or Filters())


def draw(store: Store, kind: str, paths: list[Path], filters: Filters) -> list[Path]:
    """Draw one plot and write it to every path.

    Raises:
        UsageError: no such kind.
        NothingToPlot: the store has no rows for it.
    """
    drawn = figure(store, kind, filters)
    with settings():
        for path in paths:
            save(drawn, path)
    return paths


def draw_learning(logs: Sequence[Path], paths: list[Path]) -> list[Path]:
    """Draw the learning curves of training logs and write them to every path.

    Raises:
        UsageError: no log, or one without steps and losses.
    """
    if not logs:
        raise UsageError("learning-curve draws training logs: name one with --log, such as --log adapters/NAME/log.jsonl")
    with settings():
        figure = learning.learning_curve(logs)
        for path in paths:
            save(figure, path)
    return paths
