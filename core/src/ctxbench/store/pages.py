"""Page images beside the store: PNG files named by the SHA-256 of their pixels, so that equal pages are kept once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import attrs
from PIL import Image

from ctxbench.errors import StoreError
from ctxbench.files import whole_file
from ctxbench.images import MAX_PIXELS, page_sha256
from ctxbench.results import TrialResult

POLICIES = ("all", "failures", "none")
"""Keep every page, those of trials that were not right, or none."""


def image_folder(store: Path) -> Path:
    """The folder of a store's page images: ``<store>.pages``."""
    return store.with_name(store.name + ".pages")


def is_sha256(text: str) -> bool:
    """True for 64 lower-case hexadecimal digits: a stored hash becomes a file name, so nothing else may pass."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


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
    with whole_file(path, error=StoreError) as file:
        page.save(file, "PNG")


def check_page(folder: Path, path: str, sha256: str) -> str | None:
    """What is wrong with a stored page image, or ``None``: misplaced, missing, unreadable, or other pixels than its hash says."""
    if not is_sha256(sha256) or path != relative_path(sha256):
        return "its path does not follow from its hash"
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
