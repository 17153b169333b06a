"""The steps of the pipeline that imgaug 0.5 has, but not as an experiment needs them, as operators of an imgaug pipeline.

- ``iaa.Affine`` does not filter before it scales down, and its ``fit_output`` measures between pixel centres: a page scaled by 3 loses a
  pixel of canvas on every side.
- ``iaa.GaussianBlur`` cuts its kernel at 1.65 sigma and at 5 px: asked for sigma 1.5 it blurs with 1.2.
- ``iaa.JpegCompression`` takes a strength, not a quality, goes through a temporary file, and reads it by a deprecated call.

The noise is imgaug's own, ``iaa.AdditiveGaussianNoise``.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from imgaug.augmenters.blur import blur_gaussian_
from imgaug.augmenters.meta import Augmenter
from PIL import Image, JpegImagePlugin

from ctxbench_imgaug.geometry import Pixels, Warp, resample

MAX_JPEG_SIDE = 65_500
"""libjpeg's limit (``JPEG_MAX_DIMENSION``), in pixels."""


class _PerImage(Augmenter):  # type: ignore[misc]
    """An operator without randomness of its own, as a function of one image."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        batch.images = [self.change(image) for image in batch.images]
        return batch

    def change(self, page: Pixels) -> Pixels:
        """The changed page."""
        raise NotImplementedError

    def get_parameters(self) -> list[Any]:
        """Nothing that imgaug could draw."""
        return []


class Resample(_PerImage):
    """Scale, rotation and perspective as one resampling."""

    def __init__(self, warp: Warp, fill: tuple[int, int, int], interpolation: str, antialias: bool, seed: int) -> None:
        super().__init__(seed=seed)
        self.warp, self.fill, self.interpolation, self.antialias = warp, fill, interpolation, antialias

    def change(self, page: Pixels) -> Pixels:
        """The page on its canvas."""
        return resample(page, self.warp, self.fill, self.interpolation, self.antialias)


class Jpeg(_PerImage):
    """JPEG by Pillow at a quality, in memory."""

    def __init__(self, quality: int, subsampling: str, seed: int) -> None:
        super().__init__(seed=seed)
        self.quality, self.subsampling = quality, subsampling

    def change(self, page: Pixels) -> Pixels:
        """The page after compression and decompression.

        Raises:
            ValueError: a side is longer than JPEG can be.
        """
        height, width = page.shape[:2]
        if max(width, height) > MAX_JPEG_SIDE:
            raise ValueError(f"a JPEG side is at most {MAX_JPEG_SIDE} px, this page is {width} x {height}; set jpeg_quality: null")
        buffer = io.BytesIO()
        Image.fromarray(page).save(buffer, "JPEG", quality=self.quality, subsampling=self.subsampling)
        buffer.seek(0)
        with JpegImagePlugin.JpegImageFile(buffer) as image:  # our own bytes: no need for Image.open's limit on pixels
            return np.array(image)


class Blur(_PerImage):
    """A Gaussian blur whose kernel reaches four sigma to either side."""

    def __init__(self, sigma: float, seed: int) -> None:
        super().__init__(seed=seed)
        self.sigma = sigma

    def change(self, page: Pixels) -> Pixels:
        """The blurred page."""
        ksize = 2 * math.ceil(4 * self.sigma) + 1
        return np.asarray(blur_gaussian_(page, self.sigma, ksize=ksize, backend="cv2"), dtype=np.uint8)
