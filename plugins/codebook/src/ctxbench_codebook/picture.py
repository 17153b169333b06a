"""A picture as it is read: its colours as bytes, so that a photograph of many megapixels fits, and their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench.images import reduced

MOST = 1 << 24
"""Pixels that are looked at at once: 4096 x 4096, more than any page as encoded. A larger picture is reduced first."""

LEAST = 64  # px; on a shorter side there is no page that could be read
_BAND = 1 << 20  # pixels converted at once

Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]


@attrs.frozen(eq=False)
class Picture:
    """``colors`` is (height, width, 3) from 0 to 255; ``grey``, (height, width), its mean over the channels from 0 to 1."""

    colors: Bytes
    grey: Samples

    @classmethod
    def of(cls, image: Image.Image) -> Picture:
        """The picture of an image of any mode."""
        return cls.of_colors(np.asarray(image.convert("RGB")))

    @classmethod
    def of_colors(cls, colors: Bytes) -> Picture:
        """The picture with these colours."""
        grey = np.empty(colors.shape[:2], np.float32)
        step = max(1, _BAND // max(1, colors.shape[1]))
        for top in range(0, len(grey), step):
            grey[top : top + step] = (colors[top : top + step].astype(np.float32) / np.float32(255)).mean(2)
        return cls(colors, grey)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.grey.shape[1], self.grey.shape[0]


def levels(image: Image.Image) -> Iterator[tuple[int, Picture]]:
    """(by how much it is reduced, the picture), as large as it may be and then by halves, for pages whose cells have many pixels.

    Reduced pictures are means over squares, so that nothing of their light is lost.
    """
    colored = image if image.mode == "RGB" else image.convert("RGB")
    level, factor = reduced(colored, MOST)
    first = True
    while first or min(level.size) >= LEAST:
        yield factor, Picture.of(level)
        first = False
        level, factor = level.reduce(2), factor * 2


def crops(image: Image.Image, frames: Sequence[npt.NDArray[np.float64]]) -> Iterator[Picture]:
    """What is around each of the frames, whose corners are (4, 2) x and y in px, as large as it is in the image.

    Frames that are larger than ``MOST`` are left out, and so are the last ones if all together have more than twice as many pixels.
    """
    left = 2 * MOST
    for corners in frames:
        margin = 16 + 0.1 * np.ptp(corners, axis=0)
        low = np.maximum(corners.min(0) - margin, 0).astype(int)
        high = np.minimum(corners.max(0) + margin, image.size).astype(int)
        area = int(np.prod(np.maximum(high - low, 0)))
        if not 0 < area <= MOST:
            continue
        left -= area
        if left < 0:
            return
        yield Picture.of(image.crop((*low.tolist(), *high.tolist())))
