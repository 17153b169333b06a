"""The augmentation levels as components. Importing this module imports neither imgaug nor OpenCV; applying one does."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from PIL import Image

from ctxbench import Augmenter, option
from ctxbench.options import Boolean, Either, Integer, Items, Number, Optional, String
from ctxbench_imgaug import options
from ctxbench_imgaug.options import Range

SCALE, ROTATION = Range(0.05, 8), Range(-180, 180)
QUALITY = Optional(Integer(1, 100))
COLOUR = Either(Integer(0, 255), Items(Integer(0, 255), 3))


@attrs.frozen(kw_only=True)
class Custom(Augmenter):
    """Scale and rotation, JPEG, blur and noise, each as its option says; by default nothing changes.

    What happens, in this order (``order="paper"``):

    1. Scale and rotation about the page's centre (and a change of perspective, if asked for) as *one* resampling, onto a canvas
       that has grown so that all four corners of the page lie on it, filled with ``fill``. Scale and angle are drawn uniformly.
       Where the page shrinks it is low-pass filtered first, so that nothing aliases.
    2. JPEG, in memory, at ``jpeg_quality`` with the chroma subsampling of ``jpeg_subsampling``.
    3. A Gaussian blur of ``blur_sigma``, its kernel four sigma wide on either side.
    4. Gaussian noise of standard deviation ``noise_std``, clipped to the range of a channel.

    ``order="camera"`` does 1, 3, 4, 2: the noise is the sensor's and JPEG comes last. A step whose option is neutral is left out.
    Each step's result is rounded to 8 bits a channel.

    All randomness comes from the generator: it is asked for the same draws whatever the options, so that two levels given equal
    generators differ in strength alone. imgaug's own global generator is neither read nor changed.

    Attributes:
        scale: two factors (smallest, largest), or one number for a fixed factor; in [0.05, 8].
        rotation: two angles in degrees, or one number ``x`` for [-x, x]; in [-180, 180]; positive turns clockwise.
        jpeg_quality: Pillow's JPEG quality, 1 to 100, or ``None`` for no JPEG.
        blur_sigma: standard deviation in pixels of the augmented page, 0 to 50.
        noise_std: standard deviation as a share of full scale (0.05 is 12.75 of 255), 0 to 1.
        noise_per_channel: draw red, green and blue noise independently; false gives grey noise, the same in all three.
        order: ``paper`` or ``camera``.
        perspective: each corner moves by up to this share of the page's shorter side in x and in y (uniform); 0 to 0.2.
        fill: colour of the canvas around the page, RGB or one grey level.
        interpolation: ``linear``, ``cubic`` or ``lanczos``.
        antialias: low-pass filter the page before it is scaled down.
        jpeg_subsampling: ``4:2:0``, ``4:2:2`` or ``4:4:4``.
    """

    scale: tuple[float, float] = option(SCALE, (1.0, 1.0), converter=options.pair)
    rotation: tuple[float, float] = option(ROTATION, (0.0, 0.0), converter=options.symmetric_pair)
    jpeg_quality: int | None = option(QUALITY, None)
    blur_sigma: float = option(Number(0, 50), 0.0)
    noise_std: float = option(Number(0, 1), 0.0)
    noise_per_channel: bool = option(Boolean(), True)
    order: str = option(String(("paper", "camera")), "paper")
    perspective: float = option(Number(0, 0.2), 0.0)
    fill: tuple[int, int, int] = option(COLOUR, (255, 255, 255), converter=options.colour)
    interpolation: str = option(String(("linear", "cubic", "lanczos")), "cubic")
    antialias: bool = option(Boolean(), True)
    jpeg_subsampling: str = option(String(("4:2:0", "4:2:2", "4:4:4")), "4:2:0")

    @property
    def config(self) -> dict[str, Any]:
        """All twelve options, pairs and colours as lists, as JSON has them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in attrs.asdict(self).items()}

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return an augmented RGB copy of ``image``.

        Raises:
            ValueError: the image has no pixels, or is too large for JPEG (65,500 px a side).
        """
        from ctxbench_imgaug.pipeline import augment

        return augment(self, image, rng)


@attrs.frozen(kw_only=True)
class Light(Custom):
    """A good scan or screenshot. Every option of :class:`Custom` can be set; these are the ones with another default."""

    scale: tuple[float, float] = option(SCALE, (0.9, 1.1), converter=options.pair)
    rotation: tuple[float, float] = option(ROTATION, (-5.0, 5.0), converter=options.symmetric_pair)
    jpeg_quality: int | None = option(QUALITY, 85)
    blur_sigma: float = option(Number(0, 50), 0.5)
    noise_std: float = option(Number(0, 1), 0.01)


@attrs.frozen(kw_only=True)
class Heavy(Custom):
    """A poor photograph. Every option of :class:`Custom` can be set; these are the ones with another default."""

    scale: tuple[float, float] = option(SCALE, (0.7, 1.3), converter=options.pair)
    rotation: tuple[float, float] = option(ROTATION, (-15.0, 15.0), converter=options.symmetric_pair)
    jpeg_quality: int | None = option(QUALITY, 60)
    blur_sigma: float = option(Number(0, 50), 1.5)
    noise_std: float = option(Number(0, 1), 0.05)
