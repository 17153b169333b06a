"""Photographs of 12 and 48 megapixels, pages handled in Python that are much too large, and an augmenter that the codecs do not know."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks import codebook_fuzz
from ctxbench import Carrier, Codec, DecodeError
from ctxbench_codebook.codec import Codebook
from ctxbench_codebook_external.codec import CodebookExternal

TEXT = np.random.default_rng(3).integers(32, 127, 2500, np.uint8).tobytes().decode()
CODECS: dict[str, Codec] = {
    "color4": Codebook(compression="raw"),
    "robust": Codebook(preset="robust", compression="raw"),
    "qr": CodebookExternal(),
}


def photograph(page: Image.Image, size: tuple[int, int], share: float, seed: int = 1) -> Image.Image:
    """The page on a grey table, ``share`` of the picture's height, seen a little from aside, out of focus, with noise, as a JPEG."""
    rng = np.random.default_rng(seed)
    width, height = size
    scale = share * height / page.height
    corners = np.array([[0, 0], [page.width, 0], [page.width, page.height], [0, page.height]], np.float32)
    middle = np.array([width - page.width * scale, height - page.height * scale], np.float32) / 2
    moved = corners * np.float32(scale) + middle + rng.normal(0, 0.01 * height * share, (4, 2)).astype(np.float32)
    scene = np.full((height, width, 3), 170, np.uint8)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    cv2.warpPerspective(np.asarray(page), matrix, size, scene, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    scene = cv2.GaussianBlur(scene, (0, 0), max(0.5, 0.35 * scale))
    for top in range(0, height, 500):
        part = scene[top : top + 500]
        part[:] = np.clip(part + rng.normal(0, 4, part.shape[:2])[..., None], 0, 255)
    file = io.BytesIO()
    Image.fromarray(scene).save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize(
    ("name", "share"),
    [pytest.param("color4", 0.9, marks=pytest.mark.long), ("color4", 0.4), ("robust", 0.9), ("robust", 0.4), ("qr", 0.9), ("qr", 0.4)],
)
def test_12_megapixels(name, share):
    """A page that fills the picture has many pixels a cell; it is read in a reduced picture."""
    (page,) = CODECS[name].encode(TEXT).pages
    assert CODECS[name].decode(Carrier(pages=[photograph(page, (4032, 3024), share)])) == TEXT


@pytest.mark.parametrize(("name", "share"), [pytest.param("robust", 0.9, marks=pytest.mark.long), ("robust", 0.16), ("qr", 0.6)])
def test_48_megapixels(name, share):
    """A page that is small in it loses too much when the picture is reduced; it is cut out."""
    (page,) = CODECS[name].encode(TEXT).pages
    assert CODECS[name].decode(Carrier(pages=[photograph(page, (8064, 6048), share)])) == TEXT


@pytest.mark.parametrize("codec", [*CODECS.values(), Codebook(preset="aligned"), CodebookExternal(format="aztec", layout="tiled")], ids=str)
@pytest.mark.parametrize(
    "page",
    [
        lambda: Image.new("L", (100_000_000, 1), 255),
        lambda: Image.new("L", (1, 1_000_000)),
        lambda: Image.new("L", (1_000_000, 60)),
        lambda: Image.new("1", (10_000, 10_000), 1),
    ],
    ids=["100 million wide", "a million high", "60 lines of a million", "100 megapixels"],
)
def test_pages_out_of_all_proportion(codec, page):
    """A codec that is used from Python, or in a run, gets what an augmenter made: an error of ours, whatever the libraries allow."""
    with pytest.raises(DecodeError):
        codec.decode(Carrier(pages=[page()]))


# ---- damage that the codecs have not seen


def unknown(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned, scaled, moved while exposed, lit from one side, developed and compressed, all by Pillow and NumPy.

    It shares neither operators nor parameters with ``imgaug``'s levels: Lanczos instead of bilinear scaling, motion instead of Gauss' blur,
    gamma and a vignette instead of brightness and contrast, noise that grows with the light, WebP beside JPEG.
    """
    margin = Image.new("RGB", (page.width + 60, page.height + 60), (235, 232, 225))
    margin.paste(page, (30, 30))
    turned = margin.rotate(float(rng.uniform(-6, 6)), Image.Resampling.BICUBIC, expand=True, fillcolor=(235, 232, 225))
    scale = float(rng.uniform(0.8, 1.4))
    seen = turned.resize((round(turned.width * scale), round(turned.height * scale)), Image.Resampling.LANCZOS)
    length = int(rng.integers(1, 4))
    kernel = np.zeros((5, 5))
    kernel[2, 2 - length // 2 : 2 - length // 2 + length] = 1
    seen = seen.filter(ImageFilter.Kernel((5, 5), (kernel if rng.random() < 0.5 else kernel.T).ravel().tolist()))
    light = np.asarray(seen, np.float64) / 255
    light = light ** float(rng.uniform(0.8, 1.3))
    y, x = np.ogrid[-1 : 1 : seen.height * 1j, -1 : 1 : seen.width * 1j]
    light *= (1 - float(rng.uniform(0, 0.25)) * (x * x + y * y) / 2)[..., None] * rng.uniform(0.9, 1.0, 3)
    light += rng.normal(0, 1, light.shape) * (0.004 + 0.02 * np.sqrt(np.maximum(light, 0)))
    file = io.BytesIO()
    developed = Image.fromarray(np.uint8(np.clip(light * 255, 0, 255)))
    kind = "JPEG" if rng.random() < 0.7 else "WEBP"
    developed.save(file, kind, quality=int(rng.integers(60, 90)))
    return Image.open(file).convert("RGB")


def read_of(codec: Codec, pages: int, damage: Callable[[Image.Image, np.random.Generator], Image.Image]) -> int:
    """How many full pages, each of another text, are read exactly."""
    read = 0
    for seed in range(pages):
        text = np.random.default_rng([seed, 1]).integers(32, 127, 13_000, np.uint8).tobytes().decode()
        (page,) = codec.encode(text).pages
        read += codec.decode(Carrier(pages=[damage(page, np.random.default_rng(seed))])) == text
    return read


def test_robust_pages_under_an_unknown_augmenter():
    """All of them: what was learnt from one augmenter must hold for another."""
    assert read_of(CODECS["robust"], 5, unknown) == 5


@pytest.mark.long
def test_many_robust_pages_under_an_unknown_augmenter():
    """60 of 60."""
    assert read_of(CODECS["robust"], 60, unknown) == 60


# ---- pictures that are hostile


@pytest.mark.parametrize("codec", codebook_fuzz.CODECS)
def test_hostile_pictures(codec):
    """104 of the inputs of the benchmark: an exact text or an error, never a wrong text or another exception (``run`` raises)."""
    decoded, refused, _ = codebook_fuzz.run(104, 3, codec)
    assert decoded.total() + refused.total() == 104
    assert decoded.total() >= 7
    assert refused["noise"] == 13


@pytest.mark.long
@pytest.mark.parametrize("codec", codebook_fuzz.CODECS)
def test_thousands_of_hostile_pictures(codec):
    """3,000 for each codec."""
    decoded, refused, _ = codebook_fuzz.run(3000, 4, codec)
    assert decoded.total() + refused.total() == 3000
