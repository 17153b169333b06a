"""Reading a user's text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from ctxbench import UsageError, texts


@attrs.frozen
class Context:
    """A user's text. ``label`` is what it is called: the file as it was given, or its place in a folder."""

    label: str
    text: str


def read_context(file: str, encoding: str = "utf-8") -> str:
    """The text of a file, or of stdin for ``-``; line ends and all else stay as they are.

    Raises:
        CtxbenchError: it does not exist, is a folder, cannot be read, or is not in this encoding (with the byte's position).
    """
    data = sys.stdin.buffer.read() if file == "-" else texts.read_bytes(Path(file), file)
    return texts.decode(data, file, encoding, verbatim=True)


def read_contexts(paths: Sequence[str], encoding: str = "utf-8") -> list[Context]:
    """The texts of files, of every file of folders, and of patterns; of stdin for ``-`` alone.

    Raises:
        UsageError: there is no such encoding.
        CtxbenchError: as :func:`read_context`, or a folder is empty.
    """
    try:
        texts.check_encoding(encoding)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
    if len(paths) == 1 and (paths[0] == "-" or Path(paths[0]).is_file()):
        return [Context(paths[0], read_context(paths[0], encoding))]
    found = texts.find_files(paths)
    return [
        Context(file.label, texts.decode(texts.read_bytes(file.path, file.label), file.label, encoding, verbatim=True)) for file in found
    ]
