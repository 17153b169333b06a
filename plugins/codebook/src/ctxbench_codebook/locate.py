"""Finding the page's black frame in a picture, to a fraction of a pixel.

The frame's outline is one of the largest dark quadrilaterals; each of its sides is then refined by looking for the half-way crossing
between paper and ink along many short normals, and fitting a line through the crossings (total least squares, outliers left out).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]
Corners = npt.NDArray[np.float64]
SMALLEST_SIDE = 40  # px; a smaller quadrilateral cannot be a page that is still readable
REACH = 3.0  # px looked at on each side of the outline
_LOOKED_AT = 24  # dark regions whose rectangles are compared


def candidates(grey: Grey, most: int = 4) -> Iterator[Corners]:
    """Outer corners of what may be a frame, the likeliest first: (4, 2) x and y in px from the picture's upper left edge, clockwise from
    the corner nearest to it. ``grey`` is (height, width) from 0 to 1; ``most`` of each kind of darkness are tried."""
    import cv2

    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)
    level = float(np.percentile(grey, 98)) / 2
    found: list[Corners] = []
    for dark in _dark(smooth):
        for outline in _outlines(dark, most):
            for rough in _quadrilaterals(outline):
                corners = _refine(grey, rough, level)
                if corners is not None and not any(np.abs(corners - other).max() < 2 for other in found):
                    found.append(corners)
                    yield corners


def outlines(grey: Grey, most: int = 2) -> Iterator[tuple[npt.NDArray[np.int32], Corners]]:
    """(points all around a dark region, (n, 1, 2) x and y, what may be its corners, roughly), the largest first."""
    import cv2

    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)
    for dark in _dark(smooth):
        for outline in _outlines(dark, most):
            for rough in _quadrilaterals(outline):
                yield outline, rough


def _dark(smooth: Grey) -> Iterator[npt.NDArray[np.bool_]]:
    """Dark pixels: below half of the paper's white; and, for uneven light, below half of the white nearby."""
    import cv2

    white = float(np.percentile(smooth, 98))
    if white < 0.1:
        return
    yield smooth < white / 2
    height, width = smooth.shape
    small = cv2.resize(smooth, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)  # light changes slowly
    side = max(5, min(small.shape) // 8)
    local = cv2.GaussianBlur(cv2.dilate(small, np.ones((side, side), np.uint8)), (0, 0), side / 3)
    yield smooth < cv2.resize(local, (width, height), interpolation=cv2.INTER_LINEAR) / 2


def _outlines(dark: npt.NDArray[np.bool_], most: int) -> list[npt.NDArray[np.int32]]:
    """Points, (n, 1, 2) x and y, around the dark regions with the largest rectangles around them, the largest first.

    A picture may have millions of regions; only those that could be among the largest are looked at one by one.
    """
    import cv2

    _, labels, boxes, _ = cv2.connectedComponentsWithStats(dark.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    sides = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].astype(np.int64)
    large = np.flatnonzero(sides.min(1) >= SMALLEST_SIDE * 0.7)
    large = large[large > 0]  # 0 is all that is not dark
    found: list[tuple[float, npt.NDArray[np.int32]]] = []
    for label in large[np.argsort(-sides[large].prod(1), kind="stable")][:_LOOKED_AT]:
        if len(found) >= most and found[most - 1][0] >= sides[label].prod():  # no rectangle is larger than the upright one
            break
        left, top, width, height = boxes[label, :4]
        points = _extremes(labels[top : top + height, left : left + width] == label) + np.array([left, top], np.int32)
        area = float(np.prod(cv2.minAreaRect(points)[1]))
        found = sorted([*found, (area, points)], key=lambda item: -item[0])[:most]
    return [points for _, points in found]


def _extremes(region: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The first and the last pixel of each row and each column, (n, 1, 2): their convex hull is the region's."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    left, right = region[rows].argmax(1), region.shape[1] - 1 - region[rows, ::-1].argmax(1)
    top, bottom = region[:, columns].argmax(0), region.shape[0] - 1 - region[::-1, columns].argmax(0)
    x, y = np.concatenate([left, right, columns, columns]), np.concatenate([rows, rows, top, bottom])
    return np.stack([x, y], 1)[:, None].astype(np.int32)


def _quadrilaterals(outline: npt.NDArray[np.int32]) -> Iterator[Corners]:
    """Corners of what the outline may be: of its hull, simplified until four are left; and, if one of them is covered or cut off, those
    where its four longest sides would meet."""
    import cv2

    hull = cv2.convexHull(outline)
    length = cv2.arcLength(hull, True)
    for share in (0.02, 0.03, 0.05, 0.08):
        rough = cv2.approxPolyDP(hull, share * length, True)
        if len(rough) == 4:
            break
    else:
        rough = cv2.boxPoints(cv2.minAreaRect(outline))[:, None]
    first = _in_order(rough[:, 0].astype(np.float64))
    if first is not None:
        yield first
    fine = cv2.approxPolyDP(hull, 0.004 * length, True)[:, 0].astype(np.float64)
    second = _longest_sides(fine) if len(fine) > 4 else None
    if second is not None:
        yield second


def _in_order(corners: Corners) -> Corners | None:
    """Clockwise from the corner nearest to the picture's; ``None`` if a side is too short."""
    if np.hypot(*(corners - np.roll(corners, 1, 0)).T).min() < SMALLEST_SIDE:
        return None
    centre = corners.mean(0)
    corners = corners[np.argsort(np.arctan2(corners[:, 1] - centre[1], corners[:, 0] - centre[0]))]
    return np.roll(corners, -int(np.argmin(corners.sum(1))), 0)


def _longest_sides(polygon: Corners) -> Corners | None:
    """Where the four longest sides of a convex polygon meet, each with the next of them."""
    ahead = np.roll(polygon, -1, 0) - polygon
    chosen = np.sort(np.argsort(-np.hypot(*ahead.T), kind="stable")[:4])
    corners = []
    for one, other in zip(chosen, np.roll(chosen, -1), strict=True):
        matrix = np.stack([ahead[one], -ahead[other]], 1)
        if abs(np.linalg.det(matrix)) < 0.1 * np.hypot(*ahead[one]) * np.hypot(*ahead[other]):
            return None
        corners.append(polygon[one] + np.linalg.solve(matrix, polygon[other] - polygon[one])[0] * ahead[one])
    met = np.array(corners)
    span = np.ptp(polygon, axis=0)
    if (met < polygon.min(0) - span / 2).any() or (met > polygon.max(0) + span / 2).any():
        return None
    return _in_order(met)


def _refine(grey: Grey, rough: Corners, level: float) -> Corners | None:
    """Corners where the fitted sides meet, in px from the picture's edge (pixel centres are at .5); sides are where ``level`` is."""
    sides = [_fit_side(grey, rough[k], rough[(k + 1) % 4], rough.mean(0), level) for k in range(4)]
    if any(side is None for side in sides):
        return None
    corners = []
    for k in range(4):
        first, second = sides[k - 1], sides[k]
        assert first is not None
        assert second is not None
        (p, d), (q, e) = first, second
        matrix = np.stack([d, -e], 1)
        if abs(np.linalg.det(matrix)) < 0.1:
            return None
        t = np.linalg.solve(matrix, q - p)
        corners.append(p + t[0] * d)
    return np.array(corners) + 0.5


def _fit_side(grey: Grey, start: Corners, end: Corners, centre: Corners, level: float) -> tuple[Corners, Corners] | None:
    """(point, direction) of one side."""
    import cv2

    along = end - start
    length = float(np.hypot(*along))
    along = along / length
    normal = np.array([along[1], -along[0]])
    if np.dot(normal, (start + end) / 2 - centre) < 0:
        normal = -normal
    u = np.linspace(0.04, 0.96, int(max(60, length // 2))) * length
    v = np.arange(-REACH, REACH + 0.01, 0.25)
    points = start + u[:, None, None] * along + v[None, :, None] * normal
    profile = cv2.remap(
        grey, points[..., 0].astype(np.float32), points[..., 1].astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    above = profile > level
    j = np.argmax(above, 1)
    usable = (j > 0) & above.any(1)
    if usable.sum() < 10:
        return None
    rows = np.flatnonzero(usable)
    before, after = profile[rows, j[rows] - 1], profile[rows, j[rows]]
    offset = v[j[rows] - 1] + 0.25 * (level - before) / np.maximum(after - before, 1e-6)
    crossings = start + u[rows, None] * along + offset[:, None] * normal
    for _ in range(3):
        middle = crossings.mean(0)
        axes = np.linalg.svd(crossings - middle, full_matrices=False)[2]
        distance = np.abs((crossings - middle) @ axes[1])
        crossings = crossings[distance <= max(0.15, 2.5 * float(np.median(distance)))]
        if len(crossings) < 10:
            return None
    return middle, axes[0]
