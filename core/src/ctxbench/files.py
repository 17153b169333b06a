"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ctxbench.errors import CtxbenchError


@contextlib.contextmanager
def whole_file(path: Path, *, sync: bool = False, error: type[CtxbenchError] = CtxbenchError) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` when the block ends, and leaves no trace if it raises.

    Folders above it are made. A reader finds the old file or the new one, also if the disk fills up or the process is killed meanwhile.

    Args:
        sync: wait until the content is on the disk, so that a machine that goes down keeps the old file or the new one too.
        error: the error to raise.

    Raises:
        CtxbenchError: it cannot be written; the message gives the path and the system's reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            part.chmod(0o666 & ~_umask())
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise error(f"{path}: not written: {problem.strerror or problem}") from problem


def write_whole(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file whole or not at all; see :func:`whole_file`."""
    with whole_file(path, sync=sync) as file:
        file.write(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


__all__ = ["whole_file", "write_whole"]
