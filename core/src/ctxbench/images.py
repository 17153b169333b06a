"""Page images: what identifies one, and opening those that come from outside, bounded in pixels before they are decoded."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ctxbench.errors import DecodeError

MAX_PIXELS = 100_000_000
"""Largest image that is decoded: 100 megapixels, 300 MB as RGB."""


def page_sha256(page: Image.Image) -> str:
    """SHA-256 of a page: its mode, width, height and raw pixels, so that it does not depend on a file format's encoder."""
    head = f"{page.mode} {page.width}x{page.height}\n".encode()
    return hashlib.sha256(head + page.tobytes()).hexdigest()


def open_page(path: Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in a file, as RGB; transparency is laid on white.

    Raises:
        DecodeError: no such file, a folder, not an image, truncated, or more than ``max_pixels`` pixels.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is stricter
            with Image.open(path) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise DecodeError(f"{path}: {width} x {height} px is more than {max_pixels:,} pixels; scale it down first")
                image.load()
                return _rgb(image)
    except UnidentifiedImageError:
        raise DecodeError(f"{path}: not an image that Pillow can read") from None
    except Image.DecompressionBombError:
        raise DecodeError(f"{path}: more than {max_pixels:,} pixels; scale it down first") from None
    except OSError as error:
        raise DecodeError(f"{path}: {error.strerror or error}") from None
    except (SyntaxError, ValueError, EOFError) as error:
        raise DecodeError(f"{path}: broken image file: {' '.join(str(error).split())}") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        page = Image.new("RGB", image.size, "white")
        page.paste(layer, mask=layer.getchannel("A"))
        return page
    return image.convert("RGB")
