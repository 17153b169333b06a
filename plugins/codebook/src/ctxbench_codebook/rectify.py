"""From picture to cells: which way up the page is, how large it is, and its colours sampled cell by cell.

A page is a plane, so page and picture are related by a homography, found from the frame's four corners (Hartley and Zisserman, Multiple
View Geometry, section 4.1). The timing row tells which side is up and how many cells wide the page is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook.layout import BAND_CELL, EDGE, GRID, LARGEST, QUIET, SMALLEST, Band

TILT = 0.1  # share by which perspective may change the ratio of the page's sides

_TILE = 512  # positions a side that are looked up at once
_CUBIC = 3  # px that bicubic interpolation reaches, and one more

Samples = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


@attrs.frozen
class View:
    """A page in a picture: the homography from page px to picture px, and the page's size in px."""

    matrix: Matrix
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Picture px for one page px, geometric mean at the page's centre."""
        x, y = self.width / 2, self.height / 2
        h = self.matrix
        w = h[2, 0] * x + h[2, 1] * y + h[2, 2]
        at = (h @ np.array([x, y, 1.0]))[:2] / w
        jacobian = (h[:2, :2] - at[:, None] * h[2, :2]) / w
        return float(np.sqrt(abs(np.linalg.det(jacobian))))


def sample(picture: Samples | Bytes, matrix: Matrix, xs: npt.NDArray[np.floating[Any]], ys: npt.NDArray[np.floating[Any]]) -> Samples:
    """The picture at page positions ``ys`` x ``xs`` (page px), by bicubic interpolation: (len(ys), len(xs), channels).

    Bytes are read as shares of 255. Neither picture nor positions are made floats as a whole, but tile by tile.
    """
    found = np.empty((len(ys), len(xs), picture.shape[2] if picture.ndim == 3 else 1), np.float32)
    for top in range(0, len(ys), _TILE):
        for left in range(0, len(xs), _TILE):
            place = slice(top, top + _TILE), slice(left, left + _TILE)
            found[place] = _sample(picture, matrix, xs[place[1]], ys[place[0]])
    return found


def _sample(picture: Samples | Bytes, matrix: Matrix, xs: npt.NDArray[np.floating[Any]], ys: npt.NDArray[np.floating[Any]]) -> Samples:
    """``sample`` at positions so few that they are looked up at once."""
    import cv2

    gx, gy = np.meshgrid(xs, ys)
    points = matrix @ np.stack([gx.ravel(), gy.ravel(), np.ones(gx.size)])
    px = (points[0] / points[2] - 0.5).reshape(gx.shape).astype(np.float32)
    py = (points[1] / points[2] - 0.5).reshape(gx.shape).astype(np.float32)
    height, width = picture.shape[:2]
    left, right = _span(px, width)
    top, bottom = _span(py, height)
    part = picture[top:bottom, left:right]
    if part.dtype == np.uint8:
        part = part.astype(np.float32) / np.float32(255)
    found = cv2.remap(part, px - np.float32(left), py - np.float32(top), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*gx.shape, -1)


