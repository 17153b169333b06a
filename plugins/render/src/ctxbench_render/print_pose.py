"""Pages of proportional type that were turned, scaled and blurred, brought back to the codec's own pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_render.registration import Pose, Spectrum, ink_points, line_phase, text_angle

if TYPE_CHECKING:
    from ctxbench_render.print import PrintCodec

Floats = npt.NDArray[np.float32]

SCALES = (0.66, 1.45)
"""Half and twice the size are left out: a page of every other line looks alike."""

STEP = 0.002
TYPICAL = "etaoinshrdlucmfwyp"
SHIFTS = (-0.5, 0.5)  # px, tried in both directions
SIGMAS = (0.5, 0.8, 1.1, 1.5)  # px, blur that is tried
DOUBT, MOST_DOUBT, FINE = 0.12, 0.04, 0.002
"""Share by which the scale may be wrong that the distance of n lines gives, DOUBT over n, and the steps in which it is searched."""

BORDER = 1  # px to the left of the first ink that are kept: a space would be read into more


def upright(grey: Image.Image, codec: PrintCodec, fit: Callable[[Floats, float], float]) -> tuple[Floats, float] | None:
    """(ink of a page, 0 to 1, as the codec would draw it; its blur in px), or ``None`` if there is too little ink.

    Args:
        grey: the page.
        codec: whose type is on it.
        fit: says how well a candidate's lines are explained at a blur; scale, blur and shifts are tried one after the other.
    """
    x, y, weight = ink_points(grey)
    if len(x) < 8:
        return None
    angle = text_angle(x, y, weight)
    cos, sin = math.cos(angle), math.sin(angle)
    along, down = x * cos + y * sin, -x * sin + y * cos
    scales = np.arange(*SCALES, STEP)
    scale = float(scales[Spectrum.of(down, weight).at(codec.line_height * scales).argmax()])
    left = float(np.percentile(along, 0.1)) - BORDER * scale

    def page(scale: float, shift: tuple[float, float]) -> Floats:
        pitch = codec.line_height * scale
        rows = sum(codec.type.glyph(c).astype(np.float64).sum(1) for c in TYPICAL)
        start = line_phase(down, weight, pitch, np.asarray(rows), codec.line_height)
        top = start + math.floor((float(np.percentile(down, 0.1)) - start) / pitch + 0.25) * pitch
        across, below = left + (shift[0] - codec.margin) * scale, top + (shift[1] - codec.margin) * scale
        pose = Pose(angle, scale, across * cos - below * sin, across * sin + below * cos)
        warped = pose.rectify(grey, (codec.width + 2 * BORDER, codec.height + codec.line_height), 1.0, 1.0)
        dark = (255 - warped.astype(np.float32)) / 255
        dark -= float(np.median(dark))
        return np.clip(dark, 0, 1)

    best = (fit(page(scale, (0.0, 0.0)), SIGMAS[1]), scale, 0.0, 0.0, SIGMAS[1])

    def tried(scale: float, across: float, below: float, sigma: float) -> tuple[float, float, float, float, float]:
        return fit(page(scale, (across, below)), sigma), scale, across, below, sigma

    doubt = min(MOST_DOUBT, DOUBT * codec.line_height * scale / max(1.0, float(np.ptp(down))))
    for factor in np.arange(1 - doubt, 1 + doubt, FINE):
        best = max(best, tried(scale * float(factor), 0.0, 0.0, best[4]))
    for below in SHIFTS:
        best = max(best, tried(best[1], best[2], below, best[4]))
    for sigma in SIGMAS:
        best = max(best, tried(*best[1:4], sigma))
    for across in SHIFTS:
        best = max(best, tried(best[1], across, *best[3:]))
    return page(best[1], (best[2], best[3])), best[4]
