"""Rows of a user's own files: JSON lines, a JSON list, or Parquet."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from PIL import Image

from ctxbench import ConfigError, CtxbenchError
from ctxbench.images import open_page
from ctxbench.texts import read_bytes

READ_AT_ONCE = 16
"""Rows of a Parquet file in memory; each may hold many pages."""
PAGES, TEXTS, ANSWERS = ("pages", "images", "image"), ("text", "context"), ("answer", "answers")
"""Columns, the first that is there counts."""


@attrs.frozen(eq=False)
class OwnRow:
    """One question of a user's own.

    Attributes:
        where: the file and the line or row, for messages.
        pages: paths, or bytes of image files; empty if a codec is to carry the text.
        text: what is asked about; beside pages, what is on them, if it is known.
        folder: where relative paths begin.
    """

    where: str
    pages: tuple[str | bytes, ...]
    text: str
    question: str
    answer: str
    language: str
    folder: Path

    @property
    def key(self) -> str:
        """What is asked about: rows with the same key belong into the same split."""
        digest = hashlib.sha256()
        for page in self.pages or (self.text,):
            digest.update(hashlib.sha256(page if isinstance(page, bytes) else page.encode()).digest())
        return digest.hexdigest()

    def open_pages(self) -> tuple[Image.Image, ...]:
        """The pages, as RGB.

        Raises:
            CtxbenchError: one is missing, broken or too large; the message says in which row.
        """
        try:
            return tuple(self._open(page) for page in self.pages)
        except CtxbenchError as error:
            raise CtxbenchError(f"{self.where}: {error}") from None

    def _open(self, page: str | bytes) -> Image.Image:
        if isinstance(page, str):
            return open_page(self.folder / page)
        with tempfile.NamedTemporaryFile(prefix="page-") as file:  # bounds are checked where files are opened
            file.write(page)
            file.flush()
            return open_page(file.name)


def read_rows(path: Path) -> Iterator[OwnRow]:
    """The rows of a ``.jsonl``, ``.ndjson``, ``.json`` or ``.parquet`` file, in order.

    Raises:
        CtxbenchError: it cannot be read, or a row lacks something; the message says which.
    """
    for where, row in _rows(path):
        if not isinstance(row, Mapping):
            raise ConfigError(f"{where}: expected a mapping of columns, got {type(row).__name__}")
        yield _own(where, row, path.parent)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".parquet":
        yield from ((f"{path}, row {i}", row) for i, row in enumerate(_table(path), 1))
        return
    if path.suffix not in (".jsonl", ".ndjson", ".json"):
        raise ConfigError(f"{path}: expected .jsonl, .ndjson, .json (a list) or .parquet")
    try:
        text = read_bytes(path, str(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start})") from None
    if path.suffix == ".json":
        found = _json(text, str(path))
        if not isinstance(found, list):
            raise ConfigError(f"{path}: expected a list of rows; one row a line belongs into a .jsonl file")
        yield from ((f"{path}, row {i}", row) for i, row in enumerate(found, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", _json(line, f"{path}:{number}")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: no JSON: {error}") from None


def _table(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_AT_ONCE):
                yield from batch.to_pylist()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except pa.ArrowException as error:
        raise ConfigError(f"{path}: no Parquet file that can be read: {' '.join(str(error).split())[:200]}") from None


def _own(where: str, row: Mapping[str, Any], folder: Path) -> OwnRow:
    found = next((row[name] for name in PAGES if row.get(name)), ())
    pages = tuple(_page(where, page) for page in (found if isinstance(found, (list, tuple)) else [found]))
    text = next((row[name] for name in TEXTS if row.get(name)), "")
    answer = next((row[name] for name in ANSWERS if row.get(name)), None)
    if isinstance(answer, Mapping):  # as SQuAD has them
        answer = answer.get("text")
    if isinstance(answer, (list, tuple)):
        answer = answer[0] if answer else None
    question, language = row.get("question"), row.get("language") or "en"
    for name, value in (("text", text), ("question", question), ("answer", answer)):
        if not isinstance(value, str) or not (value or name == "text"):
            raise ConfigError(f"{where}: {name!r} must be a text that is not empty, got {_short(value)}")
    if not pages and not text:
        raise ConfigError(f"{where}: neither 'pages' nor 'text': what is asked about? (its columns are {', '.join(map(str, row))})")
    if language not in ("en", "zh"):
        raise ConfigError(f"{where}: 'language' must be en or zh, got {_short(language)}")
    return OwnRow(where, pages, text, str(question), str(answer), language, folder)


def _page(where: str, page: Any) -> str | bytes:
    """A path, or the bytes that the ``datasets`` library puts into a table in its place."""
    if isinstance(page, Mapping):
        page = page.get("bytes") or page.get("path")
    if not isinstance(page, (str, bytes)) or not page:
        raise ConfigError(f"{where}: a page must be a path, or an image with 'bytes' or 'path', got {_short(page)}")
    return page


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
