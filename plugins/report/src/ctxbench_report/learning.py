"""Loss over optimizer steps, from the logs that training writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ctxbench import UsageError
from ctxbench_report.style import COLOURS, axis_labels, panels

Points = list[tuple[float, float]]
A_ROW = 4
STYLES = ("-", "--", ":")


def read_log(path: Path) -> dict[str, dict[str, Points]]:
    """Panels of lines of (step, loss) of a log: ``log.jsonl`` of ``ctxbench train``, or a CSV file with columns ``step`` and ``loss``.

    A column ``stage`` makes a panel of each stage, a column ``track`` a line of each track.

    Raises:
        UsageError: the file cannot be read, or has no such rows.
    """
    found: dict[str, dict[str, Points]] = {}
    try:
        rows = list(_rows(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no training log: {getattr(error, 'strerror', None) or error}") from None
    for row in rows:
        for key, name in (("loss", str(row.get("track") or "training")), ("val_loss", "validation")):
            step, loss = _number(row.get("step")), _number(row.get(key))
            if step is not None and loss is not None:
                panel = str(row.get("stage") or path.parent.name or path.stem)
                found.setdefault(panel, {}).setdefault(name, []).append((step, loss))
    if not found:
        raise UsageError(f"{path}: no row has a step and a loss; give log.jsonl of ctxbench train, or a CSV file with these columns")
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            yield from csv.DictReader(file)
            return
        for line in file:
            row = json.loads(line) if line.strip() else {}
            if isinstance(row, dict):
                yield row


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def learning_curve(logs: Sequence[Path]) -> Figure:
    """Loss in nats a token over steps, a panel for each log and stage, up to four in a row; the loss is on a logarithmic scale."""
    drawn: dict[str, dict[str, Points]] = {}
    for path in logs:
        drawn |= read_log(path)
    names = list(dict.fromkeys(name for lines in drawn.values() for name in lines))
    title = "Learning\nloss on the answer's tokens, given the right ones before"
    columns = min(len(drawn), A_ROW)
    figure, axes = panels([""] * -(-len(drawn) // columns), [""] * columns, title, (2.6, 2.6), sharey=True)
    axis_labels(axes, "", "loss (nats a token)")
    places = [panel for row in axes for panel in row]
    for panel, (heading, lines) in zip(places, drawn.items(), strict=False):
        panel.set_title(heading)
        panel.set_xlabel("optimizer step")
        for name, points in lines.items():
            place = names.index(name)
            _line(panel, sorted(points), COLOURS[place % len(COLOURS)], STYLES[place // len(COLOURS) % len(STYLES)], name)
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_major_locator(MaxNLocator(4))
    for panel in places[len(drawn) :]:
        panel.set_visible(False)
    shown = {line.get_label(): line for panel in places for line in panel.get_lines()}
    figure.legend(list(shown.values()), [str(name) for name in shown], loc="outside lower center", ncols=min(len(shown), 5))
    return figure


def _line(panel: Axes, points: Points, colour: str, style: str, label: str) -> None:
    panel.plot([x for x, _ in points], [max(y, 1e-5) for _, y in points], style, color=colour, linewidth=1.2, label=label)