def along(grey: Samples, matrix: Matrix, xs: Matrix, ys: Matrix) -> Samples:
    """The grey picture at the page positions (xs, ys), (positions)."""
    import cv2

    points = matrix @ np.stack([xs, ys, np.ones(len(xs))])
    rows = -(-len(xs) // _TILE)  # OpenCV has no longer rows than 2^15
    px, py = (np.zeros(rows * _TILE, np.float32) for _ in range(2))
    px[: len(xs)] = points[0] / points[2] - 0.5
    py[: len(xs)] = points[1] / points[2] - 0.5
    found = cv2.remap(grey, px.reshape(rows, _TILE), py.reshape(rows, _TILE), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).ravel()[: len(xs)]


def _span(positions: Samples, size: int) -> tuple[int, int]:
    """The part of a side, in px, that interpolation at these positions needs."""
    ends = float(positions.min()), float(positions.max())
    low, high = (min(max(n, 0.0), size - 1.0) if n == n else 0.0 for n in ends)  # not a number where a view has no horizon
    return max(0, int(low) - _CUBIC), min(size, int(high) + _CUBIC + 1)


def homography(corners: Matrix, width: int, height: int) -> Matrix:
    """From page px to picture px, given where the frame's outer corners are."""
    import cv2

    a, b = float(QUIET), float(QUIET)
    page = np.array([[a, b], [width - a, b], [width - a, height - b], [a, height - b]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(page, corners.astype(np.float32)), np.float64)


def with_height(view: View, height: int) -> View:
    """The same view of a page that turned out to be ``height`` px high."""
    frame = np.array(
        [[QUIET, view.width - QUIET, view.width - QUIET, QUIET], [QUIET, QUIET, view.height - QUIET, view.height - QUIET], [1] * 4]
    )
    corners = view.matrix @ frame
    return View(homography((corners[:2] / corners[2]).T, view.width, height), view.width, height)


def views(grey: Samples, corners: Matrix) -> Iterator[View]:
    """Likely views of the page whose frame has these corners, the likeliest first: all turns and mirror images, sizes by the timing row."""
    ranked = []
    for mirrored in (False, True):
        for turn in range(4):
            turned = np.roll(corners[::-1] if mirrored else corners, turn, 0)
            for strength, width in _widths(grey, turned):
                ranked.append((strength, turn if not mirrored else 4 + turn, width, turned))
    for _, _, width, turned in sorted(ranked, key=lambda item: (-item[0], item[1]))[:12]:
        top = np.hypot(*(turned[1] - turned[0])) + np.hypot(*(turned[2] - turned[3]))
        side = np.hypot(*(turned[3] - turned[0])) + np.hypot(*(turned[2] - turned[1]))
        exact = (width - 2 * QUIET) * side / top + 2 * QUIET
        likely = (GRID * (round(exact / GRID) + more) for more in range(-3, 4))
        for height in sorted(likely, key=lambda h: abs(h - exact)):
            if SMALLEST <= height <= LARGEST and abs(height - exact) < max(0.75 * GRID, TILT * exact):
                yield View(homography(turned, width, height), width, height)


def _widths(grey: Samples, corners: Matrix) -> list[tuple[float, int]]:
    """(how well the timing row fits, page width in px) for the best few widths."""
    unit = homography(corners, 1000, 1000)
    length = float(np.hypot(*(corners[1] - corners[0])))
    aspect = float(np.hypot(*(corners[3] - corners[0]))) / length
    low, high = max(SMALLEST, int(length / 1.6) // GRID * GRID), min(LARGEST, int(length * 1.8))
    widths = range(low, high + 1, GRID)
    if not widths:
        return []
    xs, ys = [], []
    for width in widths:
        # The row's middle is EDGE + 2 px below the upper edge of a page of this width, and the page is ``aspect`` times as high as wide.
        depth = (EDGE - QUIET + BAND_CELL / 2) / ((width - 2 * QUIET) * aspect) * (1000 - 2 * QUIET) + QUIET
        across = EDGE - QUIET + (np.arange(Band(width).columns) + 0.5) * BAND_CELL
        xs.append(across / (width - 2 * QUIET) * (1000 - 2 * QUIET) + QUIET)
        ys.append(np.full(len(across), depth))
    rows = np.split(along(grey, unit, np.concatenate(xs), np.concatenate(ys)), np.cumsum([len(row) for row in xs])[:-1])
    return sorted(((_alternation(row), width) for row, width in zip(rows, widths, strict=True)), reverse=True)[:2]


def _alternation(row: Samples) -> float:
    """How well a row of samples alternates between white and black: the correlation with signs."""
    row = row - row.mean()
    sign = np.where(np.arange(len(row)) % 2 == 0, 1.0, -1.0)
    norm = float(np.sqrt((row * row).mean())) or 1.0
    return float((row * sign).mean()) / norm
