"""How every plot looks: colours and markers of codecs, panels in a grid, and files that are the same bytes each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from ctxbench import UsageError
from ctxbench.files import write_whole

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")
"""Okabe and Ito's palette (Color universal design, 2008), which the common kinds of colour blindness keep apart; yellow, too faint on
white, is made darker."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MAX_PANELS = 60

RC: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "ctxbench",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.7,
}
"""``parse_math`` off: a dollar sign in a name is a dollar sign. The salt makes the ids in an SVG the same each time. Fonts of type 42
stay text in a PDF, which publishers ask for."""

_DATELESS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
"""Metadata by format: without what would differ each time."""


class TooManyPanels(UsageError):  # noqa: N818 - it reads as what it says
    """A figure would have more panels than anybody could read."""


@attrs.frozen
class Look:
    """Colour and marker of each codec."""

    codecs: Sequence[str]

    def of(self, codec: str) -> dict[str, Any]:
        """Colour and marker of a codec, as keyword arguments of ``plot``."""
        place = list(self.codecs).index(codec)
        return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]}

    def legend(self, figure: Figure, shown: Sequence[str], extra: Sequence[Line2D] = (), names_of_extra: Sequence[str] = ()) -> None:
        """One legend below all panels, where it covers nothing: the codecs shown, and what else there is to tell."""
        names = [codec for codec in self.codecs if codec in shown]
        handles = [Line2D([], [], markersize=6, linewidth=1.4, **self.of(codec)) for codec in names]
        labels = [short(codec) if not codec.startswith("_") else f" {short(codec)}" for codec in names]
        width = max(map(len, labels), default=1) * 0.07 + 0.5
        columns = max(1, min(len(labels) + len(extra), int(figure.get_figwidth() / width)))
        figure.legend([*handles, *extra], [*labels, *names_of_extra], loc="outside lower center", ncols=columns)


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib's defaults and ours, whatever the user's own settings are, and theirs again afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def panels(
    rows: Sequence[str], columns: Sequence[str], title: str, size: tuple[float, float], *, same_axes: bool = False, **share: Any
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of panels with a heading over each column and a label at the right of each row; ``size`` of a panel in inches.

    Args:
        same_axes: all panels get the same limits and ticks, so that the outer ones alone need numbers at them. Matplotlib's own
            ``sharex`` and ``sharey`` do as much in a time that grows with the square of the number of panels.

    Raises:
        TooManyPanels: there would be too many to read.
    """
    if len(rows) * len(columns) > MAX_PANELS:
        raise TooManyPanels(f"{len(rows)} x {len(columns)} panels are too many to read; choose with --model, --task, --codec or --augment")
    width, height = max(size[0] * len(columns) + 0.7, 5.2), size[1] * len(rows) + 1.5
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False, **share)
    if same_axes:
        for panel in (panel for row in axes[:-1] for panel in row):
            panel.tick_params(axis="x", labelbottom=False)
        for panel in (panel for row in axes for panel in row[1:]):
            panel.tick_params(axis="y", labelleft=False)
    for column, heading in enumerate(columns):
        axes[0][column].set_title(wrapped(short(heading), int(size[0] * 12)))
    for row, label in enumerate(rows):
        right = axes[row][-1]
        right.annotate(
            wrapped(short(label, 90), int(size[1] * 12)),
            (1, 0.5),
            (8, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            rotation=270,
            va="center",
            ha="left",
        )
    heading, _, note = title.partition("\n")
    figure.suptitle(f"{heading}\n{wrapped(note, int(width * 12))}", fontsize=10, linespacing=1.35)
    return figure, [list(row) for row in axes]


def axis_labels(axes: list[list[Axes]], x: str, y: str) -> None:
    """Label the lowest panel of each column and the left one of each row."""
    for panel in axes[-1]:
        panel.set_xlabel(x)
    for row in axes:
        row[0].set_ylabel(y)


def accuracy_axis(axes: Axes) -> None:
    """Accuracy in per cent, with room for markers at 0 and 100 %."""
    axes.set_ylim(-0.05, 1.05)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def log_axis(axes: Axes, values: Sequence[float], form: Callable[[float], str]) -> None:
    """A logarithmic x axis over ``values`` with at least two round numbers written out."""
    low, high = min(values) / 1.25, max(values) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(round_numbers(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))


def round_numbers(low: float, high: float) -> list[float]:
    """Two to seven round numbers between two positive bounds, even on a logarithmic scale."""
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(x / 10 for x in range(10, 100))):
        candidates = [float(f"{digit}e{power}") for power in range(-6, 12) for digit in digits]
        inside = [value for value in candidates if low <= value <= high]
        if len(inside) > 7 and len(found) >= 2:
            break
        found = inside
        if len(found) >= 4:
            break
    return found if len(found) <= 7 else found[:: -(-len(found) // 7)]


def short(name: str, longest: int = 48) -> str:
    """A name on one line, its middle left out if it is longer than any label should be."""
    line = " ".join("".join(character if character.isprintable() else " " for character in name).split())
    return line if len(line) <= longest else f"{line[: longest // 2]}…{line[1 - longest // 2 :]}"


def wrapped(text: str, width: int) -> str:
    """A label on as many lines as it needs, broken after spaces and the punctuation of names if it can be."""
    lines = [""]
    for part in re.split(r"(?<=[\s:,/+@=])", text):
        fits = len(part.rstrip(" ,")) <= width
        for piece in [part] if fits else [part[i : i + width] for i in range(0, len(part), width)]:
            if lines[-1] and len(lines[-1]) + len(piece.rstrip(" ,")) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.strip() for line in lines)


def count_range(counts: Sequence[int]) -> str:
    """``24``, or ``6 to 24``."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _canvas(kind: str) -> Any:
    if kind == "png":
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        return FigureCanvasAgg
    if kind == "svg":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        return FigureCanvasSVG
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    return FigureCanvasPdf


def file_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as a file of format ``png``, ``svg`` or ``pdf``, the same bytes each time. Its layout is made once and kept."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # it draws a box, which says as much
        # savefig would make the layout and draw everything twice, for each file again.
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        dpi = figure.dpi
        try:
            canvas: Any = _canvas(kind)(figure)
            getattr(canvas, f"print_{kind}")(buffer, metadata=_DATELESS[kind])
        finally:
            figure.dpi = dpi  # the vector formats set their own
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all; the ending of ``path`` is the format."""
    write_whole(path, file_bytes(figure, path.suffix[1:].lower()))
