"""Pictures from outside: every format and mode gives the pixels that a viewer shows; what is too large is refused undecoded."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks import hostile_files
from ctxbench import DecodeError
from ctxbench.images import MAX_PIXELS, max_side, open_page, reduced

COLORS = np.random.default_rng(4).integers(0, 256, (24, 40, 3), np.uint8)


def opened(tmp_path, data: bytes | Image.Image, name: str = "page.png", max_pixels: int = MAX_PIXELS, **options) -> np.ndarray:
    path = tmp_path / name
    if isinstance(data, Image.Image):
        data.save(path, **options)
    else:
        path.write_bytes(data)
    page = open_page(path, max_pixels)
    assert page.mode == "RGB"
    return np.asarray(page)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.bmp", {}),
        ("a.ppm", {}),
    ],
)
def test_formats_without_loss(tmp_path, name, options):
    """The suffix does not matter, only the content."""
    assert np.array_equal(opened(tmp_path, Image.fromarray(COLORS), name, **options), COLORS)
    (tmp_path / name).rename(tmp_path / "b.jpeg")
    assert np.array_equal(np.asarray(open_page(tmp_path / "b.jpeg")), COLORS)


def test_jpeg_in_cmyk(tmp_path):
    """Ink becomes light, and a bright red stays one."""
    red = opened(tmp_path, Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "a.jpg")
    assert red[16, 16, 0] > 200
    assert red[16, 16, 1:].max() < 60


def test_grey_of_16_bits(tmp_path):
    """The upper byte of each value; Pillow's own conversion makes all above 255 white."""
    values = (np.arange(40 * 24, dtype=np.uint16) * 67).reshape(24, 40)
    assert np.array_equal(opened(tmp_path, Image.fromarray(values)), (values >> 8).astype(np.uint8)[..., None].repeat(3, 2))


def test_color_of_16_bits(tmp_path):
    """Read as 8."""
    rows = (row.astype(">u2") * 257 for row in COLORS.astype(np.uint32))
    data = hostile_files.png(40, 24, (row.astype(">u2").tobytes() for row in rows), depth=16)
    assert np.array_equal(opened(tmp_path, data), COLORS)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    """Half transparent black is grey, and what is not there is paper; the picture is higher than one band of the conversion."""
    alpha = Image.new("L", (3000, 800), 255)
    alpha.paste(128, (0, 0, 3000, 300))
    alpha.paste(0, (0, 700, 3000, 800))
    page = Image.new("RGBA", (3000, 800), "black")
    page.putalpha(alpha)
    made = page.quantize(8) if mode == "P" else page.convert(mode)
    seen = opened(tmp_path, made)
    assert abs(int(seen[100, 50, 1]) - 127) <= 1
    assert seen[500, 50].max() == 0
    assert seen[750, 50].min() == 255


def test_a_palette_with_one_transparent_color(tmp_path):
    """As GIF and old PNGs have it."""
    page = Image.new("P", (20, 10), 0)
    page.putpalette([0, 0, 0, 255, 0, 0])
    page.paste(1, (10, 0, 20, 10))
    for name in ("a.png", "a.gif"):
        seen = opened(tmp_path, page, name, transparency=0)
        assert seen[5, 5].tolist() == [255, 255, 255]
        assert seen[5, 15].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_of_several_frames_the_first(tmp_path, kind):
    """An animation does not cost more than its first picture."""
    frames = [Image.new("L", (30, 20), value).convert("RGB") for value in (255, 100, 0)]
    data = hostile_files.saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert opened(tmp_path, data).min() >= 254


STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright[:, ::-1].transpose(1, 0, 2),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright[::-1].transpose(1, 0, 2),
}
"""TIFF 6.0, tag 274: which sides of the picture the first row and the first column are, as (row, column) 1 top-left to 8 left-bottom."""


@pytest.mark.parametrize("orientation", STORED)
def test_photographs_are_upright(tmp_path, orientation):
    """Cameras store what the sensor saw, and how it was held."""
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](COLORS)))
    assert np.array_equal(opened(tmp_path, stored, exif=exif), COLORS)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x05nonsense"]
)
def test_broken_exif_data_do_not_matter(tmp_path, exif):
    """The picture is whole."""
    file = io.BytesIO()
    Image.fromarray(COLORS).save(file, "JPEG", exif=exif)
    assert opened(tmp_path, file.getvalue()).shape == (24, 40, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            lambda: hostile_files.png(30_000, 30_000, [b"\0" * 90_000]),
            "30000 x 30000 px is more than 67,108,864 pixels; scale it down first",
        ),
        (lambda: hostile_files.even(16_385, 1), "16385 x 1 px has a side of more than 16,384 px"),
        (lambda: hostile_files.even(1, 100_000), "1 x 100000 px has a side of more than 16,384 px"),
        (lambda: hostile_files.jpeg_scans(65, 1024), "a JPEG of 65 scans, and 64 is the most"),
        (hostile_files.compressed_text_png, "broken image file: Decompressed data too large"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an image in a format that is read"),
        (lambda: hostile_files.saved(Image.new("RGB", (8, 8)), "JPEG2000"), "not an image in a format that is read"),
        (lambda: b"", "not an image"),
    ],
)
def test_what_is_refused(tmp_path, data, message):
    """Before anything of it is decoded, with its name."""
    with pytest.raises(DecodeError, match=message) as error:
        opened(tmp_path, data(), "page.png")
    assert str(error.value).startswith(f"{tmp_path / 'page.png'}: ")


def test_both_bounds_follow_from_the_pixels(tmp_path):
    """One number raises or lowers both."""
    assert max_side() == 16_384
    assert max_side(10_000) == 200
    assert opened(tmp_path, hostile_files.even(200, 50), max_pixels=10_000).shape == (50, 200, 3)
    with pytest.raises(DecodeError, match="has a side of more than 200 px"):
        opened(tmp_path, hostile_files.even(201, 1), max_pixels=10_000)
    with pytest.raises(DecodeError, match="more than 10,000 pixels"):
        opened(tmp_path, hostile_files.even(101, 100), max_pixels=10_000)
    assert opened(tmp_path, hostile_files.even(20_000, 1), max_pixels=2 * MAX_PIXELS).shape == (1, 20_000, 3)


def test_scans_of_usual_files_are_read(tmp_path):
    """64 are, and so is a progressive photograph."""
    assert opened(tmp_path, hostile_files.jpeg_scans(64, 1024)).shape == (1024, 1024, 3)
    assert opened(tmp_path, Image.fromarray(COLORS), "a.jpg", progressive=True).shape == (24, 40, 3)


def test_a_large_picture_is_reduced_to_means():
    """By whole numbers, in pixels and in each side; a small one is left alone."""
    page = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    small, factor = reduced(page, 16)
    assert (small.size, factor) == ((4, 4), 2)
    assert np.array_equal(np.asarray(small)[0], [5, 7, 9, 11])  # means of 0, 1, 8, 9 and so on, rounded
    assert reduced(page, 64) == (page, 1)
    assert reduced(Image.new("L", (100, 1)), 64)[0].size == (15, 1)  # no side above 16
