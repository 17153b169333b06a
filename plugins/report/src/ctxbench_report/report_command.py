"""``ctxbench report``"""

from __future__ import annotations

from pathlib import Path

import click

from ctxbench_report.options import filter_options


@click.command("report")
@click.argument("store", type=click.Path(), required=False, metavar="[STORE]")
@click.option("--store", "named_store", type=click.Path(), help="The same as STORE.  [default: ctxbench.duckdb]")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default="report.html", show_default=True, help="The file to write."
)
@click.option("--title", help="Heading of the report; the default is made of the names of the runs.")
@click.option("--samples", type=click.IntRange(0), default=2_000, show_default=True, help="Trials that the report lets people look at.")
@click.option(
    "--embed-images", "embed_mb", type=click.FloatRange(0), default=2.0, show_default=True, help="Megabytes of page images inside the file."
)
@click.option("--log", "logs", multiple=True, type=click.Path(path_type=Path), help="Training log to draw as well. Repeatable.")
@filter_options
def command(
    store: str | None,
    named_store: str | None,
    output: Path,
    title: str | None,
    samples: int,
    embed_mb: float,
    logs: tuple[Path, ...],
    **filters: tuple[str, ...],
) -> None:
    """Write one HTML file about a store, to read in any browser and to send to others; it loads nothing from a network.

    It holds what was run, the results with their intervals, all plots, a table of all cells that can be sorted and filtered, and samples:
    page, question, answer against what was expected, tokens, times, and whether the codec's own decoder could read the page. Page images
    that are not inside the file (--embed-images) are shown from the folder beside the store, if the run kept them (--images all).
    """
    import ctxbench_report
    from ctxbench_report.data import Filters, counted

    if store and named_store and store != named_store:
        raise click.UsageError(f"two stores are named, {store} and {named_store}; name one")
    made = ctxbench_report.report(
        store or named_store or "ctxbench.duckdb",
        output,
        filters=Filters(**filters),  # type: ignore[arg-type]
        title=title,
        samples=samples,
        embed_mb=embed_mb,
        logs=logs,
    )
    for kind, reason in made.undrawn:
        click.echo(f"{kind}: not drawn: {reason}", err=True)
    size = made.path.stat().st_size / 1e6
    parts = (counted(made.trials, "trial"), "in", f"{counted(made.cells, 'cell')},", f"{counted(made.plots, 'plot')},")
    told = f"{' '.join(parts)} {made.samples:,} to look at; {size:.1f} MB"
    click.echo(told, err=True)
    click.echo(made.path)
