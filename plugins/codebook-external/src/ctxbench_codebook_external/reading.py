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

from ctxbench_codebook_external.chunks import Chunk, parse

Grey = npt.NDArray[np.uint8]
NOISE_TO_SIGNAL = 0.02
MAX_SIDE = 8000  # a page that would grow beyond this is not enlarged


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
    fy = np.fft.fftfreq(image.shape[0])[:, None]
    fx = np.fft.rfftfreq(image.shape[1])[None]
    blur = np.exp(-2 * (np.pi * sigma) ** 2 * (fx * fx + fy * fy))
    sharp = np.fft.irfft2(np.fft.rfft2(values - mean) * blur / (blur * blur + NOISE_TO_SIGNAL), s=image.shape) + mean
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
