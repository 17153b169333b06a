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
        """Cells up to the end of the last character that leaves ink."""
        inked = [(cell, cluster) for cell, cluster in self.clusters if not cluster.isspace()]
        return inked[-1][0] + max(1, width(inked[-1][1][0])) if inked else 0


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


def break_lines(text: str, columns: int, tab: int, words: bool = False) -> list[Line]:
    """The lines of a text: broken at every newline, and where the next character would not fit.

    A tab moves to the next multiple of ``tab`` cells. A line that goes on below is marked as such, so that a break of the layout is not
    mistaken for a newline. With ``words`` a line is broken before the last space in its second half, which then stands at the start of the
    next one. The empty text has no line; a newline at the end is followed by an empty line.
    """
    if not text:
        return []
    made: list[Line] = []
    for paragraph in text.split("\n"):
        made += _wrap(paragraph, columns, tab, words)
    return made


def _wrap(paragraph: str, columns: int, tab: int, words: bool) -> list[Line]:
    made: list[Line] = []
    current: list[tuple[int, str]] = []
    end = 0
    for cluster in clusters(paragraph):
        size = _size(cluster, end, tab)
        if end + size > columns:
            cut = _last_space(current, columns) if words and cluster != " " else None
            moved = [] if cut is None else [piece for _, piece in current[cut:]]
            made.append(Line(tuple(current if cut is None else current[:cut]), True))
            current, end = [], 0
            for piece in moved:
                current.append((end, piece))
                end += _size(piece, end, tab)
            size = _size(cluster, end, tab)
        current.append((end, cluster))
        end += size
    made.append(Line(tuple(current), False))
    return made


def _size(cluster: str, cell: int, tab: int) -> int:
    """Cells that a cluster takes if it starts at ``cell``."""
    return tab - cell % tab if cluster[0] == "\t" else max(1, width(cluster[0]))


def _last_space(line: list[tuple[int, str]], columns: int) -> int | None:
    """Index of the last space in the second half of a full line."""
    return next((i for i in reversed(range(len(line))) if line[i][1] == " " and line[i][0] >= columns // 2), None)
