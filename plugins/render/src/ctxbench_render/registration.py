"""Where the lines and cells of a page are: known on a clean page, estimated from the pixels of one that was turned, scaled and blurred.

The angle is the one at which the ink's projection on the vertical is sharpest (projection profile; Postl, 1986). The scale is the one at
which the ink's projections on both axes repeat with the codec's own line pitch and cell width (the magnitude of one Fourier coefficient).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

GRID = 28
MAX_ANGLE = 30.0  # degrees; pages turned further are not recognised as such
SCALES = (0.4, 2.5)
MAX_POINTS = 60_000
COARSE_POINTS = 15_000  # enough to find the angle to a quarter of a degree
UNKNOWN_PITCH = 0.3
"""What the Fourier coefficient at the line pitch comes to on pages of many lines."""


@attrs.frozen
class Pose:
    """How a page lies in an image: page point p is image point ``origin + scale * R(angle) * p``, all in px, the angle in radians."""

    angle: float
    scale: float
    x: float
    y: float

    def rectify(self, image: Image.Image, size: tuple[int, int], across: float, down: float) -> Grey:
        """The page's upper left ``size`` (width, height) px, enlarged ``across`` and ``down`` times; white where the image ends."""
        cos, sin = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        matrix = (cos / across, -sin / down, self.x, sin / across, cos / down, self.y)
        out = (max(1, round(size[0] * across)), max(1, round(size[1] * down)))
        warped = image.transform(out, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=255)
        return np.asarray(warped)


def find_pose(image: Image.Image, codec: RenderCodec) -> Pose | None:
    """The pose of a page in a grey image, or ``None`` if there is no ink."""
    if is_clean(image, codec):
        return Pose(0.0, 1.0, 0.0, 0.0)
    x, y, weight = ink_points(image)
    if len(x) < 8:
        return None
    angle = text_angle(x, y, weight)
    cos, sin = math.cos(angle), math.sin(angle)
    along, down = x * cos + y * sin, -x * sin + y * cos
    scale = _scale(along, down, weight, codec)
    left, top = _corner(along, down, weight, scale, angle, image.size, codec)
    return Pose(angle, scale, left * cos - top * sin, left * sin + top * cos)


def is_clean(image: Image.Image, codec: RenderCodec) -> bool:
    """The page has a size that this codec makes, a border of pure paper and, but for its bar, nothing outside the cells."""
    width, height = image.size
    if width > codec.width or width % GRID or height % GRID or width < 2 * GRID:
        return False
    grey = np.asarray(image)
    frame = np.ones(grey.shape, np.bool_)
    rows = (height - 2 * codec.margin) // codec.pitch
    frame[codec.margin : codec.margin + rows * codec.pitch, codec.margin :] = False
    if not (grey[frame] == 255).all():
        return False
    return bool((grey == 255).mean() > 0.2)


def ink_points(image: Image.Image) -> tuple[Floats, Floats, Floats]:
    """(x, y, darkness) of the dark pixels, a sample of them on a large page; noise is smoothed and cut off."""
    dark = 255.0 - np.asarray(image.filter(ImageFilter.BoxBlur(1)), np.float64)
    dark -= np.median(dark)
    top = np.percentile(dark, 99.5)
    if top < 20:
        return np.empty(0), np.empty(0), np.empty(0)
    y, x = np.nonzero(dark > 0.35 * top)
    if len(x) > MAX_POINTS:
        keep = np.linspace(0, len(x) - 1, MAX_POINTS).astype(int)
        x, y = x[keep], y[keep]
    return x.astype(np.float64) + 0.5, y.astype(np.float64) + 0.5, np.asarray(dark[y, x], np.float64)


