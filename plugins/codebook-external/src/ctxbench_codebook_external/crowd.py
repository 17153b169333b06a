"""How many finder patterns of QR codes are in a picture: zxing-cpp compares each with every other.

A finder pattern has dark and light runs of 1 : 1 : 3 : 1 : 1 modules along each line through its centre (ISO/IEC 18004, section 6.3.3).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

FEW = 1 << 20
"""Pixels up to which there is no room for so many patterns that looking at them takes long."""

MOST = 16384
"""Patterns in a picture that is looked at: zxing-cpp returns 255 symbols at most, which have 765; noise of 13 megapixels has 6,400."""

_BAND = 1 << 20  # pixels looked at at once


def crowded(image: Grey) -> bool:
    """Whether a picture has so many patterns that it cannot be a page of this codec, but would take minutes."""
    if image.size <= FEW:
        return False
    level = float(image[:: max(1, image.shape[0] // 512)].mean())
    across = _centres(image, level)
    across &= _centres(image.T, level).T
    return int(np.count_nonzero(across)) > MOST


def _centres(image: Grey, level: float) -> Mask:
    """Where the middle of a pattern in its row is."""
    height, width = image.shape
    found = np.zeros((height, width), np.bool_)
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        part = image[top : top + step]
        dark = np.zeros((len(part), width + 2), np.bool_)
        dark[:, 1:-1] = part < level
        flat = dark.ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        start, end = edges[::2], edges[1::2]
        if len(start) < 3:
            continue
        runs = np.stack(
            [end[:-2] - start[:-2], start[1:-1] - end[:-2], end[1:-1] - start[1:-1], start[2:] - end[1:-1], end[2:] - start[2:]]
        )
        unit = runs.sum(0) / 7
        fits = np.abs(runs - np.array([1, 1, 3, 1, 1])[:, None] * unit) <= np.array([1, 1, 3, 1, 1])[:, None] * unit / 2
        row, column = np.divmod((start[1:-1] + (end - start)[1:-1] // 2)[fits.all(0)], width + 2)
        found[top + row, np.minimum(column - 1, width - 1)] = True
    return found
