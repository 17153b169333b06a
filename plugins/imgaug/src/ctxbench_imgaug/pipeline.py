"""One draw from a generator, and the imgaug pipeline that applies it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np
from imgaug import augmenters as iaa
from PIL import Image

from ctxbench_imgaug.geometry import Matrix, Pixels, Warp, warp_for
from ctxbench_imgaug.operators import Blur, Jpeg, Resample

if TYPE_CHECKING:
    from ctxbench_imgaug.levels import Custom

ORDERS = {"paper": ("resample", "jpeg", "blur", "noise"), "camera": ("resample", "blur", "noise", "jpeg")}


@attrs.frozen(eq=False)
class Draw:
    """All that chance decides about one page.

    Attributes:
        scale: where between its bounds the scale lies, in [0, 1).
        rotation: the same for the angle.
        corners: 4 x 2 displacements of the corners, in [-1, 1) of the largest allowed.
        seed: of the noise.
    """

    scale: float
    rotation: float
    corners: Matrix
    seed: int

    @classmethod
    def of(cls, rng: np.random.Generator) -> Draw:
        """Ask ``rng`` for the same eleven numbers, whatever they will be used for."""
        return cls(rng.random(), rng.random(), rng.uniform(-1, 1, (4, 2)), int(rng.integers(2**63)))


def geometry(level: Custom, size: tuple[int, int], draw: Draw) -> Warp | None:
    """Where a page of ``size`` (width, height) goes, or ``None`` if it stays as it is."""
    if level.scale == (1, 1) and level.rotation == (0, 0) and level.perspective == 0:
        return None
    scale = level.scale[0] + draw.scale * (level.scale[1] - level.scale[0])
    degrees = level.rotation[0] + draw.rotation * (level.rotation[1] - level.rotation[0])
    return warp_for(size, scale, degrees, draw.corners * (level.perspective * min(size)))


def build(level: Custom, size: tuple[int, int], draw: Draw) -> iaa.Sequential:
    """The pipeline for one page. Every operator gets a seed, since one without would take it from imgaug's global generator."""
    warp = geometry(level, size, draw)
    steps: dict[str, Callable[[int], iaa.Augmenter]] = {}
    if warp is not None:
        steps["resample"] = lambda seed: Resample(warp, level.fill, level.interpolation, level.antialias, seed)
    if level.jpeg_quality is not None:
        quality = level.jpeg_quality
        steps["jpeg"] = lambda seed: Jpeg(quality, level.jpeg_subsampling, seed)
    if level.blur_sigma > 0:
        steps["blur"] = lambda seed: Blur(level.blur_sigma, seed)
    if level.noise_std > 0:
        std = 255 * level.noise_std
        steps["noise"] = lambda seed: iaa.AdditiveGaussianNoise(scale=std, per_channel=level.noise_per_channel, seed=seed)
    return iaa.Sequential([steps[name](draw.seed) for name in ORDERS[level.order] if name in steps], seed=draw.seed)


def augment(level: Custom, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply a level to an image; ``image`` stays as it is."""
    if not image.width or not image.height:
        raise ValueError(f"an image must be at least 1 x 1 px, got {image.width} x {image.height}")
    page: Pixels = np.array(image.convert("RGB"))
    return Image.fromarray(build(level, image.size, Draw.of(rng)).augment_image(page))
