"""Page images in a report: some inside it, the others by their place beside the store."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

_PATH = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.png")
"""What the store calls its page images. Anything else, in a store that came from elsewhere, is neither read nor linked."""

PNG = b"\x89PNG\r\n\x1a\n"


@attrs.frozen
class Images:
    """Page images of a report.

    Attributes:
        inside: SHA-256 to data URI.
        folder: URL of the image folder relative to the report, with ``/`` behind it.
        linked: images that are shown from that folder.
        missing: images that the store names and that are not there.
    """

    inside: dict[str, str]
    folder: str
    linked: int
    missing: int


def collect(rows: list[list[Any]], folder: Path, report: Path, budget: int) -> Images:
    """Embed page images of samples in their order until ``budget`` bytes are used up, and set to null the paths that lead nowhere.

    Args:
        rows: samples, whose last column lists their pages.
        folder: the store's image folder.
        report: the file that the report is written to.
        budget: bytes of PNG files.
    """
    inside: dict[str, str] = {}
    there: dict[str, bool] = {}
    missing: set[str] = set()
    for page in (page for row in _spread(rows) for page in row[-1]):
        sha256, path = page[0], page[1]
        if path is None or sha256 in inside or there.get(sha256):
            continue
        file = folder / path if _PATH.fullmatch(path) else None
        size = file.stat().st_size if file is not None and file.is_file() else 0
        if file is None or not size:
            page[1] = None
            missing.add(sha256)
        elif size <= budget and (data := file.read_bytes()).startswith(PNG):
            budget -= size
            inside[sha256] = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
        else:
            there[sha256] = True
    return Images(inside, _relative(folder, report), len(there), len(missing))


def _spread(rows: list[list[Any]]) -> list[list[Any]]:
    """The samples in the order in which each cell has had one before any has had two, so that the embedded images are of all cells."""
    seen: dict[Any, int] = {}
    keyed: list[tuple[int, int, list[Any]]] = []
    for row in rows:
        seen[row[1]] = seen.get(row[1], 0) + 1
        keyed.append((seen[row[1]], len(keyed), row))
    return [row for _, _, row in sorted(keyed, key=lambda item: item[:2])]


def _relative(folder: Path, report: Path) -> str:
    folder, base = folder.resolve(), report.resolve().parent
    try:
        return quote(Path(os.path.relpath(folder, base)).as_posix()) + "/"
    except ValueError:  # another drive
        return folder.as_uri() + "/"
