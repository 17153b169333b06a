"""Which characters were taken for which: a confusion matrix for each reader and codec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_report.answers import Answer, Compared, compare
from ctxbench_report.data import Filters, NothingToPlot, codecs, counted
from ctxbench_report.style import axis_labels, panels

LEAST_WRONG = 10
"""Wrong characters from which on a matrix is drawn."""

MOST_SHOWN = 12
"""Rows and columns of a matrix: the characters that are in most confusions."""

NOTHING = ""
"""In place of a character: it is missing in the answer, or the answer has one that was not expected."""

_SHOWN = {NOTHING: "none", " ": "␣", "\n": "↵", "\t": "⇥"}


@attrs.frozen
class Confusion:
    """One thing that was said in place of another, of one reader and codec; its tasks, lengths and levels of damage together.

    Attributes:
        expected, said: single characters; :data:`NOTHING` for one that is missing, or that is there on top.
        count: how often.
        of: how often ``expected`` was asked for; for an added character, characters asked for altogether.
        low, high: 95 % Wilson interval of count / of, which takes characters for independent.
    """

    model: str
    codec: str
    expected: str
    said: str
    count: int
    of: int
    low: float
    high: float


def confusions(store: Store, filters: Filters) -> list[Confusion]:
    """Every confusion of every reader and codec, the most frequent first."""
    found = []
    for (model, codec), answers in _grouped(compare(store, filters)).items():
        asked, wrong = _count(answers)
        whole = sum(asked.values())
        for (expected, said), count in wrong.items():
            of = asked[expected] if expected != NOTHING else whole
            found.append(Confusion(model, codec, expected, said, count, of, *wilson(min(count, of), of)))
    return sorted(found, key=lambda c: (c.model, c.codec, -c.count, c.expected, c.said))


def _grouped(compared: Compared) -> dict[tuple[str, str], list[Answer]]:
    groups: dict[tuple[str, str], list[Answer]] = {}
    for answer in compared.answers:
        groups.setdefault((answer.cell.model, answer.cell.codec), []).append(answer)
    return groups


def _count(answers: Sequence[Answer]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each character was asked for, and how often each pair was a confusion."""
    asked: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        asked.update(answer.expected)
        for kind, at, to in answer.edits:
            wrong[NOTHING if kind == "insert" else answer.expected[at], NOTHING if kind == "delete" else answer.said[to]] += 1
    return asked, wrong


def confusion_matrix(store: Store, filters: Filters) -> Figure:
    """Expected characters (down) by what was said in their place (across); a panel for each reader (rows) and codec (columns).

    A number is how often; its colour is the share of the character's occurrences. Of fewer than :data:`LEAST_WRONG` wrong characters no
    matrix is drawn.
    """
    compared = compare(store, filters)
    groups = {key: _count(answers) for key, answers in _grouped(compared).items()}
    most = max((sum(wrong.values()) for _, wrong in groups.values()), default=0)
    if most < LEAST_WRONG:
        raise NothingToPlot(f"{store.path}: {_reason(compared, most)}")
    rows = sorted({model for model, _ in groups})
    columns = [codec for codec in codecs(store) if any(codec == known for _, known in groups)]
    whole = sum(sum(asked.values()) for asked, _ in groups.values())
    note = (
        f"{counted(len(compared.answers), 'answer')}, {whole:,} characters asked for; tasks, lengths and augmentations of a panel together"
    )
    note += f"; left out: {told}" if (told := left_out(compared)) else ""
    title = f"Characters taken for others\nnumbers are counts, colours the share of the character's occurrences; {note}"
    figure, axes = panels(rows, columns, title, (3.1, 2.9))
    for i, model in enumerate(rows):
        for j, codec in enumerate(columns):
            _panel(axes[i][j], *groups.get((model, codec), (Counter(), Counter())))
    axis_labels(axes, "said", "expected")
    return figure


def left_out(compared: Compared) -> str:
    """What a note says of answers that were not compared, or nothing."""
    parts = [(compared.unlike, "too unlike"), (compared.long, "too long"), (compared.left, "beyond the bound of this plot")]
    return ", ".join(f"{count:,} {why}" for count, why in parts if count)


def _reason(compared: Compared, most: int) -> str:
    if not compared.answers:
        told = left_out(compared)
        return f"no answer is like what was expected{f' ({told})' if told else ''}, so no character can be taken for another"
    answers = counted(len(compared.answers), "answer")
    return (
        f"{counted(most, 'wrong character')} of a reader and codec at most in {answers}, too few for a matrix ({LEAST_WRONG} are the least)"
    )


def _panel(axes: Axes, asked: Counter[str], wrong: Counter[tuple[str, str]]) -> None:
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=7.5)
    total = sum(wrong.values())
    if total < LEAST_WRONG:
        axes.set_xticks([])
        axes.set_yticks([])
        told = f"{counted(total, 'wrong character')}\nof {sum(asked.values()):,}" if asked else "no answer\nthat is like\nwhat was expected"
        axes.text(0.5, 0.5, told, ha="center", va="center", transform=axes.transAxes, fontsize=8, color="#444444")
        return
    down, across = (_most(wrong, side) for side in (0, 1))
    whole = sum(asked.values())
    shares = np.array([[wrong[a, b] / (asked[a] if a != NOTHING else whole) for b in across] for a in down])
    axes.imshow(
        np.ma.masked_equal(shares, 0), cmap="cividis_r", vmin=0, vmax=max(shares.max(), 1e-9), aspect="auto", interpolation="nearest"
    )
    axes.set_xticks(range(len(across)), [_SHOWN.get(c, c) for c in across])
    axes.set_yticks(range(len(down)), [f"{_SHOWN.get(c, c)}  ({asked[c]:,})" if c else "none" for c in down])
    for y, a in enumerate(down):
        for x, b in enumerate(across):
            if count := wrong[a, b]:
                colour = "white" if shares[y, x] > 0.55 * shares.max() else "black"
                axes.annotate(f"{count:,}", (x, y), fontsize=6.5, ha="center", va="center", color=colour, in_layout=False)


def _most(wrong: Counter[tuple[str, str]], side: int) -> list[str]:
    """The characters of a side that are in most confusions, in their order; the missing character last."""
    totals: Counter[str] = Counter()
    for pair, count in wrong.items():
        totals[pair[side]] += count
    shown = sorted(totals, key=lambda character: (-totals[character], character))[:MOST_SHOWN]
    return sorted(shown, key=lambda character: (character == NOTHING, character))
