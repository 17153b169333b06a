"""Finds and reads the text files that a user names by paths, folders or patterns."""

from __future__ import annotations

import codecs
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from ctxbench.errors import CtxbenchError
from ctxbench.remote import fetched, is_remote, listed

_MAGIC = frozenset("*?[")
_BYTE_ORDER = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@attrs.frozen
class Found:
    """A file that was found.

    Attributes:
        label: its name within what was asked for, with ``/`` on every machine; no two files of one search have the same.
    """

    label: str
    path: Path


def find_files(paths: Sequence[str]) -> list[Found]:
    """Regular files that paths mean, in the order of the paths, those of a folder sorted by name; each file once.

    A path is a file, a folder (all files in it, at any depth) or a pattern (``*``, ``?``, ``[abc]``; ``**`` for any number of folders).
    Names that begin with a dot are left out of folders and patterns. Links to files are followed, and so is a path that is itself a link
    to a folder; links to folders within it are not, so that none is walked for ever. An address (``s3://bucket/folder/*.jsonl``,
    ``https://host/file.parquet``) is fetched through DuckDB's httpfs; one that ends in ``/`` is a folder, where its server can list it.

    Raises:
        CtxbenchError: a path does not exist or cannot be read, a pattern fits nothing, a folder is empty, or two files have one label.
    """
    found: dict[Path, Found] = {}
    for given in paths:
        for label, path in _meant(given, alone=len(paths) == 1):
            found.setdefault(Path(os.path.realpath(path)), Found(label, path))
    labels: dict[str, Path] = {}
    for file in found.values():
        if file.label in labels:
            both = f"{labels[file.label]} and {file.path}"
            raise CtxbenchError(f"{both} would both be called {file.label!r}; give one folder that holds them")
        labels[file.label] = file.path
    return list(found.values())


def _meant(given: str, alone: bool) -> list[tuple[str, Path]]:
    if not given or "\0" in given:
        raise CtxbenchError(f"{given!r} is no path")
    if is_remote(given):
        return _remote(given, alone)
    path = Path(given).expanduser()
    prefix = "" if alone else _label(given)
    try:
        if path.is_dir():
            files = [(relative, path / relative) for relative in sorted(_walk(path))]
            if not files:
                raise CtxbenchError(f"{given}: the folder holds no files")
        elif path.exists() or not _MAGIC & set(given):
            if not path.is_file():
                path.stat()  # says what is wrong with it
                raise CtxbenchError(f"{given}: neither a file nor a folder")
            return [(path.name if alone else prefix, path)]
        else:
            base, pattern = _pattern(path)
            files = [(relative, base / relative) for relative in sorted(_walk(base)) if _fits(relative.split("/"), pattern)]
            prefix = "" if alone else _label(str(base))
            if not files:
                raise CtxbenchError(f"{given}: no file fits this pattern")
    except OSError as error:
        raise CtxbenchError(f"{given}: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:
        raise CtxbenchError(f"{given}: {error}") from None
    return [(f"{prefix}/{relative}" if prefix else relative, file) for relative, file in files]


def _remote(given: str, alone: bool) -> list[tuple[str, Path]]:
    """The same for an address. The part before its first pattern, up to a ``/``, is left out of labels."""
    pattern = f"{given}**" if given.endswith("/") else given
    plain = re.match(r"[^*?\[]*", pattern)
    assert plain is not None
    if plain[0] == pattern:
        label = given.partition("://")[2]
        return [(label.rpartition("/")[2] if alone else label, fetched(given))]
    base = plain[0].rpartition("/")[0] + "/"
    urls = [url for url in listed(pattern) if not any(part.startswith(".") for part in url[len(base) :].split("/"))]
    if not urls:
        raise CtxbenchError(f"{given}: no file fits this pattern")
    prefix = "" if alone else base.partition("://")[2]
    return [(prefix + url[len(base) :], fetched(url)) for url in urls]


def _label(given: str) -> str:
    """A path as part of a label: without what leads out of it."""
    return "/".join(part for part in Path(given).parts if part not in (".", "..", "~", os.sep))


def _walk(folder: Path) -> Iterator[str]:
    """Relative paths of the regular files in a folder and in those below it, without what is hidden."""

    def fail(error: OSError) -> None:
        raise error

    for here, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(here, name)
            if not name.startswith(".") and (path.is_file() or not path.exists()):  # a link that leads nowhere is told when it is read
                yield path.relative_to(folder).as_posix()


def _pattern(path: Path) -> tuple[Path, list[str]]:
    """The folder before the first part of a pattern that is no plain name, and the parts from there on."""
    parts = path.parts
    plain = next(i for i, part in enumerate(parts) if _MAGIC & set(part))
    base = Path(*parts[:plain]) if plain else Path()
    if not base.is_dir():
        raise CtxbenchError(f"{base}: no such folder")
    return base, list(parts[plain:])


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(_fits(names[skip:], pattern[1:]) for skip in range(len(names) + 1)) or (len(pattern) == 1 and bool(names))
    return bool(names) and fnmatch.fnmatchcase(names[0], pattern[0]) and _fits(names[1:], pattern[1:])


def check_encoding(name: str) -> None:
    """Refuse what is not the name of an encoding of text.

    Raises:
        ValueError: there is no such encoding.
    """
    try:
        known = "".encode(name) == b"" or bool(codecs.lookup(name))
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(f"encoding must be the name of a text encoding such as utf-8, utf-16 or latin-1, got {name!r}")


def decode(data: bytes, name: str, encoding: str = "utf-8", *, verbatim: bool = False) -> str:
    """The text of a file's bytes; line ends stay as they are, a byte order mark goes, NUL characters are refused.

    ``verbatim`` keeps both.

    Raises:
        CtxbenchError: they are not text in this encoding; the message begins with ``name`` and tells the place.
    """
    utf8 = codecs.lookup(encoding).name == "utf-8"
    try:
        text = data.decode("utf-8-sig" if utf8 and not verbatim else encoding)
    except UnicodeDecodeError as error:
        other = next((other for mark, other in _BYTE_ORDER if data.startswith(mark)), None)
        hint = f"; it begins as {other.upper()} does: give the encoding {other}" if other else ""
        place = f"byte 0x{data[error.start]:02x} at position {error.start}" if error.start < len(data) else "it ends too early"
        raise CtxbenchError(f"{name}: not {encoding.upper()} text: {place}{hint}") from None
    except UnicodeError as error:
        raise CtxbenchError(f"{name}: not {encoding.upper()} text: {error}") from None
    if verbatim:
        return text
    if "\0" in text:
        raise CtxbenchError(f"{name}: holds a NUL character at position {text.index(chr(0))}: a binary file, or another encoding")
    return text.removeprefix("\ufeff")


def read_bytes(path: Path, name: str) -> bytes:
    """The content of a file.

    Raises:
        CtxbenchError: it cannot be read; the message begins with ``name``.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CtxbenchError(f"{name}: {error.strerror or error}") from None


__all__ = ["Found", "check_encoding", "decode", "find_files", "read_bytes"]
