"""Page images: their hashes, and opening image files of unknown origin within limits that are checked before they are decoded."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ctxbench.errors import DecodeError

MAX_PIXELS = 1 << 26
"""Most pixels of an image that is opened: 8192 x 8192, 201 MB as RGB. Photographs of 12, 48 and 64 megapixels are smaller."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
"""Formats of photographs, scans and screenshots. What else Pillow opens is refused: PostScript, for one, would be run as a program."""

MAX_SCANS = 64
"""Most scans of a JPEG. Each costs a pass over the whole picture, however few bytes it has; cameras and encoders make about ten."""

_WEBP = 3 / 4  # of the pixels: Pillow's decoder of WebP holds four copies of the picture

_BAND = 1 << 20  # pixels converted at once, to bound memory


def page_sha256(page: Image.Image) -> str:
    """SHA-256 of a page: its mode, width, height and raw pixels, so that it does not depend on a file format's encoder."""
    head = f"{page.mode} {page.width}x{page.height}\n".encode()
    return hashlib.sha256(head + page.tobytes()).hexdigest()


def max_side(max_pixels: int = MAX_PIXELS) -> int:
    """The longest side, in px, of an image of at most ``max_pixels`` pixels: that of a picture four times as long as wide."""
    return 2 * math.isqrt(max_pixels)


def reduced(page: Image.Image, max_pixels: int) -> tuple[Image.Image, int]:
    """(page, 1), or if it is larger than ``max_pixels`` or :func:`max_side` of them, (its means over squares, their side in px).

    The page is grey, RGB, or in another mode whose pixels have a mean: modes 1, P and I;16 have none.
    """
    factor = max(math.ceil(math.sqrt(page.width * page.height / max_pixels)), math.ceil(max(page.size) / max_side(max_pixels)))
    return (page.reduce(factor), factor) if factor > 1 else (page, 1)


def open_page(path: Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in a file, as RGB and upright as its Exif data say; transparency is laid on white. Of several frames it is the first.

    Raises:
        DecodeError: no such file, a folder, not an image, truncated, in a format that is not read, or larger than ``max_pixels`` pixels
            or :func:`max_side` of them.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings(), _without_pillows_bound():
            warnings.simplefilter("ignore")  # broken metadata do not matter
            Image.init()
            with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
                _check(path, image, max_pixels)
                image.load()
                return _upright(image, _rgb(image))
    except UnidentifiedImageError:
        raise DecodeError(f"{path}: not an image in a format that is read ({', '.join(FORMATS)})") from None
    except MemoryError:
        raise DecodeError(f"{path}: not enough memory for this image; scale it down first") from None
    except OSError as error:
        raise DecodeError(f"{path}: {error.strerror or error}") from None
    except (SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise DecodeError(f"{path}: broken image file: {' '.join(str(error).split())}") from None


@contextmanager
def _without_pillows_bound() -> Iterator[None]:
    """Ours is checked as soon as the size is known, names it, and may be raised above Pillow's."""
    bound = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = bound


def _check(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    max_pixels = int(max_pixels * _WEBP) if image.format == "WEBP" else max_pixels
    if width * height > max_pixels:
        raise DecodeError(f"{path}: {width} x {height} px is more than {max_pixels:,} pixels; scale it down first")
    if max(width, height) > max_side(max_pixels):
        raise DecodeError(
            f"{path}: {width} x {height} px has a side of more than {max_side(max_pixels):,} px; cut it or scale it down first"
        )
    if image.format in ("JPEG", "MPO"):
        scans = len(re.findall(rb"\xff\xda", path.read_bytes()))
        if scans > MAX_SCANS:
            raise DecodeError(f"{path}: a JPEG of {scans:,} scans, and {MAX_SCANS} is the most; save it again")


def _rgb(image: Image.Image) -> Image.Image:
    """A copy in RGB, made band by band: other modes than RGB would take two or three whole copies more."""
    page = Image.new("RGB", image.size, "white")
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(image.height, top + step)))
        if band.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            if "transparency" in image.info:
                band.info["transparency"] = image.info["transparency"]
            layer = band.convert("RGBA")
            page.paste(layer, (0, top), layer.getchannel("A"))
        else:
            page.paste(_eight_bits(band).convert("RGB"), (0, top))
    return page


def _eight_bits(band: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8: Pillow would cut it off at 255. Other modes as they are."""
    if not band.mode.startswith("I"):
        return band
    import numpy as np  # for these modes alone: the command line imports this module for its bounds

    values = np.asarray(band)
    return Image.fromarray((np.clip(values, 0, 65535) >> 8).astype(np.uint8))


def _upright(image: Image.Image, page: Image.Image) -> Image.Image:
    """Turned as the orientation in the Exif data says; without any, or if they are broken, as it is."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a parser of untrusted bytes, whose failure costs nothing but the turn
        return page
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return page if turn is None else page.transpose(turn)


__all__ = ["FORMATS", "MAX_PIXELS", "max_side", "open_page", "page_sha256", "reduced"]
