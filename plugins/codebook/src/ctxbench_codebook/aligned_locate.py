"""An aligned page in a picture that was turned and scaled a little: the page's outline against a white canvas, made upright again.

The outline is the smallest rectangle around all that is not white (rotating calipers; Toussaint, 1983). Its sides give the number of
squares up to the scale, so several sizes are proposed, and the page's own checksums choose.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ctxbench_codebook.aligned_layout import SQUARE, Pixels

_WHITE = 160  # the least of the channels in a pixel of the canvas
_SCALES = (0.85, 1.18)
_LARGEST = 16384  # px; OpenCV's warps address less than 2^15
_MOST = 24  # sizes proposed at most


def upright(pixels: Pixels) -> Iterator[Pixels]:
    """Likely pages, the likeliest first, as they would have been made."""
    import cv2

    if max(pixels.shape[:2]) > _LARGEST:
        return
    mask = (pixels.min(2) < _WHITE).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # specks of noise
    points = cv2.findNonZero(mask)
    if points is None or len(points) < SQUARE * SQUARE:
        return
    corners = _upright_corners(cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float32))
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    width, height = float(np.hypot(*along)) + 1, float(np.hypot(*down)) + 1
    centre = corners.mean(0)
    unit_x, unit_y = along / max(1e-6, width - 1), down / max(1e-6, height - 1)
    half_x, half_y = unit_x * width / 2, unit_y * height / 2
    outline = np.array([centre - half_x - half_y, centre + half_x - half_y, centre - half_x + half_y], np.float32) + np.float32(0.5)
    for columns, rows in _sizes(width, height):
        w, h = columns * SQUARE, rows * SQUARE
        # Pixel centres are at integers for the warp, and at halves on the page.
        matrix = cv2.getAffineTransform(np.array([[0, 0], [w, 0], [0, h]], np.float32) - np.float32(0.5), outline - np.float32(0.5))
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        yield np.asarray(cv2.warpAffine(pixels, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


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
    return [(columns, rows) for _, columns, rows in sorted(found)[:_MOST]]
