"""Breaking a text into lines of cells, losslessly."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ctxbench_render.fonts import width


@attrs.frozen
class Line:
    """One line of a page: (first cell, character with its combining marks) in order, and whether the text's line goes on below."""

    clusters: tuple[tuple[int, str], ...]
    continued: bool

    @property
    def cells(self) -> int:
        """Cells up to the end of the last character."""
        return self.clusters[-1][0] + max(1, width(self.clusters[-1][1][0])) if self.clusters else 0


def clusters(text: str) -> Iterator[str]:
    """Characters, each with the combining characters that follow it."""
    current = ""
    for character in text:
        if current and width(character) == 0:
            current += character
            continue
        if current:
            yield current
        current = character
    if current:
        yield current


def cells(text: str) -> int:
    """Cells that a text without tabs and newlines takes."""
    return sum(max(1, width(cluster[0])) for cluster in clusters(text))


def break_lines(text: str, columns: int, tab: int) -> list[Line]:
    """The lines of a text: broken at every newline, and where the next character would not fit.

    A tab moves to the next multiple of ``tab`` cells. A line that goes on below is marked as such, so that a break of the layout is not
    mistaken for a newline. The empty text has no line; a newline at the end is followed by an empty line.
    """
    if not text:
        return []
    made: list[Line] = []
    for paragraph in text.split("\n"):
        made += _wrap(paragraph, columns, tab)
    return made


def _wrap(paragraph: str, columns: int, tab: int) -> list[Line]:
    made: list[Line] = []
    current: list[tuple[int, str]] = []
    cell = 0
    for cluster in clusters(paragraph):
        if cluster[0] == "\t":
            size = tab - cell % tab
        else:
            size = max(1, width(cluster[0]))
        if cell + size > columns:
            made.append(Line(tuple(current), True))
            current, cell = [], 0
            size = tab if cluster[0] == "\t" else size
        if cluster[0] != "\t":
            current.append((cell, cluster))
        cell += size
    made.append(Line(tuple(current), False))
    return made
