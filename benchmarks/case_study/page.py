"""The page: the template with the tables, the commands and single figures filled in."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.case_study.commands import COST, QUERIES, RUNS, Table
from benchmarks.case_study.tables import markdown

TEMPLATE = Path(__file__).parent / "page.md"
FIELD = re.compile(r"\{\{([^{}]+)\}\}")


def page(tables: dict[str, Table]) -> str:
    """Markdown of the whole page.

    ``{{table NAME}}`` is a table, ``{{command NAME}}`` a command, and ``{{NAME|ROW|COLUMN}}`` a figure: the cell of the row whose first
    cell is ROW (further cells after slashes, where several rows begin alike).

    Raises:
        KeyError: the template names a table, row or column that there is none of.
    """
    return FIELD.sub(lambda match: _filled(match[1], tables), TEMPLATE.read_text("utf-8"))


def _filled(field: str, tables: dict[str, Table]) -> str:
    kind, _, name = field.partition(" ")
    if kind == "table" and name in tables:
        return markdown(tables[name])
    if kind == "command":
        return {"cost": COST, **{f"run {key}": command for key, command in RUNS.items()}, **QUERIES}[name]
    table, row, column = field.split("|")
    return cell(tables[table], row, column)


def cell(rows: Table, row: str, column: str) -> str:
    """One cell.

    Raises:
        KeyError: no row, or several, begin so, or they have no such column.
    """
    begins = row.split("/")
    found = [candidate for candidate in rows if list(candidate.values())[: len(begins)] == begins]
    if len(found) != 1:
        raise KeyError(f"{len(found)} rows begin with {row}")
    return found[0][column]
