"""Reading a user's text and writing results whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from ctxbench import CtxbenchError


def read_context(file: str) -> str:
    """The UTF-8 text of a file, or of stdin for ``-``; line ends stay as they are.

    Raises:
        CtxbenchError: it does not exist, is a folder, cannot be read, or is not UTF-8 (with the byte's position).
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CtxbenchError(f"{file}: {error.strerror or error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CtxbenchError(f"{file}: not UTF-8 text: byte 0x{data[error.start]:02x} at position {error.start}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also if the disk fills up or the process is killed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise CtxbenchError(f"{path}: {error.strerror or error}") from None
