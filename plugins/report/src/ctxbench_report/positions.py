"""Errors by position on the page: where the characters stood that were not given back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ctxbench import Codec, CtxbenchError, Registry, load_plugins
from ctxbench.store import Store
from ctxbench_report.answers import Answer, compare
from ctxbench_report.data import Filters, NothingToPlot, codecs, counted, summary_rows
from ctxbench_report.style import axis_labels, panels

COLUMNS, ROWS = 8, 10
"""Squares that a page is divided into."""

LEAST_ANSWERS = 5
LEAST_CHARACTERS = 30
"""Answers and characters from which on a square is drawn."""

MOST_TEXTS = 400
"""Texts of a codec whose characters are placed."""

Z = 1.959963984540054
Places = list[tuple[int, float, float] | None]


@attrs.frozen
class Square:
    """A part of the pages of one reader and codec: column from the left, row from the top, of :data:`COLUMNS` and :data:`ROWS`.

    Attributes:
        answers, characters, wrong: answers with a character there, their expected characters there, and those that were wrong or missing.
        half: half the width of the 95 % interval of the rate, clustered by answer; ``None`` below :data:`LEAST_ANSWERS`.
    """

    model: str
    codec: str
    column: int
    row: int
    answers: int
    characters: int
    wrong: int
    half: float | None

    @property
    def rate(self) -> float:
        """Share of the characters that were wrong or missing."""
        return self.wrong / self.characters

    @property
    def enough(self) -> bool:
        """True if there is enough to say anything."""
        return self.answers >= LEAST_ANSWERS and self.characters >= LEAST_CHARACTERS


@attrs.frozen
class PageErrors:
    """Squares of every reader and codec that can be placed, and for the other codecs the reason why not."""

    squares: list[Square]
    unplaced: dict[str, str]


def page_errors(store: Store, filters: Filters) -> PageErrors:
    """Errors of answers that were to be the whole context, by where the codec drew each character, all pages together.

    The context of other questions is not in the store. Where it is, the installed codec, of the version that made the pages, says where
    it draws each character (:meth:`ctxbench.Codec.places`); nothing is drawn or read again. Positions are those before augmentation.
    """
    registry = load_plugins()
    answers = [answer for answer in compare(store, filters).answers if _is_context(answer)]
    makers: dict[str, Codec | str] = {}
    rows = {row["cell"]: row for row in summary_rows(store)}
    names = _names(store)
    placed: dict[tuple[str, str], Places | None] = {}
    sums: dict[tuple[str, str, int, int], list[tuple[int, int]]] = {}
    for answer in answers:
        label = answer.cell.codec
        maker = makers.setdefault(label, _maker(registry, names, rows[answer.cell.id]))
        if isinstance(maker, str):
            continue
        key = label, answer.expected
        if key not in placed:
            if sum(known == label for known, _ in placed) >= MOST_TEXTS:
                continue
            placed[key] = _places(maker, answer.expected)
        found = placed[key]
        if found is None:
            makers[label] = "it cannot say where on a page a character stands"
            continue
        for (column, row), counts in _squares(answer, found).items():
            sums.setdefault((answer.cell.model, label, column, row), []).append(counts)
    unplaced = {label: maker for label, maker in makers.items() if isinstance(maker, str)}
    squares = [_square(key, counts) for key, counts in sorted(sums.items()) if key[1] not in unplaced]
    return PageErrors(squares, unplaced)


def _is_context(answer: Answer) -> bool:
    return answer.context_sha256 == hashlib.sha256(answer.expected.encode("utf-8", "replace")).hexdigest()


def _names(store: Store) -> dict[str, str]:
    """Name of the codec behind each label that a run gave one."""
    found = {}
    for (config,) in store.query("SELECT DISTINCT config FROM runs").rows:
        for codec in json.loads(config or "{}").get("codecs") or ():
            if isinstance(codec, dict) and codec.get("name"):
                found[str(codec.get("label") or codec["name"])] = str(codec["name"])
    return found


def _maker(registry: Registry, names: Mapping[str, str], row: Mapping[str, Any]) -> Codec | str:
    """The codec that made a cell's pages, or why it cannot be asked."""
    name = names.get(row["codec"], row["codec"])
    options = json.loads(row["codec_config"] or "{}")
    try:
        made = registry.codec(name, **{key: value for key, value in options.items() if value is not None})
    except CtxbenchError as error:
        return f"the codec cannot be made again: {error}"
    stored, installed = str(row["codec_version"] or "").rpartition("/")[2], str(made.version)
    if stored and stored != installed:
        return f"its pages were made by version {stored}, and {installed} is installed"
    return made


