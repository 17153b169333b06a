"""Page images beside the store: PNG files named by the SHA-256 of their pixels, so that equal pages are kept once."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
from PIL import Image

from ctxbench.errors import StoreError
from ctxbench.images import page_sha256
from ctxbench.results import TrialResult

POLICIES = ("all", "failures", "none")
"""Keep every page, those of trials that were not right, or none."""


def image_folder(store: Path) -> Path:
    """The folder of a store's page images: ``<store>.pages``."""
    return store.with_name(store.name + ".pages")


def relative_path(sha256: str) -> str:
    """Where the page with this hash lies inside the folder, with ``/`` on every system."""
    return f"{sha256[:2]}/{sha256}.png"


def keep(folder: Path, policy: str, result: TrialResult, pages: Sequence[Image.Image]) -> TrialResult:
    """Write the pages that the policy asks for and return the result with their paths.

    Raises:
        StoreError: a page could not be written; ``folder`` holds no part of it.
        ValueError: pages and rows of the result do not belong together.
    """
    if policy == "none" or not result.pages or (policy == "failures" and result.outcome == "correct"):
        return result
    if len(pages) != len(result.pages):
        raise ValueError(f"trial {result.trial_id} has {len(result.pages)} page rows and {len(pages)} page images")
    rows = []
    for row, page in zip(result.pages, pages, strict=True):
        write_page(folder, row.sha256, page)
        rows.append(attrs.evolve(row, path=relative_path(row.sha256)))
    return attrs.evolve(result, pages=tuple(rows))


def write_page(folder: Path, sha256: str, page: Image.Image) -> None:
    """Write one page unless it is there. The file appears whole or not at all.

    Raises:
        StoreError: the disk is full, the folder cannot be written, or PNG cannot hold the image's mode.
    """
    path = folder / relative_path(sha256)
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                page.save(file, "PNG")
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path}: page image not written: {error.strerror or error}") from error


def check_page(folder: Path, path: str, sha256: str) -> str | None:
    """What is wrong with a stored page image, or ``None``: missing, unreadable, or other pixels than its hash says."""
    from ctxbench.images import MAX_PIXELS

    file = folder / path
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} px is more than any page has"
            image.load()
            found = page_sha256(image)
    except FileNotFoundError:
        return "missing"
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return f"not a readable image: {' '.join(str(error).split())}"
    return None if found == sha256 else "its pixels do not match its hash"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
