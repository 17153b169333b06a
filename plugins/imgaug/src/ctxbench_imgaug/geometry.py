"""Where the pixels of a page go: scale, rotation and perspective as one homography onto a canvas that holds the whole page."""

from __future__ import annotations

import math

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Pixels = NDArray[np.uint8]

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}

cv2.setNumThreads(1)  # trials run in parallel processes; OpenCV's own threads would only fight over the cores


@attrs.frozen(eq=False)
class Warp:
    """A homography and the canvas that it fills.

    Attributes:
        matrix: 3 x 3, from page to canvas, in pixels whose *corners* have integer coordinates: the page is [0, width] x [0, height].
        size: (width, height) of the canvas in pixels.
        shrink: linear scale factor at the page's centre.
    """

    matrix: Matrix
    size: tuple[int, int]
    shrink: float


def warp_for(size: tuple[int, int], scale: float, degrees: float, corners: Matrix) -> Warp:
    """The warp that scales and turns a page about its centre and moves its corners.

    Args:
        size: (width, height) of the page in pixels.
        scale: linear factor.
        degrees: clockwise angle.
        corners: 4 x 2 displacements of the corners (top left, top right, bottom right, bottom left) before scaling, in pixels.
    """
    width, height = size
    page = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    matrix = _similarity(width, height, scale, degrees)
    if np.any(corners):
        bent = cv2.getPerspectiveTransform(page.astype(np.float32), (page + corners).astype(np.float32))
        matrix = matrix @ bent
    mapped = transform(matrix, page)
    low, high = mapped.min(axis=0), mapped.max(axis=0)
    canvas = [max(1, math.ceil(span - 1e-6)) for span in (high - low).tolist()]
    shift = (np.array(canvas) - (high + low)) / 2  # the page's bounding box sits in the middle of the canvas
    matrix = _translation(*shift.tolist()) @ matrix
    return Warp(matrix, (canvas[0], canvas[1]), _local_scale(matrix, width / 2, height / 2))


def transform(matrix: Matrix, points: Matrix) -> Matrix:
    """Map N x 2 points by a homography."""
    mapped: Matrix = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    result: Matrix = mapped[:, :2] / mapped[:, 2:]
    return result


def resample(page: Pixels, warp: Warp, fill: tuple[int, int, int], interpolation: str, antialias: bool) -> Pixels:
    """The page (height x width x 3) on its canvas, in one resampling.

    A page that shrinks by ``s`` is blurred first with sigma 0.5 sqrt(1 / s^2 - 1) px, which brings a point spread of half a pixel to
    half a pixel of the canvas (the scale-space rule of Lowe, 2004, section 3.3, with his camera blur of 0.5).
    """
    matrix = warp.matrix
    if antialias and warp.shrink < 1:
        sigma = 0.5 * math.sqrt(1 / warp.shrink**2 - 1)
        margin = math.ceil(4 * sigma)
        page = _pad(page, margin, fill)
        page = np.asarray(cv2.GaussianBlur(page, (2 * margin + 1, 2 * margin + 1), sigma), dtype=np.uint8)
        matrix = matrix @ _translation(-margin, -margin)
    centred = _translation(-0.5, -0.5) @ matrix @ _translation(0.5, 0.5)  # OpenCV puts integer coordinates at pixel centres
    flags = INTERPOLATION[interpolation]
    if np.array_equal(centred[2], [0, 0, 1]):
        out = cv2.warpAffine(page, centred[:2], warp.size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
    else:
        out = cv2.warpPerspective(page, centred, warp.size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
    return np.asarray(out, dtype=np.uint8)


def _pad(page: Pixels, margin: int, fill: tuple[int, int, int]) -> Pixels:
    return np.asarray(cv2.copyMakeBorder(page, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=fill), dtype=np.uint8)


def _similarity(width: int, height: int, scale: float, degrees: float) -> Matrix:
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=np.float64)  # y points down, so this is clockwise
    return _translation(width / 2, height / 2) @ turn @ _translation(-width / 2, -height / 2)


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def _local_scale(matrix: Matrix, x: float, y: float) -> float:
    """Square root of the Jacobian's determinant, which for a homography is det(H) / w^3."""
    w = float(matrix[2] @ np.array([x, y, 1.0]))
    return math.sqrt(abs(float(np.linalg.det(matrix))) / abs(w) ** 3)