def _places(codec: Codec, text: str) -> Places | None:
    try:
        return codec.places(text)
    except CtxbenchError:
        return None


def _squares(answer: Answer, places: Places) -> dict[tuple[int, int], tuple[int, int]]:
    """(characters, wrong ones) of each square; an added character is no error of a place."""
    wrong = {at for kind, at, _ in answer.edits if kind != "insert"}
    found: dict[tuple[int, int], list[int]] = {}
    for at, place in enumerate(places[: len(answer.expected)]):
        if place is None:
            continue
        counts = found.setdefault((min(COLUMNS - 1, int(place[1] * COLUMNS)), min(ROWS - 1, int(place[2] * ROWS))), [0, 0])
        counts[0] += 1
        counts[1] += at in wrong
    return {square: (counts[0], counts[1]) for square, counts in found.items()}


def _square(key: tuple[str, str, int, int], counts: list[tuple[int, int]]) -> Square:
    """The rate with a standard error clustered by answer: that of a ratio of sums over answers, linearised."""
    characters, wrong = (sum(count[i] for count in counts) for i in (0, 1))
    rate, n = wrong / characters, len(counts)
    half = None
    if n >= LEAST_ANSWERS:
        residuals = sum((bad - rate * size) ** 2 for size, bad in counts)
        half = Z * math.sqrt(n / (n - 1) * residuals) / characters
    return Square(*key, n, characters, wrong, half)


def page_position(store: Store, filters: Filters) -> Figure:
    """Share of characters that came back wrong, by where on the page they stood; a panel for each reader (rows) and codec (columns)."""
    found = page_errors(store, filters)
    drawn = [square for square in found.squares if square.enough]
    if not drawn:
        raise NothingToPlot(f"{store.path}: {_reason(found)}")
    rows = sorted({square.model for square in drawn})
    columns = [codec for codec in codecs(store) if any(square.codec == codec for square in drawn)]
    halves = [100 * square.half for square in drawn if square.half] or [0.0]
    note = f"{sum(square.characters for square in found.squares):,} characters; tasks, lengths and augmentations of a panel together; 95 %"
    note += f" intervals of squares with errors, clustered by answer, are ±{min(halves):.1f} to ±{max(halves):.1f} points; positions as"
    note += " drawn, before damage"
    note += "; hatched: too few characters" if len(drawn) < len(found.squares) else ""
    note += f"; not placed: {', '.join(sorted(found.unplaced))}" if found.unplaced else ""
    figure, axes = panels(rows, columns, f"Wrong characters by position on the page\n{note}", (2.5, 3.0))
    top = max(square.rate for square in drawn) or 0.01
    for i, model in enumerate(rows):
        for j, codec in enumerate(columns):
            image = _panel(axes[i][j], [s for s in found.squares if (s.model, s.codec) == (model, codec)], top)
    bar = figure.colorbar(image, ax=[panel for row in axes for panel in row], location="bottom", aspect=50, pad=0.02)
    bar.set_label("characters wrong or missing (%)")
    axis_labels(axes, "left to right", "top to bottom")
    return figure


def _reason(found: PageErrors) -> str:
    if found.unplaced and not found.squares:
        return "; ".join(f"{label}: {reason}" for label, reason in sorted(found.unplaced.items()))
    if not found.squares:
        return (
            "no answer is like a whole context, which is what shows where on a page characters were lost; run a task that asks for it:"
            " ctxbench run -t json_restore"
        )
    most = max(square.answers for square in found.squares)
    return f"{counted(most, 'answer')} a square of the page at most, too few to say anything ({LEAST_ANSWERS} are the least)"


def _panel(axes: Axes, squares: list[Square], top: float) -> Any:
    rates = np.full((ROWS, COLUMNS), np.nan)
    axes.set_facecolor("#EDEDED")
    for square in squares:
        if square.enough:
            rates[square.row, square.column] = 100 * square.rate
        else:
            corner = square.column - 0.5, square.row - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, facecolor="#EDEDED", edgecolor="#C4C4C4", hatch="////", linewidth=0))
    image = axes.imshow(rates, cmap="cividis_r", vmin=0, vmax=100 * top, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    return image
