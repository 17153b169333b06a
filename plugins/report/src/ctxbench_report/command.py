"""``ctxbench plot``"""

from __future__ import annotations

from pathlib import Path

import click

from ctxbench_report.options import filter_options

KIND_NAMES = (
    *("cost-accuracy", "ratio-accuracy", "robustness", "frontier", "attribution", "outcomes", "depth-length"),
    *("prior-gap", "trust", "confusions", "page-position", "costs"),
)
LEARNING = "learning-curve"
FORMATS = ("png", "svg", "pdf")


def _formats(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))
    bad = [part for part in wanted if part not in FORMATS]
    if bad or not wanted:
        raise click.BadParameter(f"{bad[0] if bad else value!r} is no format; choose from png, svg and pdf, such as png,pdf")
    return wanted


@click.command("plot")
@click.argument("kinds", metavar="[KIND]...", nargs=-1, type=click.Choice((*KIND_NAMES, LEARNING)))
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Training log for learning-curve: log.jsonl of ctxbench train, or CSV. Repeatable.",
)
@click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store to draw from.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default="plots", show_default=True, help="Folder to write to."
)
@click.option("--format", "formats", default="png,svg", show_default=True, callback=_formats, help="png, svg, pdf, or several.")
@filter_options
def command(
    kinds: tuple[str, ...],
    logs: tuple[Path, ...],
    store: str,
    output: Path,
    formats: tuple[str, ...],
    **chosen: tuple[str, ...],
) -> None:
    """Draw stored results, and print the path of every file written.

    KIND is cost-accuracy, ratio-accuracy, robustness (accuracy over augmentation levels), frontier (what no cheaper cell beats),
    attribution (lost in the pixels or by the reader), outcomes (how trials ended), depth-length (the needle's depth by the context's
    length), prior-gap (what can be guessed against what must be read), trust (questions without an answer, exact identifiers), confusions
    (characters taken for others), page-position (where on the page characters were lost) or costs (seconds and dollars a trial); without
    one, every plot that the store has rows for. learning-curve draws training logs, named with --log.
    """
    from ctxbench.store import Store
    from ctxbench_report.data import Filters, NothingToPlot, check
    from ctxbench_report.plots import draw, draw_learning

    if logs and not kinds:
        kinds = (LEARNING,)
    if LEARNING in kinds:
        for path in draw_learning(logs, [output / f"{LEARNING}.{ending}" for ending in formats]):
            click.echo(path)
        kinds = tuple(kind for kind in kinds if kind != LEARNING)
        if not kinds:
            return
    filters = Filters(**chosen)  # type: ignore[arg-type]
    with Store.open_read_only(store) as opened:
        check(opened, filters)
        for kind in kinds or KIND_NAMES:
            try:
                paths = draw(opened, kind, [output / f"{kind}.{ending}" for ending in formats], filters)
            except NothingToPlot as reason:
                if kinds:
                    raise
                click.echo(f"{kind}: not drawn: {reason}", err=True)
                continue
            for path in paths:
                click.echo(path)
