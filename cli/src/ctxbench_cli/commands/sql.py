"""``ctxbench sql QUERY``"""

from __future__ import annotations

import sys

import click

from ctxbench import UsageError
from ctxbench_cli.files import read_context


@click.command("sql")
@click.argument("query", metavar="QUERY")
@click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store, or s3://BUCKET/FOLDER.")
@click.option("--format", "output", type=click.Choice(["table", "csv", "json", "jsonl"]), default="table", show_default=True)
@click.option("--live", is_flag=True, help="While a run writes the store: ask a copy of what it has stored by now.")
def command(query: str, store: str, output: str, live: bool) -> None:
    """Ask the store in SQL. It is opened read-only; no query can reach another file, the network or an extension.

    A store that was exported as Parquet to s3://BUCKET/FOLDER or an https address is fetched first, and not kept.

    QUERY is one SQL statement, the name of a table (runs, trials, scores, pages) or of a view (results, summary, frontier,
    attribution, trust, prior_gap, costs, errors), or '-' to read it from stdin.
    """
    from ctxbench.remote import is_remote
    from ctxbench.store import Store, formats
    from ctxbench.store.remote import opened_from
    from ctxbench.store.snapshot import live as opened_live

    text = read_context("-") if query == "-" else query
    if live and is_remote(store):
        raise UsageError(f"--live asks a store on this machine, not {store}")
    with opened_from(store) if is_remote(store) else opened_live(store) if live else Store.open_read_only(store) as opened:
        rows = opened.rows(text)
        if output == "table":
            from ctxbench_cli.sqltable import print_rows

            print_rows(rows.columns, rows.types, rows)
            return
        out = sys.stdout.buffer
        if output == "csv":
            formats.write_csv(out, rows.columns, rows)
        elif output == "json":
            formats.write_json(out, rows.columns, rows.types, rows)
        else:
            formats.write_jsonl(out, rows.columns, rows.types, rows)
        out.flush()
