"""``ctxbench run --status``: how much of a plan is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ctxbench.config import ExperimentConfig
from ctxbench.plugin import plugin_output_to_stderr
from ctxbench_cli.output import print_json, print_table

if TYPE_CHECKING:
    from ctxbench.engine import CellStatus


COLUMNS = ("model", "task", "bucket", "codec", "level", "stored", "planned", "errors")


def print_status(experiment: ExperimentConfig, output: str) -> None:
    """Count and print, as a table or as JSON."""
    from ctxbench.engine import status

    with plugin_output_to_stderr():
        found = status(experiment)
    if output == "json":
        print_json(found.plain())
        return
    click.echo(f"{found.name}: {found.planned:,} trials, {found.stored:,} stored ({found.errors:,} errors), {found.missing:,} missing")
    for path, trials in found.stores.items():
        click.echo(f"  {path}: {trials:,} of them")
    rows = [_row(cell) for cell in found.cells if cell.stored < cell.planned or cell.errors]
    if rows:
        click.echo()
        print_table(COLUMNS, rows, right=COLUMNS[-3:])


def _row(cell: CellStatus) -> tuple[object, ...]:
    model = cell.model if cell.adapter is None else f"{cell.model} + {cell.adapter}"
    return model, cell.task, cell.bucket, cell.codec, cell.augmentation, cell.stored, cell.planned, cell.errors
