"""Sides that a lens has bent: how much, by the rule that straight lines of the world are straight (Brown, *Close-range camera calibration*,
1971), and the picture without it.

The lens moves what an ideal one would show at ``u`` to ``p`` with ``u = p (1 + k |p|^2)``, in half widths of the picture from its middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctxbench_codebook.locate import Corners
from ctxbench_codebook.picture import Picture, Samples

Points = npt.NDArray[np.float64]
MOST = 0.15
"""Of ``k``; beyond that a side is no side."""

_NEAR = 0.06  # of a side's length: points so far from it are taken for its own
_BAND = 1 << 20  # pixels made straight at once
_SEEN = 0.1  # px on average; sides that are bent by less are straight


def bend(outline: npt.NDArray[np.int32], corners: Corners, size: tuple[int, int]) -> float:
    """The lens's ``k`` that makes the sides of a frame straightest; 0 if that makes no difference that counts.

    Args:
        outline: points around the frame, (n, 1, 2) x and y.
        corners: its corners, roughly, (4, 2).
        size: width and height of the picture.
    """
    middle, unit = np.array(size) / 2, size[0] / 2
    sides = [_side(outline[:, 0].astype(np.float64) + 0.5, corners[i - 1], corners[i]) for i in range(4)]
    sides = [(side - middle) / unit for side in sides if len(side) >= 20]
    if len(sides) < 3:
        return 0.0
    low, high = -MOST, MOST
    for _ in range(4):
        tried = np.linspace(low, high, 21)
        best = tried[int(np.argmin([_crooked(sides, k) for k in tried]))]
        low, high = best - (high - low) / 20, best + (high - low) / 20
    gain = (_crooked(sides, 0.0) - _crooked(sides, best)) * unit
    return float(best) if gain > _SEEN else 0.0


def _side(points: Points, start: Corners, end: Corners) -> Points:
    """The points along one side, without those near its ends."""
    length = float(np.hypot(*(end - start)))
    along = (end - start) / length
    away = points - start
    u, v = away @ along / length, away @ np.array([-along[1], along[0]]) / length
    own: Points = points[(np.abs(v) < _NEAR) & (u > 0.05) & (u < 0.95)]
    return own


def _crooked(sides: list[Points], k: float) -> float:
    """How far the points are from straight lines, the mean over the sides of the median."""
    found = []
    for side in sides:
        straight = side * (1 + k * (side * side).sum(1, keepdims=True))
        away = straight - straight.mean(0)
        found.append(float(np.median(np.abs(away @ np.linalg.svd(away, full_matrices=False)[2][1]))))
    return float(np.mean(found))


def without(picture: Picture, k: float) -> Picture:
    """The picture as an ideal lens would show it."""
    import cv2

    width, height = picture.size
    colors = np.empty_like(picture.colors)
    step = max(1, _BAND // width)  # all rows at once would take a dozen times the picture's memory
    for top in range(0, height, step):
        x, y = _shown(k, width, height, range(top, min(top + step, height)))
        cv2.remap(picture.colors, x, y, cv2.INTER_CUBIC, dst=colors[top : top + step], borderMode=cv2.BORDER_REPLICATE)
    return Picture.of_colors(colors)


def _shown(k: float, width: int, height: int, rows: range) -> tuple[Samples, Samples]:
    """x and y in px, each (rows, width): where in the picture is what an ideal lens would show in these rows."""
    x, y = np.meshgrid(
        (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(width / 2),
        (np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5 - height / 2)) / np.float32(width / 2),
    )
    distance = np.hypot(x, y)
    # bent (1 + k bent^2) = distance, by Newton's method. With a negative k there is a largest distance, beyond which nothing is shown.
    most = np.float32(0.99 / np.sqrt(-3 * k) if k < 0 else np.inf)
    bent = np.minimum(distance, most)
    for _ in range(12):
        bent -= (bent * (1 + np.float32(k) * bent * bent) - distance) / np.maximum(1 + 3 * np.float32(k) * bent * bent, 0.02)
        np.clip(bent, 0, most, out=bent)
    share = np.divide(bent, distance, out=np.ones_like(bent), where=distance > 0) * np.float32(width / 2)
    return x * share + np.float32(width / 2 - 0.5), y * share + np.float32(height / 2 - 0.5)
