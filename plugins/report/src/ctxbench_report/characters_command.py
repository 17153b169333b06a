"""``ctxbench confusions``"""

from __future__ import annotations

import csv
import json
import sys

import click

from ctxbench_report.options import filter_options


@click.command("confusions")
@click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store to read.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--most", type=click.IntRange(1), default=30, show_default=True, help="Rows of the table; csv and json have all.")
@filter_options
def command(store: str, form: str, most: int, **chosen: tuple[str, ...]) -> None:
    """List which characters were said in place of which, for each reader and codec.

    Answers that are like what was expected are aligned with it by the fewest edits. An empty character is one that is missing, or one too
    many. The interval is Wilson's, 95 %, of the count over the character's occurrences; characters of one answer are taken for independent.
    """
    import attrs

    import ctxbench_report
    from ctxbench_report.characters import Confusion
    from ctxbench_report.data import Filters

    found = ctxbench_report.confusions(store, filters=Filters(**chosen))  # type: ignore[arg-type]
    names = [field.name for field in attrs.fields(Confusion)]
    if form == "json":
        click.echo(json.dumps([attrs.asdict(confusion) for confusion in found], ensure_ascii=False, indent=2))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(attrs.astuple(confusion) for confusion in found)
    else:
        for confusion in found[:most]:
            share = f"{100 * confusion.count / confusion.of:.1f} % [{100 * confusion.low:.1f}, {100 * confusion.high:.1f}]"
            told = f"{_shown(confusion.expected)} as {_shown(confusion.said)}"
            click.echo(f"{confusion.model}, {confusion.codec}: {told}: {confusion.count:,} of {confusion.of:,}, {share}")
        if not found:
            click.echo("no character was taken for another in answers that are like what was expected", err=True)
        elif len(found) > most:
            click.echo(f"and {len(found) - most:,} more: --most, or --format csv", err=True)


def _shown(character: str) -> str:
    return repr(character) if character else "nothing"
