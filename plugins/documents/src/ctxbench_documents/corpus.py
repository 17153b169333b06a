"""The texts of a folder, of files, or of a table's column, and the hash of all of them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import attrs

from ctxbench import CtxbenchError, SampleError, stable_hash
from ctxbench.texts import Found, decode, find_files, read_bytes
from ctxbench_documents.tables import kind_of, only_tables, read_rows


@attrs.frozen
class Document:
    """One text. ``row`` is its number in a table, from 0; ``None`` for a file that is a text."""

    source: str
    row: int | None
    text: str


@attrs.frozen
class Corpus:
    """Files as they were when they were looked at first.

    Attributes:
        files: with the SHA-256 of each.
        encoding: of files that are texts.
        column: of files that are tables; ``None`` for texts.
    """

    files: tuple[tuple[Found, str], ...]
    encoding: str = "utf-8"
    column: str | None = None
    delimiter: str = "comma"

    @property
    def fingerprint(self) -> str:
        """Hash of the names and contents of all files."""
        return stable_hash([[file.label, sha256] for file, sha256 in self.files])[:32]

    def documents(self) -> Iterator[Document]:
        """Every text with something in it but white space, in the order of the files.

        Raises:
            SampleError: a file is not what it was, or is no text; a table is broken.
        """
        for file, sha256 in self.files:
            if self.column is None:
                text = self.text(file, sha256)
                if text.strip():
                    yield Document(file.label, None, text)
            else:
                yield from self._rows(file, sha256)

    def _rows(self, file: Found, sha256: str) -> Iterator[Document]:
        assert self.column is not None
        self.read(file, sha256)
        try:
            for i, row in enumerate(read_rows(file, [self.column], self.delimiter)):
                value = row[self.column]
                if value is not None and not isinstance(value, str):
                    what = f"row {i + 1} of the column {self.column!r} holds {type(value).__name__}, not text"
                    raise CtxbenchError(f"{file.label}: {what}")
                if value and value.strip():
                    yield Document(file.label, i, value)
        except CtxbenchError as error:
            raise SampleError(str(error)) from None

    def text(self, file: Found, sha256: str) -> str:
        """The text of a file that is one."""
        try:
            return decode(self.read(file, sha256), file.label, self.encoding)
        except CtxbenchError as error:
            parquet = kind_of(file.label) == "parquet" and not isinstance(error, SampleError)
            hint = "; to read the texts of a table's column, give column=NAME" if parquet else ""
            raise SampleError(f"{error}{hint}") from None

    def read(self, file: Found, sha256: str) -> bytes:
        """The bytes of a file.

        Raises:
            SampleError: it cannot be read, or is not what it was.
        """
        try:
            data = read_bytes(file.path, file.label)
        except CtxbenchError as error:
            raise SampleError(str(error)) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SampleError(f"{file.label}: has changed since this run was planned; run the command again")
        return data


@functools.lru_cache(maxsize=1024)
def _sha256(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprints(files: list[Found]) -> tuple[tuple[Found, str], ...]:
    """Each file with the SHA-256 of its content.

    Raises:
        ValueError: one cannot be read.
    """
    found = []
    for file in files:
        try:
            stat = file.path.stat()
            found.append((file, _sha256(str(file.path.absolute()), stat.st_size, stat.st_mtime_ns)))
        except OSError as error:
            raise ValueError(f"{file.label}: {error.strerror or error}") from None
    return tuple(found)


def look_at(paths: tuple[str, ...], encoding: str = "utf-8", column: str | None = None, delimiter: str = "comma") -> Corpus:
    """The corpus that paths mean.

    Raises:
        ValueError: there are no such files, or one cannot be read.
    """
    try:
        files = find_files(paths)
        if column is not None:
            files = only_tables(files)
    except CtxbenchError as error:
        raise ValueError(str(error)) from None
    return Corpus(fingerprints(files), encoding, column, delimiter)
