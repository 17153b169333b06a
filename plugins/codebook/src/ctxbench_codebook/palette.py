"""Colours of the cells. Neighbouring symbols of a channel differ in one bit (Gray code), so that a small error costs one bit.

Green carries most of the luminance, which JPEG keeps best, so it gets the most levels.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

COLORS = (2, 4, 8, 16, 32, 64)
_GRAY4 = (0.0, 1 / 3, 1.0, 2 / 3)  # value of the two bits 00, 01, 10, 11


@functools.lru_cache(maxsize=8)
def levels(colors: int) -> npt.NDArray[np.float32]:
    """The palette, (colors, 3) RGB from 0 to 1. 2: black, white. 4: black, cyan, magenta, yellow. More: bits of (green, red, blue)."""
    if colors == 2:
        rows = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)]
    elif colors == 4:
        rows = [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)]
    elif colors == 8:
        rows = [(float(s >> 1 & 1), float(s >> 2 & 1), float(s & 1)) for s in range(8)]
    elif colors == 16:
        rows = [(float(s >> 1 & 1), _GRAY4[s >> 2 & 3], float(s & 1)) for s in range(16)]
    elif colors == 32:
        rows = [(_GRAY4[s >> 1 & 3], _GRAY4[s >> 3 & 3], float(s & 1)) for s in range(32)]
    elif colors == 64:
        rows = [(_GRAY4[s >> 2 & 3], _GRAY4[s >> 4 & 3], _GRAY4[s & 3]) for s in range(64)]
    else:
        raise ValueError(f"colors must be one of {', '.join(map(str, COLORS))}, got {colors!r}")
    table = np.array(rows, np.float32)
    table.flags.writeable = False
    return table
