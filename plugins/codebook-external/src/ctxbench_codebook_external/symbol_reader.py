"""Reading symbols from a page, with a ladder of retries for pages that blur and scaling have damaged.

Most failures of a damaged page are failures of sampling, not wrong bits: the same pixels, enlarged or sharpened, read well. Sharpening is
Wiener deconvolution of a Gaussian blur (Gonzalez and Woods, Digital Image Processing, section 5.8):
``G = H / (H^2 + K)`` with ``H(f) = exp(-2 pi^2 sigma^2 f^2)``, sigma in pixels and K the assumed noise-to-signal ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench import DecodeError
from ctxbench.images import reduced
from ctxbench_codebook_external.chunks import Chunk, parse
from ctxbench_codebook_external.crowd import crowded

Grey = npt.NDArray[np.uint8]
NOISE_TO_SIGNAL = 0.02
MAX_SIDE = 7200  # px; a page that would grow beyond this is not enlarged: twice the largest page of the codec is just below
MOST = 1 << 24
"""Pixels that are looked at: 4096 x 4096, more than any page as encoded. A larger picture is reduced first."""


def grey_of(page: Image.Image) -> Grey:
    """The page as it is looked at: in grey, and reduced if it is very large.

    Raises:
        DecodeError: it is full of patterns that no page of this codec can have.
    """
    grey = np.asarray(reduced(page.convert("L"), MOST)[0])
    if crowded(grey):
        raise DecodeError(f"a picture of {page.width} x {page.height} px has more finder patterns than a page can have")
    return grey


def enlarge(image: Grey, factor: int) -> Grey:
    """The page enlarged by bicubic interpolation; as it is if it would become too large."""
    height, width = image.shape
    if factor == 1 or max(height, width) * factor > MAX_SIDE:
        return image
    return np.asarray(Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BICUBIC))


def sharpen(image: Grey, sigma: float) -> Grey:
    """Wiener deconvolution of a Gaussian blur of ``sigma`` px."""
    values = image.astype(np.float32) / 255
    mean = values.mean()
    fy = np.fft.fftfreq(image.shape[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(image.shape[1]).astype(np.float32)[None]
    width = np.float32(2 * (np.pi * sigma) ** 2)
    blur = np.exp(-width * fy * fy) * np.exp(-width * fx * fx)
    spectrum = np.fft.rfft2(values - mean)
    spectrum *= blur / (blur * blur + np.float32(NOISE_TO_SIGNAL))
    sharp = np.fft.irfft2(spectrum, s=image.shape) + mean
    return np.asarray(np.clip(sharp * 255, 0, 255), np.uint8)


LADDER: tuple[Callable[[Grey], Grey], ...] = (
    lambda image: image,
    lambda image: enlarge(image, 2),
    lambda image: enlarge(sharpen(image, 0.7), 2),
    lambda image: enlarge(sharpen(image, 1.5), 2),
    lambda image: enlarge(sharpen(image, 1.5), 3),
    lambda image: enlarge(sharpen(image, 1.1), 3),
    lambda image: enlarge(image, 3),
)


def read_symbols(image: Grey, kind: str) -> list[Chunk]:
    """Every chunk that zxing-cpp reads from the page as it is."""
    import zxingcpp

    formats: dict[str, Any] = {
        "qr": zxingcpp.BarcodeFormat.QRCode,
        "datamatrix": zxingcpp.BarcodeFormat.DataMatrix,
        "aztec": zxingcpp.BarcodeFormat.Aztec,
    }
    found = zxingcpp.read_barcodes(image, formats=formats[kind], try_invert=False)
    chunks = (parse(bytes(barcode.bytes)) for barcode in found if barcode.valid)
    return [chunk for chunk in chunks if chunk is not None]
