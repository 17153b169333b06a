"""Merging another store, or exported Parquet files, into a store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ctxbench.errors import StoreError
from ctxbench.files import whole_file
from ctxbench.store import migrations
from ctxbench.store.export import TABLES, VERSION_KEY
from ctxbench.store.inserts import insert, insert_scores
from ctxbench.store.pages import check_page, image_folder, relative_path

if TYPE_CHECKING:
    from ctxbench.store.store import Store


@attrs.frozen
class Merged:
    """Rows that a merge added, and trials whose error it replaced (these count as added too)."""

    runs: int
    trials: int
    replaced: int
    scores: int
    pages: int


def merge(store: Store, source: Path) -> Merged:
    """Add what ``source`` has and ``store`` lacks, in one transaction.

    A trial that both have stays as it is, except that a finished one takes the place of an error. Scores that ``store`` lacks are
    added to a trial that both have if both have the same prediction.

    Args:
        source: another store, or a folder of Parquet files that :func:`~ctxbench.store.export.export` wrote.

    Raises:
        StoreError: the source cannot be read or does not fit; nothing was changed.
    """
    tables, folder = _read(store, source)
    for name in TABLES:
        _check_columns(store, source, name, tables[name])
    tables["pages"] = _take_images(store, tables["trials"], tables["pages"], folder)
    with store.database.registered(**{f"new_{name}": table for name, table in tables.items()}), store.database.transaction():
        return _insert(store)


def _insert(store: Store) -> Merged:
    connection = store.database.connection

    def count(sql: str) -> int:
        ((number,),) = connection.execute(sql).fetchall()
        return int(number)

    before = {name: count(f"SELECT count(*) FROM {name}") for name in TABLES}
    connection.execute("INSERT INTO runs BY NAME SELECT * FROM new_runs ANTI JOIN runs USING (run_id)")
    replaced = count("SELECT count(*) FROM trials t JOIN new_trials n USING (trial_id) WHERE t.status = 'error' AND n.status = 'ok'")
    insert(connection, replace_errors="n.status = 'ok'")
    same_answer = """SELECT t.trial_id FROM trials t JOIN new_trials n USING (trial_id)
        WHERE t.status = 'ok' AND n.status = 'ok' AND t.prediction IS NOT DISTINCT FROM n.prediction"""
    insert_scores(connection, which=f"n.trial_id IN ({same_answer})")
    store.database.learn_scores({(str(m), str(n)) for m, n in connection.execute("SELECT DISTINCT metric, name FROM scores").fetchall()})
    added = {name: count(f"SELECT count(*) FROM {name}") - before[name] for name in ("runs", "scores", "pages")}
    return Merged(trials=count("SELECT count(*) FROM fresh"), replaced=replaced, **added)


def _read(store: Store, source: Path) -> tuple[dict[str, Any], Path]:
    """The four tables of a source as Arrow, and the folder of its page images."""
    from ctxbench.store.store import Store

    if source.exists() and store.path.exists() and source.samefile(store.path):
        raise StoreError(f"{source}: is the store itself")
    if source.is_dir():
        return {name: _read_parquet(source, name) for name in TABLES}, source / "pages"
    if not source.exists():
        raise StoreError(f"{source}: no such file or folder")
    if source.suffix == ".parquet":
        raise StoreError(f"{source}: name the folder that holds {', '.join(f'{name}.parquet' for name in TABLES)}")
    with Store.open_read_only(source) as other:
        return {name: other.arrow(name) for name in TABLES}, image_folder(source)


def _read_parquet(folder: Path, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; make it with: ctxbench store export --format parquet -o {folder}") from None
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: not a readable Parquet file: {' '.join(str(error).split())}") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"")
    if version.isdigit() and int(version) > migrations.latest():
        raise StoreError(
            f"{path}: schema version {int(version)} is newer than this ctxbench, which knows {migrations.latest()}; pip install -U ctxbench"
        )
    return table


def _check_columns(store: Store, source: Path, name: str, table: Any) -> None:
    sql = "SELECT column_name, is_nullable = 'NO' FROM information_schema.columns WHERE table_name = ?"
    known = {str(column): bool(needed) for column, needed in store.database.connection.execute(sql, [name]).fetchall()}
    strange = [column for column in table.column_names if column not in known]
    if strange:
        raise StoreError(f"{source}: table {name} has a column {strange[0]!r} that this ctxbench does not know")
    missing = [column for column, needed in known.items() if needed and column not in table.column_names]
    if missing:
        raise StoreError(f"{source}: table {name} lacks the column {missing[0]!r}")


def _take_images(store: Store, trials: Any, pages: Any, folder: Path) -> Any:
    """Copy the page images of trials that are new here; the page table with the path of every image that is there, NULL for the rest."""
    import pyarrow as pa

    stored = store.stored(trials.column("trial_id").to_pylist())
    target = image_folder(store.path)
    paths = []
    for page in pages.select(["trial_id", "sha256", "path"]).to_pylist():
        wanted = page["path"] is not None and (page["trial_id"] not in stored or stored[page["trial_id"]].status != "ok")
        paths.append(_take_image(folder, target, str(page["path"]), page["sha256"]) if wanted else None)
    return pages.set_column(pages.column_names.index("path"), "path", pa.array(paths, pa.string()))


def _take_image(source: Path, target: Path, path: str, sha256: str) -> str | None:
    if check_page(source, path, sha256) is not None:
        return None
    path = relative_path(sha256)
    if not (target / path).exists():
        with (source / path).open("rb") as old, whole_file(target / path, error=StoreError) as new:
            shutil.copyfileobj(old, new)
    return path


__all__ = ["Merged", "merge"]
