"""Tables and JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """JSON on stdout, one document; NaN becomes null."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, right: Sequence[str] = ()) -> None:
    """A table on stdout. Where stdout is no terminal, no cell is cut or wrapped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        # Text, not markup: what a model or a file said is data.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table, crop=False)
    for line in captured.get().rstrip().splitlines():
        click.echo(line.rstrip())


def percent(value: float | None) -> str:
    """0.125 as ``12 %``; nothing for ``None``."""
    return "" if value is None else f"{100 * value:.0f} %"
