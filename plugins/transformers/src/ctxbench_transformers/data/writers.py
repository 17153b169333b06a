"""Writes records as they come: JSON lines with PNG files, or Parquet with the images inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from ctxbench import canonical_json
from ctxbench_transformers.data.record import Record

ROWS_A_GROUP = 64
"""Rows of a Parquet row group: what reading one row at random has to decode."""

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "codec", "task", "augmentation")),
        ("bucket", pa.int64()),
        ("language", pa.string()),
        ("seed", pa.int64()),
        *((name, pa.string()) for name in ("system", "text", "question", "answer", "context", "metadata")),
        ("tokens", pa.struct([(name, pa.int64()) for name in ("text", "visual", "answer")])),
        ("pages", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
    ]
)


class Writer(Protocol):
    """Takes the records of one split."""

    def write(self, record: Record) -> None:
        """Write one record."""

    def close(self) -> None:
        """Finish the file."""


class JsonLines:
    """``<split>.jsonl`` and ``images/<first two digits>/<sha256 of the pixels>.png``, each distinct page once."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        self.file: TextIO = (folder / f"{split}.jsonl").open("w", encoding="utf-8")

    def write(self, record: Record) -> None:
        """Write the pages that are not there yet, then the line."""
        paths = []
        for page in record.pages:
            path = f"images/{page.sha256[:2]}/{page.sha256}.png"
            paths.append(path)
            target = self.folder / path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(page.png)
        self.file.write(canonical_json({**record.plain(), "pages": paths}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Parquet:
    """``<split>.parquet``; pages are structs of PNG ``bytes`` and ``path``, which ``datasets`` reads as images."""

    def __init__(self, folder: Path, split: str) -> None:
        self.writer = pq.ParquetWriter(folder / f"{split}.parquet", SCHEMA, compression="zstd")
        self.rows: list[dict[str, Any]] = []

    def write(self, record: Record) -> None:
        """Queue a row; a full row group is written out."""
        pages = [{"bytes": page.png, "path": f"{page.sha256}.png"} for page in record.pages]
        self.rows.append({**record.plain(), "metadata": canonical_json(record.sample.metadata), "pages": pages})
        if len(self.rows) == ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, schema=SCHEMA))
            self.rows = []

    def close(self) -> None:
        """Write what is queued and the footer."""
        self._flush()
        self.writer.close()


WRITERS: dict[str, type[JsonLines] | type[Parquet]] = {"jsonl": JsonLines, "parquet": Parquet}
