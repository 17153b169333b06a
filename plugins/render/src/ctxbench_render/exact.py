"""Undamaged pages: each cell is looked up among the inks of the characters that the codec draws, and the text is certain."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_render.registration import is_clean
from ctxbench_render.repertoire import bank

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Grey = npt.NDArray[np.uint8]

TIERS = ("ascii", "narrow", "wide", "hangul-wide", "marked", "rest", "rest-wide")
"""Where cells are looked up, one after the other while there are unknown ones: drawing all 50,000 characters takes seconds."""

RARE = 0.05
"""Share of cells up to which the rest of the repertoire is searched."""


def read_exactly(page: Image.Image, codec: RenderCodec) -> list[tuple[str, bool]] | None:
    """(text, whether the next line goes on with it) of every line that fits a page; ``None`` unless the codec draws this very page."""
    grey = page.convert("L")
    if not is_clean(grey, codec):
        return None
    ink = 255 - np.asarray(grey)
    rows = min(codec.lines_on_a_page, (ink.shape[0] - 2 * codec.margin) // codec.pitch)
    columns = min(codec.limit, (ink.shape[1] - codec.margin) // codec.cell)
    if rows < 1 or columns < 1:
        return None
    bottom, right = codec.margin + rows * codec.pitch, codec.margin + columns * codec.cell
    cells = ink[codec.margin : bottom, codec.margin : right].reshape(rows, codec.pitch, columns, codec.cell).swapaxes(1, 2)
    bars = _bars(ink[codec.margin : bottom, right:], codec, columns)
    if bars is None:
        return None
    lines = _look_up(np.ascontiguousarray(cells).reshape(rows, columns, -1), codec)
    return None if lines is None else [(line.rstrip(), bool(bar)) for line, bar in zip(lines, bars, strict=True)]


def _bars(beside: Grey, codec: RenderCodec, columns: int) -> npt.NDArray[np.bool_] | None:
    """Which lines have the mark of a line that goes on; ``None`` if there is anything else beside the cells."""
    rows = len(beside) // codec.pitch
    lines = beside.reshape(rows, codec.pitch, -1)
    start = codec.bar.start - codec.margin - columns * codec.cell
    mark = np.zeros(lines.shape[1:], np.uint8)
    if columns == codec.limit:
        mark[2:-2, max(0, start) : max(0, codec.bar.stop - codec.margin - columns * codec.cell)] = 255
    inked = lines.any((1, 2))
    fits = bool((lines[inked] == mark).all()) and bool(mark.any() or not inked.any())
    return np.asarray(inked) if fits else None


def _look_up(cells: Grey, codec: RenderCodec) -> list[str] | None:
    """The characters of (rows, columns, px) cells, or ``None`` if one is none that the codec draws."""
    inked = cells.any(2)
    found = np.where(inked, "", " ").astype(object)
    keys = {(int(r), int(c)): cells[r, c].tobytes() for r, c in zip(*np.nonzero(inked), strict=True)}
    unknown = list(keys)
    for tier in TIERS:
        if not unknown or (tier.startswith("rest") and len(unknown) > RARE * len(keys)):
            break
        known = _by_ink(codec, tier)
        if "wide" in tier:
            _match_wide(cells, found, unknown, known, codec)
        else:
            for place in unknown:
                found[place] = known.get(keys[place], "")
        unknown = [place for place in unknown if found[place] == ""]
    if unknown:
        return None
    return ["".join("" if piece is None else piece for piece in row) for row in found]


def _match_wide(
    cells: Grey, found: npt.NDArray[np.object_], unknown: list[tuple[int, int]], known: dict[bytes, str], codec: RenderCodec
) -> None:
    """Wide characters on unknown cells and those to their right, which then are ``None``."""
    for row, column in unknown:
        if column + 1 < cells.shape[1] and found[row, column] == "":
            both = cells[row, column : column + 2].reshape(2, codec.pitch, codec.cell).swapaxes(0, 1)
            character = known.get(both.tobytes())
            if character is not None:
                found[row, column], found[row, column + 1] = character, None
            elif column and found[row, column - 1] == " ":
                # a character whose left half is blank
                both = cells[row, column - 1 : column + 1].reshape(2, codec.pitch, codec.cell).swapaxes(0, 1)
                character = known.get(both.tobytes())
                if character is not None:
                    found[row, column - 1], found[row, column] = character, None


@functools.lru_cache(maxsize=16)
def _by_ink(codec: RenderCodec, tier: str) -> dict[bytes, str]:
    some = bank(codec, tier)
    return {ink.tobytes(): character for ink, character in zip(some.inks, some.characters, strict=True)}
