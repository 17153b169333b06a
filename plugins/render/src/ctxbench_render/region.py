"""The part of a page that holds its cells, brought to the codec's own pixels, and what blurs it.

A damaged page is taken for a linear channel: the codec's ink, convolved with a Gaussian point spread function, times a gain, plus an
offset and noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_render.registration import Pose

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

PAD = 12
"""Px of paper around the cells, into which their blurred ink reaches."""


@attrs.frozen(eq=False)
class Region:
    """The cells of a page, ``rows`` lines of ``columns`` cells, with ``PAD`` px around them and the marks of lines that go on."""

    codec: RenderCodec
    rows: int
    columns: int

    @classmethod
    def on(cls, canvas: tuple[int, int], matrix: Matrix, codec: RenderCodec) -> Region:
        """As many lines and columns as an image of this (width, height), with the page at ``matrix``, can hold."""
        corners = np.array([[x, y, 1.0] for x in (0, canvas[0]) for y in (0, canvas[1])]).T
        right, bottom = (np.linalg.inv(matrix) @ corners)[:2].max(1)
        columns = math.ceil((right - codec.margin) / codec.cell)
        rows = math.ceil((bottom - codec.margin) / codec.pitch)
        return cls(codec, min(max(rows, 1), codec.lines_on_a_page), min(max(columns, 1), codec.limit))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in px."""
        beside = max(PAD, self.codec.bar.stop - self.codec.margin - self.columns * self.codec.cell + 4)
        return self.rows * self.codec.pitch + 2 * PAD, self.columns * self.codec.cell + PAD + beside

    def cut(self, image: Image.Image, matrix: Matrix) -> Floats:
        """The region's darkness, 0 to 1, from a grey image in which page point p is at ``matrix @ p``; white where the image ends."""
        factor = 2 if abs(float(np.linalg.det(matrix))) > 1.3 else 1  # a page in many px is averaged, which takes noise away
        start = self.codec.margin - PAD
        inner = matrix @ np.array([[1 / factor, 0, start], [0, 1 / factor, start], [0, 0, 1]])
        height, width = self.shape
        size = (width * factor, height * factor)
        warped = image.transform(size, Image.Transform.AFFINE, tuple(inner[:2].ravel()), Image.Resampling.BICUBIC, fillcolor=255)
        grey = np.asarray(warped, np.float32)
        if factor > 1:
            grey = grey.reshape(height, factor, width, factor).mean((1, 3))
        return np.asarray((255 - grey) / 255, np.float32)

    def cells(self, image: Floats) -> Floats:
        """(rows, columns, px of a cell) of an image of the region."""
        pitch, cell = self.codec.pitch, self.codec.cell
        inner = image[PAD : PAD + self.rows * pitch, PAD : PAD + self.columns * cell]
        return inner.reshape(self.rows, pitch, self.columns, cell).swapaxes(1, 2).reshape(self.rows, self.columns, -1)

    def image(self, cells: Floats, marked: npt.NDArray[np.bool_] | None = None) -> Floats:
        """An image of the region from its cells, with the mark at the lines that are ``marked``."""
        pitch, cell = self.codec.pitch, self.codec.cell
        out = np.zeros(self.shape, np.float32)
        inner = cells.reshape(self.rows, self.columns, pitch, cell).swapaxes(1, 2)
        out[PAD : PAD + self.rows * pitch, PAD : PAD + self.columns * cell] = inner.reshape(self.rows * pitch, -1)
        for row in np.flatnonzero(marked) if marked is not None else ():
            top = PAD + int(row) * pitch
            out[top + 2 : top + pitch - 2, self.bar] = 1
        return out

    @property
    def bar(self) -> slice:
        """Columns in px of the mark; outside the region if it has fewer columns than a line that goes on."""
        shift = PAD - self.codec.margin
        return slice(self.codec.bar.start + shift, self.codec.bar.stop + shift)

    def marks(self, dark: Floats, sigma: float) -> npt.NDArray[np.bool_]:
        """Which lines have the mark: where its blurred image fits with at least half its strength."""
        if self.columns < self.codec.limit:
            return np.zeros(self.rows, np.bool_)
        pitch = self.codec.pitch
        near = slice(self.bar.start - 3, self.bar.stop + 3)
        blank = np.zeros((self.rows, self.columns, pitch * self.codec.cell), np.float32)
        ideal = blurred(self.image(blank, np.ones(self.rows, np.bool_)), psf(sigma))
        ideal, seen = (x[PAD : PAD + self.rows * pitch, near].reshape(self.rows, -1) for x in (ideal, dark))
        return np.asarray((ideal * seen).sum(1) > 0.5 * (ideal * ideal).sum(1))


def matrix_of(pose: Pose) -> Matrix:
    """3 x 3, from page to image."""
    cos, sin = pose.scale * math.cos(pose.angle), pose.scale * math.sin(pose.angle)
    return np.array([[cos, -sin, pose.x], [sin, cos, pose.y], [0, 0, 1]])


def psf(sigma: float) -> Floats:
    """A Gaussian of ``sigma`` px, integrated over pixels, three sigma to either side."""
    reach = max(1, math.ceil(3 * sigma))
    edges = [math.erf((i - 0.5) / sigma / math.sqrt(2)) for i in range(-reach, reach + 2)]
    made = np.diff(np.array(edges))
    return np.asarray(made / made.sum(), np.float32)


def blurred(image: Floats, kernel: Floats) -> Floats:
    """The image convolved with a symmetric kernel along both axes; nothing lies outside it."""
    for _ in range(2):
        image = _along_rows(image, kernel).T
    return np.ascontiguousarray(image)


def _along_rows(image: Floats, kernel: Floats) -> Floats:
    reach = len(kernel) // 2
    image = np.ascontiguousarray(image)
    out = image * kernel[reach]
    for i in range(1, min(reach, image.shape[0] - 1) + 1):
        out[i:] += kernel[reach + i] * image[:-i]
        out[:-i] += kernel[reach + i] * image[i:]
    return np.asarray(out, np.float32)


def overlap(kernel: Floats, length: int, distance: int = 0) -> Floats:
    """(length, length) matrix of a convolution's weights between the px of a cell (rows) and those of one ``distance`` px on (columns)."""
    reach = len(kernel) // 2
    lag = distance + np.arange(length)[None, :] - np.arange(length)[:, None]
    weights = np.where(np.abs(lag) <= reach, kernel[np.clip(lag + reach, 0, 2 * reach)], 0)
    return np.asarray(weights, np.float32)
