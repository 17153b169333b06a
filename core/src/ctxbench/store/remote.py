"""Exported tables in object storage: written there, read from there, and asked without a store of one's own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ctxbench.errors import CtxbenchError, StoreError
from ctxbench.remote import connected
from ctxbench.store.card import write_card
from ctxbench.store.export import TABLES, export
from ctxbench.store.merge import Merged, merge

if TYPE_CHECKING:
    from ctxbench.store.store import Store


@attrs.frozen
class Sent:
    """A file that was written: its address, and how many rows it has, if it is a table."""

    url: str
    rows: int | None


def export_to(store: Store, kind: str, url: str, names: Sequence[str] = ()) -> list[Sent]:
    """Write tables or views to ``url``, as :func:`~ctxbench.store.export.export` writes them into a folder or file.

    Raises:
        CtxbenchError: they cannot be written there.
    """
    single = url.endswith(f".{kind}")
    with _errors(), connected(url) as remote, tempfile.TemporaryDirectory(prefix="ctxbench-") as folder:
        base, target = url.rpartition("/")[0] if single else url.rstrip("/"), Path(folder)
        made = export(store, kind, target / url.rpartition("/")[2] if single else target, names)
        files = {file.path: file.rows for file in made}
        if kind == "parquet" and not single:
            files |= {write_card(store, target, made): None}  # type: ignore[dict-item]
        sent = []
        for path, rows in files.items():
            address = f"{base}/{path.name}"
            remote.write(address, path)
            sent.append(Sent(address, rows))
        return sent


def merge_from(store: Store, url: str) -> Merged:
    """Add what tables that were exported to ``url`` have and ``store`` lacks; see :func:`~ctxbench.store.merge.merge`.

    Args:
        url: the address that they were exported to, or that of one of them.

    Raises:
        CtxbenchError: they cannot be read or do not fit; nothing was changed.
    """
    base = url.rstrip("/")
    if base.rpartition("/")[2] in {f"{name}.parquet" for name in TABLES}:
        base = base.rpartition("/")[0]
    with _errors(), tempfile.TemporaryDirectory(prefix="ctxbench-") as folder:
        with connected(base) as remote:
            for name in TABLES:
                (Path(folder) / f"{name}.parquet").write_bytes(remote.read(f"{base}/{name}.parquet"))
        try:
            return merge(store, Path(folder))
        except StoreError as error:
            raise StoreError(str(error).replace(folder, base)) from None


@contextlib.contextmanager
def opened_from(url: str) -> Iterator[Store]:
    """A store of its own, for the time being, of what was exported to ``url``: the same tables and views, to be read."""
    from ctxbench.store.store import Store

    with tempfile.TemporaryDirectory(prefix="ctxbench-") as folder:
        path = Path(folder) / "remote.duckdb"
        with Store.open(path) as store:
            merge_from(store, url)
        with Store.open_read_only(path) as store:
            yield store


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CtxbenchError(f"a temporary file cannot be written: {error.strerror or error}") from None


__all__ = ["Sent", "export_to", "merge_from", "opened_from"]
