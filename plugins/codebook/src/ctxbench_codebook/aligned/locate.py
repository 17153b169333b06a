"""An aligned page in a picture that was turned and scaled a little: the page's outline against a white canvas, made upright again.

The outline is the smallest rectangle around all that is not white (rotating calipers; Toussaint, 1983). Its sides give the number of
squares up to the scale, so several sizes are proposed, and the page's own checksums choose.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_codebook.aligned.layout import SQUARE, Pixels
from ctxbench_codebook.layout import LARGEST

_WHITE = 160  # the least of the channels in a pixel of the canvas
_SCALES = (0.85, 1.18)
_LARGEST = 16384  # px; OpenCV's warps address less than 2^15
_MOST = 24  # sizes proposed at most
_MARGIN = 8  # px kept around the page
_BAND = 1 << 20  # pixels looked at at once


@attrs.frozen(eq=False)
class Upright:
    """A page in a picture, as it may have been made: ``columns`` x ``rows`` squares, and where their upper left, upper right and lower
    left corners are, (3, 2) x and y in px from the edge of ``pixels``."""

    pixels: Pixels
    outline: npt.NDArray[np.float32]
    columns: int
    rows: int

    def last(self, rows: int) -> Pixels:
        """The last rows of squares, (rows * 28, columns * 28, 3)."""
        import cv2

        w, h, skipped = self.columns * SQUARE, self.rows * SQUARE, (self.rows - rows) * SQUARE
        # Pixel centres are at integers for the warp, and at halves on the page.
        page = np.array([[0, 0], [w, 0], [0, h]], np.float32) - np.float32(0.5) - np.array([0, skipped], np.float32)
        matrix = cv2.getAffineTransform(page, self.outline - np.float32(0.5))
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        made = cv2.warpAffine(self.pixels, matrix, (w, rows * SQUARE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(made, np.uint8)


def upright(image: Image.Image) -> Iterator[Upright]:
    """Likely pages in a picture, the likeliest first. Only the part of it that is not white is made an array."""
    import cv2

    if max(image.size) > _LARGEST:
        return
    points = _inked(image)
    if points is None:
        return
    box = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float32)
    low = np.maximum(np.floor(box.min(0)) - _MARGIN, 0).astype(int)
    high = np.minimum(np.ceil(box.max(0)) + _MARGIN + 1, image.size).astype(int)
    if np.ptp(box, axis=0).max() > 1.5 * LARGEST / _SCALES[0]:
        return
    pixels = np.asarray(image.crop((*low.tolist(), *high.tolist())).convert("RGB"))
    corners = _upright_corners(box - low.astype(np.float32))
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    width, height = float(np.hypot(*along)) + 1, float(np.hypot(*down)) + 1
    centre = corners.mean(0)
    unit_x, unit_y = along / max(1e-6, width - 1), down / max(1e-6, height - 1)
    half_x, half_y = unit_x * width / 2, unit_y * height / 2
    outline = np.array([centre - half_x - half_y, centre + half_x - half_y, centre - half_x + half_y], np.float32) + np.float32(0.5)
    for columns, rows in _sizes(width, height):
        yield Upright(pixels, outline, columns, rows)


def _inked(image: Image.Image) -> npt.NDArray[np.int32] | None:
    """The first and the last pixel of each row that is not white, (n, 1, 2): what is around them is around all; ``None`` for too few."""
    import cv2

    mask = np.empty((image.height, image.width), np.uint8)
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(image.height, top + step))).convert("RGB")
        mask[top : top + step] = np.asarray(band).min(2) < _WHITE
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))  # specks of noise
    if cv2.countNonZero(mask) < SQUARE * SQUARE:
        return None
    rows = np.flatnonzero(mask.any(1))
    first, last = mask[rows].argmax(1), image.width - 1 - mask[rows, ::-1].argmax(1)
    return np.stack([np.concatenate([first, last]), np.concatenate([rows, rows])], 1)[:, None].astype(np.int32)


def _upright_corners(box: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The corners clockwise from the upper left, for turns of less than 45 degrees."""
    centre = box.mean(0)
    angles = np.arctan2(box[:, 1] - centre[1], box[:, 0] - centre[0])
    ordered = box[np.argsort(angles)]
    best = min(range(4), key=lambda i: abs(np.arctan2(*(np.roll(ordered, -i, 0)[1] - np.roll(ordered, -i, 0)[0])[::-1])))
    return np.roll(ordered, -best, 0)


def _sizes(width: float, height: float) -> list[tuple[int, int]]:
    """(columns, rows) whose aspect is the outline's, the nearest first."""
    low, high = (round(width / SQUARE / scale) for scale in reversed(_SCALES))
    found = []
    for columns in range(max(1, low), high + 1):
        rows = max(1, round(columns * height / width))
        found.append((abs(np.log(rows / columns * width / height)) * columns, columns, rows))
    return [(columns, rows) for _, columns, rows in sorted(found)[:_MOST] if max(columns, rows) * SQUARE <= LARGEST]