def text_angle(x: Floats, y: Floats, weight: Floats) -> float:
    """The angle in radians at which weighted points project sharpest on the vertical."""
    some = slice(None, None, max(1, len(x) // COARSE_POINTS))

    def sharpness(degrees: float, part: slice) -> float:
        a = math.radians(degrees)
        down = y[part] * math.cos(a) - x[part] * math.sin(a)
        profile = np.bincount((down - down.min()).astype(int), weight[part])
        return float((profile * profile).sum())

    best = max(np.arange(-MAX_ANGLE, MAX_ANGLE + 0.1, 0.25), key=lambda angle: sharpness(angle, some))
    for step in (0.05, 0.01):
        best = max(best + step * np.arange(-6, 7), key=lambda angle: sharpness(angle, slice(None)))
    return math.radians(float(best))


def _wave(values: Floats, weight: Floats, period: float) -> complex:
    """Fourier coefficient of the weighted points at a period, as a share of their weight."""
    return complex((weight * np.exp(-2j * np.pi / period * values)).sum() / weight.sum())


def _scale(along: Floats, down: Floats, weight: Floats, codec: RenderCodec) -> float:
    across, upright = Spectrum.of(along, weight), Spectrum.of(down, weight)
    cell, line, height = codec.cell, codec.pitch, float(np.ptp(down))

    def periodicity(scale: Floats) -> Floats:
        # Chinese repeats with two cells. Lines weigh more, lest half or twice the scale fit the cells better; a page of one line says
        # nothing of their pitch but that it has the height of one.
        cells = across.at(cell * scale) + 0.7 * across.at(2 * cell * scale)
        count = height / (line * scale)
        known = np.clip(count - 1, 0, 1)
        pitch = known * upright.at(line * scale) + (1 - known) * UNKNOWN_PITCH * np.minimum(1.0, 2 * count)
        return np.asarray(cells + 2 * pitch)

    extent = max(float(np.ptp(along)), height, 1.0)
    step = min(0.01, cell / extent / 6)  # fine enough that the far end of a line moves by a sixth of a cell
    coarse = np.exp(np.arange(math.log(SCALES[0]), math.log(SCALES[1]), step))
    best = coarse[periodicity(coarse).argmax()]
    fine = best * np.exp(step * np.linspace(-1, 1, 21))
    return float(fine[periodicity(fine).argmax()])


@attrs.frozen(eq=False)
class Spectrum:
    """Magnitudes of the Fourier coefficients of weighted points, as shares of their weight, at many more frequencies than there are px."""

    magnitudes: Floats
    bins: int

    @classmethod
    def of(cls, values: Floats, weight: Floats) -> Spectrum:
        _, sums = _histogram(values, weight)
        bins = 32 * (1 << (len(sums) - 1).bit_length())  # neighbouring frequencies turn the far end by a 64th of a period at most
        return cls(np.abs(np.fft.rfft(sums, bins)) / sums.sum(), bins)

    def at(self, period: Floats) -> Floats:
        """The magnitudes at periods in px; the bins are half a px wide."""
        place = np.rint(self.bins / (2 * period)).astype(int)
        return np.asarray(self.magnitudes[np.clip(place, 0, len(self.magnitudes) - 1)])


def _histogram(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Points gathered in bins of half a px: (middles, weights)."""
    start = math.floor(values.min())
    sums = np.bincount(((values - start) * 2).astype(int), weight)
    return start + (np.arange(len(sums)) + 0.5) / 2, np.asarray(sums, np.float64)


def _corner(
    along: Floats, down: Floats, weight: Floats, scale: float, angle: float, canvas: tuple[int, int], codec: RenderCodec
) -> tuple[float, float]:
    """The page's upper left corner in the turned axes.

    The grid's phase comes from the pixels. Which line and cell are the first comes from the canvas: a page that was turned on a canvas
    that just holds it has its middle in the canvas's middle. Where that does not fit, the first ink is taken for the first cell.
    """
    cell, pitch = codec.cell * scale, codec.pitch * scale
    typical = _typical(codec)
    x = line_phase(along, weight, cell, typical[0], codec.cell)
    y = line_phase(down, weight, pitch, typical[1], codec.pitch)
    margin = codec.margin * scale
    inked = float(np.percentile(along, 0.2)), float(np.percentile(down, 0.2))
    guess = _page_corner(canvas, scale, angle)
    if guess is None or guess[0] + margin > inked[0] + cell or guess[1] + margin > inked[1] + pitch:
        left = x + math.floor((inked[0] - x) / cell + 0.25) * cell
        top = y + math.floor((inked[1] - y) / pitch + 0.25) * pitch
    else:
        left = x + round((guess[0] + margin - x) / cell) * cell
        top = y + round((guess[1] + margin - y) / pitch) * pitch
    return left - margin, top - margin


def _page_corner(canvas: tuple[int, int], scale: float, angle: float) -> tuple[float, float] | None:
    """The upper left corner, in the turned axes, of a page of whole visual tokens that the canvas just holds."""
    cos, sin = math.cos(angle), abs(math.sin(angle))
    width, height = canvas
    determinant = cos * cos - sin * sin
    if determinant < 0.2:
        return None
    sides = ((width * cos - height * sin) / determinant / scale, (height * cos - width * sin) / determinant / scale)
    snapped = [round(side / GRID) * GRID for side in sides]
    if min(snapped) < 2 * GRID or any(abs(a - b) > 0.2 * GRID + 0.01 * b for a, b in zip(sides, snapped, strict=True)):
        return None
    middle_x = width / 2 * math.cos(angle) + height / 2 * math.sin(angle)
    middle_y = -width / 2 * math.sin(angle) + height / 2 * math.cos(angle)
    return middle_x - snapped[0] * scale / 2, middle_y - snapped[1] * scale / 2


def _typical(codec: RenderCodec) -> tuple[Floats, Floats]:
    """Ink of an average cell of this codec, summed over columns and over rows."""
    cells = [codec.ink(c).astype(np.float64) for c in "etaoinshrdlu0123456789ETAS"]
    mean = np.mean([cell[:, : codec.cell] for cell in cells], axis=0)
    return mean.sum(0), mean.sum(1)


def line_phase(values: Floats, weight: Floats, period: float, typical: Floats, length: int) -> float:
    """Where a cell starts, modulo the period: the shift at which the folded ink fits that of a typical cell best."""
    ideal = (np.arange(length) + 0.5) / length * period
    shift = np.angle(_wave(ideal, typical, period)) - np.angle(_wave(values, weight, period))
    return float(shift * period / (2 * np.pi))
