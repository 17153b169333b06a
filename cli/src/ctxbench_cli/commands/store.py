"""``ctxbench store export|import|snapshot|verify|upgrade``"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctxbench import CtxbenchError, StoreError, UsageError

if TYPE_CHECKING:
    from ctxbench.store import Store

TARGETS = ("mlflow", "wandb", "every-eval-ever")
STORE = click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store.")


@click.group("store")
def command() -> None:
    """Export, merge, copy, check or upgrade a results store."""


@command.command("export")
@click.argument("names", metavar="[TABLE_OR_VIEW]...", nargs=-1)
@click.option("--format", "kind", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="A folder; for one table or view, also a file; or s3://BUCKET/FOLDER.")
@click.option("--to", type=click.Choice(TARGETS), help="Not as tables, but to a tracker, or in the format of Every Eval Ever.")
@click.option("--uri", help="With --to mlflow: the tracking server, or sqlite:///FILE. Default: MLFLOW_TRACKING_URI.")
@click.option("--experiment", default="ctxbench", show_default=True, help="With --to mlflow or wandb: the experiment or project.")
@click.option("--organization", default="unknown", show_default=True, help="With --to every-eval-ever: who publishes the figures.")
@STORE
def export_command(
    names: tuple[str, ...], kind: str, output: str | None, to: str | None, uri: str | None, experiment: str, organization: str, store: str
) -> None:
    """Write tables or views as files; by default the four tables with a data card, as 'store import' takes them.

    --to mlflow and --to wandb make each cell of the summary a run of the tracker (W&B's offline ones go to -o), --to every-eval-ever
    writes one file for each model into -o.
    """
    from ctxbench.remote import is_remote
    from ctxbench.store import Store
    from ctxbench.store.card import write_card
    from ctxbench.store.export import export

    if to and names:
        raise UsageError(f"--to {to} exports the whole store, not {names[0]}")
    if to == "mlflow":
        _to_mlflow(store, uri or os.environ.get("MLFLOW_TRACKING_URI"), experiment)
        return
    if output is None:
        raise UsageError("say where to with -o, for example -o out")
    if is_remote(output):
        _to_remote(store, kind, output, names, to)
        return
    folder = Path(output)
    with Store.open_read_only(store) as opened:
        if to:
            _to_files(opened, to, folder, experiment, organization)
            return
        found = export(opened, kind, folder, names)
        for made in found:
            click.echo(f"{made.path}: {made.rows:,} rows")
        if kind == "parquet" and folder.is_dir():
            click.echo(f"{write_card(opened, folder, found)}: the data card")


def _to_remote(store: str, kind: str, url: str, names: tuple[str, ...], to: str | None) -> None:
    from ctxbench.store import Store
    from ctxbench.store.remote import export_to

    if to:
        raise UsageError(f"--to {to} writes files on this machine, not to {url}")
    with Store.open_read_only(store) as opened:
        for sent in export_to(opened, kind, url, names):
            click.echo(f"{sent.url}: {'the data card' if sent.rows is None else f'{sent.rows:,} rows'}")


def _to_mlflow(store: str, uri: str | None, experiment: str) -> None:
    from ctxbench.store import Store
    from ctxbench.store.trackers import to_mlflow

    if not uri:
        raise UsageError(
            "say where MLflow keeps its runs: --uri http://HOST:PORT or --uri sqlite:///mlflow.db (or set MLFLOW_TRACKING_URI)"
        )
    with Store.open_read_only(store) as opened:
        made, there = to_mlflow(opened, uri, experiment)
    click.echo(f"{uri}: {made:,} runs added to experiment {experiment}, {there:,} were there")


def _to_files(store: Store, to: str, output: Path, experiment: str, organization: str) -> None:
    from ctxbench.store import every_eval_ever
    from ctxbench.store.trackers import to_wandb

    if to == "wandb":
        click.echo(f"{output}: {to_wandb(store, output, experiment):,} runs of project {experiment}; to send them: wandb sync --sync-all")
        return
    for made in every_eval_ever.export(store, output, organization=organization):
        click.echo(f"{made.path}: {made.rows:,} {'trials' if made.path.suffix == '.jsonl' else 'results'}")


@command.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path())
@STORE
def import_command(sources: tuple[str, ...], store: str) -> None:
    """Merge other stores, or folders of exported Parquet files (s3://BUCKET/FOLDER too), into the store. Nothing is added twice."""
    from ctxbench.remote import is_remote
    from ctxbench.store import Store
    from ctxbench.store.merge import merge
    from ctxbench.store.remote import merge_from

    for source in sources:
        if not is_remote(source) and not Path(source).exists():
            raise StoreError(f"{source}: no such file or folder")
    with Store.open(store) as opened:
        for source in sources:
            added = merge_from(opened, source) if is_remote(source) else merge(opened, Path(source))
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
    from ctxbench.store import Store, schema_version

    if not Path(store).exists():
        raise StoreError(f"{store}: no such store")
    with Store.open(store):
        click.echo(f"{store}: schema version {schema_version()}")
