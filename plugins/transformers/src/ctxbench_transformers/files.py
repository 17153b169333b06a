"""Files and folders that are whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctxbench.files import write_whole


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by the JSON of ``value`` in one step: a reader, or a crash, finds the old file or the new one."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode(), sync=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which gets the name ``path`` when the block ends, and leaves no trace if it raises.

    Raises:
        OSError: it cannot be made, or ``path`` is there and not empty.
    """
    work = path.with_name(f".{path.name}.partial-{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        yield work
        work.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
