"""Keeps pages that wait for the channel stage: some in memory, the others on disk."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import tempfile
from pathlib import Path

import attrs
from PIL import Image

Pages = tuple[Image.Image, ...]

MEMORY_BYTES = 256_000_000
"""Pixels (three bytes each) that are kept in memory before pages go to disk."""


@attrs.define(eq=False)
class Kept:
    """Pages on the shelf, until :meth:`release`."""

    _shelf: Shelf
    size: int
    _pages: Pages | None = None
    _file: Path | None = None

    def pages(self) -> Pages:
        """The pages."""
        if self._file is not None:
            found: Pages = pickle.loads(self._file.read_bytes())
            return found
        return self._pages or ()

    def release(self) -> None:
        """Free their room. May be called again."""
        self._shelf.free(self)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()
        self._pages, self._file, self.size = None, None, 0


@attrs.define(eq=False)
class Shelf:
    """Room for pages, as much as the caller puts there."""

    _in_memory: int = attrs.field(default=0, init=False)
    _folder: tempfile.TemporaryDirectory[str] | None = attrs.field(default=None, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def keep(self, pages: Pages) -> Kept:
        """Keep pages.

        Raises:
            OSError: the disk for temporary files is full.
        """
        size = sum(3 * page.width * page.height for page in pages)
        if not pages or self._in_memory + size <= MEMORY_BYTES:
            self._in_memory += size
            return Kept(self, size, pages)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="ctxbench-", ignore_cleanup_errors=True)
        file = Path(self._folder.name, str(next(self._numbers)))
        file.write_bytes(pickle.dumps(pages, pickle.HIGHEST_PROTOCOL))
        return Kept(self, size, None, file)

    def free(self, kept: Kept) -> None:
        """Called by :meth:`Kept.release`."""
        if kept._file is None:
            self._in_memory -= kept.size

    def close(self) -> None:
        """Drop all that is on disk."""
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None
