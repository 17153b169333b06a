"""Prints query results as a table. NULL differs from an empty text, and control characters in the data are escaped."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

NULL = "NULL"
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def print_rows(columns: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows below each other, or, on a terminal too narrow for them, each as a list of its columns. No value is ever cut."""
    from rich.cells import cell_len

    names = [visible(name) for name in columns]
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max([cell_len(name), *(cell_len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    total = sum(widths) + 3 * (len(widths) - 1)
    to_terminal = sys.stdout.isatty()
    if to_terminal and total > shutil.get_terminal_size().columns and cells:
        lines = _records(names, cells)
    else:
        right = [_NUMERIC.fullmatch(kind) is not None for kind in types]
        lines = _grid(names, cells, widths, right)
    colour = to_terminal and "NO_COLOR" not in os.environ
    for i, line in enumerate(lines):
        click.echo(click.style(line, bold=True) if colour and i == 0 else line)
    if not cells:
        click.echo("(no rows)", err=True)


def cell(value: Any) -> str:
    """A value on one line; NULL as a word."""
    from ctxbench.store.formats import text_of

    return NULL if value is None else visible(text_of(value))


def visible(text: str) -> str:
    """Text with control characters, which could move the cursor or break the line, written out as escapes."""
    return _CONTROL.sub(lambda match: _NAMED.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def _grid(names: Sequence[str], cells: Iterable[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    from rich.cells import cell_len

    def line(values: Sequence[str]) -> str:
        padded = []
        for value, width, to_right in zip(values, widths, right, strict=True):
            space = " " * (width - cell_len(value))
            padded.append(space + value if to_right else value + space)
        return "   ".join(padded).rstrip()

    yield line(names)
    yield "─" * (sum(widths) + 3 * (len(widths) - 1))
    yield from map(line, cells)


def _records(names: Sequence[str], cells: Iterable[Sequence[str]]) -> Iterator[str]:
    from rich.cells import cell_len

    margin = max(map(cell_len, names))
    for number, row in enumerate(cells, 1):
        yield f"── row {number} " + "─" * 20
        for name, value in zip(names, row, strict=True):
            yield f"{name}{' ' * (margin - cell_len(name))}   {value}".rstrip()
