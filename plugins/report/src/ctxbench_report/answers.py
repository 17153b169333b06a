"""Stored answers against what was expected, character by character."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator

import attrs
from rapidfuzz.distance import Levenshtein

from ctxbench.store import Store
from ctxbench_report.data import Cell, Filters, cells

MOST_ANSWERS = 4_000
MOST_CHARACTERS = 2_000_000
"""Bounds of what is compared: the first samples of every cell, equally many of each."""

LONGEST = 20_000
"""Characters of an answer or what was expected beyond which it is left out: comparing takes a time that grows with the square."""

LEAST_ALIKE = 0.5
"""Share of the expected characters that must be right: of texts more unlike than that, which character stands for which is a guess."""

_FENCED = re.compile(r"\A\s*```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)


@attrs.frozen
class Answer:
    """An answer that is like what was expected.

    Attributes:
        expected, said: what was asked for, and the answer without white space and code fence around it.
        edits: (kind, place in ``expected``, place in ``said``), kind ``replace``, ``delete`` or ``insert``; empty if they are the same.
        context_sha256: of the context; that of ``expected`` if the whole context was asked for.
    """

    cell: Cell
    expected: str
    said: str
    edits: tuple[tuple[str, int, int], ...]
    context_sha256: str | None


@attrs.frozen
class Compared:
    """Answers that could be compared, and how many could not: ``unlike`` are too different from what was expected, ``long`` too long."""

    answers: list[Answer]
    unlike: int
    long: int
    left: int


_COMPARED: weakref.WeakKeyDictionary[Store, tuple[Filters, Compared]] = weakref.WeakKeyDictionary()
"""Two plots ask for the same."""


def compare(store: Store, filters: Filters) -> Compared:
    """What :func:`_compare` finds, once for a store that nobody can write."""
    known = _COMPARED.get(store)
    if known is None or known[0] != filters or not store.read_only:
        known = _COMPARED[store] = filters, _compare(store, filters)
    return known[1]


def _compare(store: Store, filters: Filters) -> Compared:
    """Every cell's first answers, aligned with the fewest edits (Levenshtein).

    Left out are errors, questions whose answer is not in the context, and what the bounds of this module cut off, which is counted.
    """
    by_id = {cell.id: cell for cell in cells(store, filters)}
    found: list[Answer] = []
    unlike = long = 0
    total, rows = _rows(store, filters, by_id)
    seen = 0
    for cell_id, expected, prediction, sha256 in rows:
        seen += 1
        said = bare(prediction)
        if max(len(expected), len(said)) > LONGEST:
            long += 1
        elif expected == said:
            found.append(Answer(by_id[cell_id], expected, said, (), sha256))
        elif Levenshtein.distance(expected, said) > (1 - LEAST_ALIKE) * len(expected):
            unlike += 1
        else:
            edits = tuple((op.tag, op.src_pos, op.dest_pos) for op in Levenshtein.editops(expected, said))
            found.append(Answer(by_id[cell_id], expected, said, edits, sha256))
    return Compared(found, unlike, long, total - seen)


def bare(prediction: str) -> str:
    """An answer without white space and code fence around it."""
    fenced = _FENCED.match(prediction)
    return (fenced[1] if fenced else prediction).strip()


def _rows(store: Store, filters: Filters, known: dict[str, Cell]) -> tuple[int, Iterator[tuple[str, str, str, str | None]]]:
    """How many answers there are, and those within the bounds: cell, expected, prediction, hash of the context."""
    asked = f"""SELECT trial_id, cell, sample_index, length(expected) AS size FROM results WHERE {filters.where()} AND status = 'ok'
        AND expected <> '' AND prediction IS NOT NULL AND coalesce((sample_metadata->>'answerable')::BOOLEAN, TRUE)"""
    ((total,),) = store.query(f"SELECT count(*) FROM ({asked})").rows
    chosen = f"""SELECT trial_id, row_number() OVER place AS nth, sum(size) OVER place AS characters
        FROM (SELECT *, row_number() OVER (PARTITION BY cell ORDER BY sample_index, trial_id) AS rank FROM ({asked}))
        WINDOW place AS (ORDER BY rank, cell, trial_id) QUALIFY nth <= {MOST_ANSWERS} AND characters <= {MOST_CHARACTERS}"""
    sql = f"""SELECT r.cell, r.expected, r.prediction, r.context_sha256 FROM results r JOIN ({chosen}) c USING (trial_id) ORDER BY c.nth"""
    return total, iter([row for row in store.query(sql).rows if row[0] in known])
