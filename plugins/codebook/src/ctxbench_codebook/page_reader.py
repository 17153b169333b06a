"""Reading one picture: locate the page, rectify it, read its header, and leave the grid to the reader of its kind."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image

from ctxbench import DecodeError
from ctxbench_codebook import equalise, hard_reader, header, locate, rectify, soft_reader, straighten
from ctxbench_codebook.document import Part
from ctxbench_codebook.effort import Effort
from ctxbench_codebook.equalise import Windows
from ctxbench_codebook.grid import white_and_black
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import BAND_CELL, EDGE, GRID, Band
from ctxbench_codebook.picture import Picture, crops, levels
from ctxbench_codebook.rectify import Samples, View
from ctxbench_codebook.shared import Sighting, sighted

PAYLOADS: dict[int, Callable[[Picture, View, Header, Effort], bytes]] = {
    header.REED_SOLOMON: hard_reader.payload,
    header.LDPC: soft_reader.payload,
}
"""Readers of the grid, by the version of the format."""

CLOSE = 2.0  # px of a cell, below which it is the first thing to say that the page is too far away
BRIGHT = 0.4  # of full contrast between the header's white and black, below which light is missing


def read_page(page: Image.Image) -> Part | Sighting:
    """The header and bytes of the page in a picture, or, of one that shares a code word with others, its cells.

    The picture is read as it is (reduced, if it is larger than ``picture.MOST``), then reduced by halves until a header is found, and
    at last, if it had to be reduced at first, around each frame that was found in it.

    Raises:
        DecodeError: no frame, no header, or more errors than can be corrected.
    """
    import cv2

    cv2.setNumThreads(1)
    reader = _Reader()
    first, frames = 1, list[locate.Corners]()
    for number, (factor, picture) in enumerate(levels(page)):
        part = reader.read(picture)
        if part is not None:
            return part
        if number == 0:
            first, frames = factor, [corners * factor for corners in reader.frames]
        if reader.named:
            break
    for around in crops(page, frames) if first > 1 and not reader.effort.spent else ():
        part = reader.read(around)
        if part is not None:
            return part
    raise DecodeError(reader.reason)


@attrs.define
class _Reader:
    """Reads one picture after the other, and counts what it costs: a picture may hold many frames and headers that lead nowhere.

    Attributes:
        effort: what is left of it.
        reason: why nothing was read.
        named: a header was read.
        frames: corners of the frames in the picture that was read last.
    """

    effort: Effort = attrs.field(factory=Effort)
    reason: str = "no frame of a codebook page is in the picture; show the whole page, with some white around it"
    named: bool = False
    frames: list[locate.Corners] = attrs.field(factory=list)

    def read(self, picture: Picture) -> Part | Sighting | None:
        """The page, if it can be read; as a last resort, after sides that a lens has bent are made straight."""
        part = self._flat(picture)
        if part is not None or min(picture.grey.shape) < locate.SMALLEST_SIDE:
            return part
        frames, tried = self.frames, list[float]()
        for outline, corners in list(locate.outlines(picture.grey)):  # what they are found in is not needed beside a second picture
            if part is not None or self.effort.headers <= 0 or self.effort.bends <= 0:
                break
            k = straighten.bend(outline, corners, picture.size)
            if k and not any(abs(k - other) < 0.002 for other in tried):
                tried.append(k)
                self.effort.straighten()
                part = self._flat(straighten.without(picture, k))
        self.frames = frames
        return part

    def _flat(self, picture: Picture) -> Part | Sighting | None:
        self.frames = []
        for corners in locate.candidates(picture.grey) if min(picture.grey.shape) >= 3 else ():
            if self.effort.spent:
                break
            self.frames.append(corners)
            if not self.named:
                self.reason = "a frame was found, but no header could be read in it; take it closer, sharper or straight from above"
            part = self._in_frame(picture, corners)
            if part is not None:
                return part
        return None

    def _in_frame(self, picture: Picture, corners: locate.Corners) -> Part | Sighting | None:
        for view in rectify.views(picture.grey, corners):
            if self.effort.headers <= 0:
                return None
            self.effort.headers -= 1
            found = read_header(picture.grey, view)
            if found is None:
                continue
            self.named = True
            view = rectify.with_height(view, found.squares * GRID)
            try:
                if found.version == header.SHARED:
                    return sighted(picture, view, found)
                return Part(found, PAYLOADS[found.version](picture, view, found, self.effort))
            except DecodeError as error:
                self.reason = f"page {found.page + 1}: {error}; {_advice(picture, view, found)}"
                return None
        return None


def read_header(grey: Samples, view: View) -> Header | None:
    """The header of a view, if it is one."""
    band = Band(view.width)
    rows, columns = band.rows - 1, band.columns
    xs = EDGE + (np.arange(-1, columns + 1) + 0.5) * BAND_CELL
    ys = EDGE + BAND_CELL + (np.arange(-1, rows + 1) + 0.5) * BAND_CELL
    cells = rectify.sample(grey, view.matrix, xs, ys)
    mask, values = band.known()
    known, truth = mask.ravel(), values.ravel().astype(np.float32)[:, None]
    for radius in (1, 0):
        inner = cells[1 - radius : cells.shape[0] - 1 + radius, 1 - radius : cells.shape[1] - 1 + radius]
        windows = Windows(inner, radius)
        weights = equalise.least_squares(windows, np.flatnonzero(known), truth[known], 1e-3)
        bits = (windows.times(weights)[:, 0] > 0.5).astype(np.uint8)
        found = header.from_bits(bits[~known])
        if found is not None:
            return found
    return None


def _advice(picture: Picture, view: View, found: Header) -> str:
    """What would make a page readable whose header was read."""
    width = view.scale * found.cell
    if width < CLOSE:
        return f"its cells are {width:.1f} px wide in the picture: take it closer"
    white, black = white_and_black(picture, view)
    contrast = float((white - black).mean())
    if contrast < BRIGHT:
        return f"black and white differ by {contrast:.0%} of what they could: take it in more light, without glare"
    return "take it closer, sharper or in more light, or encode with a preset for heavier damage"
