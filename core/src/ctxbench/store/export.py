"""Tables and views as Parquet, CSV or JSON Lines files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from ctxbench.errors import StoreError
from ctxbench.files import whole_file
from ctxbench.store import formats, migrations

if TYPE_CHECKING:
    from ctxbench.store.store import Store

FORMATS = ("parquet", "csv", "jsonl")
TABLES = ("runs", "trials", "scores", "pages")
VERSION_KEY = b"ctxbench.schema_version"
"""In a Parquet file's metadata: the schema version of the store it came from."""

_BATCH = 50_000


@attrs.frozen
class Exported:
    """A file that was written: the table or view, where, and how many rows."""

    name: str
    path: Path
    rows: int


def export(store: Store, kind: str, output: Path, names: Sequence[str] = ()) -> list[Exported]:
    """Write tables or views, by default the four tables, which :func:`~ctxbench.store.merge.merge` reads back.

    Args:
        kind: ``parquet``, ``csv`` or ``jsonl``.
        output: a file for one table or view, if its name ends in the format's name; else a folder, made if it is missing.

    Raises:
        StoreError: the format is unknown, or a file cannot be written (none is left half written).
        QueryError: there is no such table or view.
    """
    if kind not in FORMATS:
        raise StoreError(f"format must be one of {', '.join(FORMATS)}, got {kind!r}")
    wanted = list(dict.fromkeys(names)) or list(TABLES)
    single = output.suffix == f".{kind}" and not output.is_dir()
    if single and len(wanted) > 1:
        raise StoreError(f"{output}: is one file, but {len(wanted)} tables are asked for; name a folder, or one table or view")
    if output.exists() and not single and not output.is_dir():
        raise StoreError(f"{output}: is a file that does not end in .{kind}; name a folder, or a file that does")
    found = []
    for name in wanted:
        if not name.isidentifier():
            raise StoreError(f"{name!r} is not the name of a table or view")
        path = output if single else output / f"{name}.{kind}"
        with whole_file(path, error=StoreError) as file:
            found.append(Exported(name, path, _write(store, name, kind, file)))
    return found


def _write(store: Store, name: str, kind: str, file: BinaryIO) -> int:
    if kind == "parquet":
        return _write_parquet(store, name, file)
    rows = store.rows(name)
    if kind == "csv":
        return formats.write_csv(file, rows.columns, rows)
    return formats.write_jsonl(file, rows.columns, rows.types, rows)


def _write_parquet(store: Store, name: str, file: BinaryIO) -> int:
    import pyarrow.parquet as pq

    reader = store.arrow_reader(name, _BATCH)
    metadata = {**(reader.schema.metadata or {}), VERSION_KEY: str(migrations.latest()).encode()}
    count = 0
    with pq.ParquetWriter(file, reader.schema.with_metadata(metadata), compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


__all__ = ["FORMATS", "Exported", "export"]
