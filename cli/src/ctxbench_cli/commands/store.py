"""``ctxbench store export|import|snapshot|verify|upgrade``"""

from __future__ import annotations

from pathlib import Path

import click

from ctxbench import CtxbenchError, StoreError

STORE = click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store.")


@click.group("store")
def command() -> None:
    """Export, merge, copy, check or upgrade a results store."""


@command.command("export")
@click.argument("names", metavar="[TABLE_OR_VIEW]...", nargs=-1)
@click.option("--format", "kind", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A folder; for one table or view, also a file.")
@STORE
def export_command(names: tuple[str, ...], kind: str, output: Path, store: str) -> None:
    """Write tables or views as files; by default the four tables, as 'store import' takes them."""
    from ctxbench.store import Store
    from ctxbench.store.export import export

    with Store.open_read_only(store) as opened:
        for made in export(opened, kind, output, names):
            click.echo(f"{made.path}: {made.rows:,} rows")


@command.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@STORE
def import_command(sources: tuple[Path, ...], store: str) -> None:
    """Merge other stores, or folders of exported Parquet files, into the store. Nothing is added twice."""
    from ctxbench.store import Store
    from ctxbench.store.merge import merge

    for source in sources:
        if not source.exists():
            raise StoreError(f"{source}: no such file or folder")
    with Store.open(store) as opened:
        for source in sources:
            added = merge(opened, source)
            click.echo(
                f"{source}: {added.trials:,} trials added ({added.replaced:,} in place of an error), {added.runs:,} runs, "
                f"{added.scores:,} scores, {added.pages:,} pages"
            )


@command.command("snapshot")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A new file.")
@STORE
def snapshot_command(output: Path, store: str) -> None:
    """Copy a store while a run writes it: all that was stored by this moment, without page images."""
    from ctxbench.store import Store
    from ctxbench.store.snapshot import snapshot

    snapshot(store, output)
    with Store.open_read_only(output) as opened:
        click.echo(f"{output}: {opened.query('SELECT count(*) FROM trials').rows[0][0]:,} trials")


@command.command("verify")
@STORE
def verify_command(store: str) -> None:
    """Check that the store is whole: schema, keys, references between tables, figures, page images. Exit code 1 if it is not."""
    from ctxbench.store import Store
    from ctxbench.store.verify import verify

    with Store.open_read_only(store) as opened:
        problems = verify(opened)
        counts = [f"{opened.query(f'SELECT count(*) FROM {name}').rows[0][0]:,} {name}" for name in ("runs", "trials", "scores", "pages")]
    for problem in problems:
        click.echo(problem)
    if problems:
        raise CtxbenchError(f"{store}: {len(problems)} problems in {', '.join(counts)}")
    click.echo(f"{store}: whole; {', '.join(counts)}")


@command.command("upgrade")
@STORE
def upgrade_command(store: str) -> None:
    """Bring a store that an older ctxbench made up to this one's schema."""
    from ctxbench.store import Store
    from ctxbench.store.migrations import latest

    if not Path(store).exists():
        raise StoreError(f"{store}: no such store")
    with Store.open(store):
        click.echo(f"{store}: schema version {latest()}")
