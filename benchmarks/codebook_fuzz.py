"""Damaged and random pictures for the page codecs' decoders.

``python -m benchmarks.codebook_fuzz [--codec codebook|codebook_external] [--inputs 10000] [--seed 1]``

Each must give the exact text or ``DecodeError``; anything else ends the run with the input's number, from which it can be made again.
"""

from __future__ import annotations

import argparse
import functools
import io
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from ctxbench import Carrier, Codec, DecodeError
from ctxbench_codebook.codec import PRESETS, Codebook
from ctxbench_codebook_external.codec import CodebookExternal

Picture = npt.NDArray[np.uint8]
TEXT = "Fuzz: Grüße, 世界! 0123456789\n"
CODECS = ("codebook", "codebook_external")
EXTERNAL: dict[str, dict[str, Any]] = {
    "qr": {},
    "qr, tiled": {"layout": "tiled", "max_version": 4, "module": 3, "page": 504, "error": "M"},
    "datamatrix": {"format": "datamatrix"},
    "aztec": {"format": "aztec", "compression": "zlib"},
}


@functools.lru_cache(maxsize=64)
def valid(preset: str, copies: int) -> Picture:
    """A small page of ``TEXT * copies``."""
    return np.asarray(Codebook(preset=preset, page=252, compression="raw").encode(TEXT * copies).pages[0])


@functools.lru_cache(maxsize=64)
def valid_symbols(name: str, copies: int) -> Picture:
    """A page of symbols of ``TEXT * copies``."""
    return np.asarray(CodebookExternal(**EXTERNAL[name]).encode(TEXT * copies).pages[0])


def noise(page: Picture, rng: np.random.Generator) -> Picture:
    """Nothing but noise, of any size and one of three textures."""
    height, width = (int(n) for n in rng.integers(1, 260, 2))
    block = int(rng.integers(1, 20))
    coarse = rng.integers(0, 256, (-(-height // block), -(-width // block), 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(block, 0).repeat(block, 1)[:height, :width])


def shapes(page: Picture, rng: np.random.Generator) -> Picture:
    """Dark rectangles on white, some with a page's frame but another inside."""
    out = np.full((int(rng.integers(50, 260)), int(rng.integers(50, 260)), 3), 255, np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        top, left = int(rng.integers(0, out.shape[0])), int(rng.integers(0, out.shape[1]))
        out[top : top + int(rng.integers(5, 200)), left : left + int(rng.integers(5, 200))] = rng.integers(0, 256, 3)
    if rng.random() < 0.5:
        out[6:-6, 6:-6] = 0
        out[12:-12, 12:-12] = rng.integers(0, 2, (out.shape[0] - 24, out.shape[1] - 24, 1)) * 255
    return out


def crop(page: Picture, rng: np.random.Generator) -> Picture:
    """A part of a page."""
    top, left = (int(rng.integers(0, n * 3 // 4)) for n in page.shape[:2])
    bottom, right = int(rng.integers(top + 1, page.shape[0] + 1)), int(rng.integers(left + 1, page.shape[1] + 1))
    return np.ascontiguousarray(page[top:bottom, left:right])


def blocks(page: Picture, rng: np.random.Generator) -> Picture:
    """A page with some rectangles painted over or filled with noise."""
    out = page.copy()
    for _ in range(int(rng.integers(1, 8))):
        top, left = (int(rng.integers(0, n)) for n in page.shape[:2])
        part = out[top : top + int(rng.integers(2, 90)), left : left + int(rng.integers(2, 90))]
        part[:] = rng.integers(0, 256, part.shape) if rng.random() < 0.5 else rng.integers(0, 256, 3)
    return out


def cells(page: Picture, rng: np.random.Generator) -> Picture:
    """A page of which a share of the 4 px squares is inverted, in the header's band or anywhere."""
    out = page.copy()
    bottom = 48 if rng.random() < 0.5 else page.shape[0]
    share = rng.choice([0.003, 0.02, 0.1, 0.3])
    for top in range(12, bottom - 12, 4):
        for left in np.flatnonzero(rng.random((page.shape[1] - 24) // 4) < share) * 4 + 12:
            out[top : top + 4, left : left + 4] ^= 255
    return out


def swap(page: Picture, rng: np.random.Generator, codec: str = "codebook") -> Picture:
    """A page whose lower part, or whose header, is another page's."""
    other = _any_page(codec, rng)[1]
    out, cut = page.copy(), int(rng.integers(16, page.shape[0]))
    rows = slice(cut, min(len(page), len(other))) if rng.random() < 0.5 else slice(0, min(cut, len(other)))
    columns = min(page.shape[1], other.shape[1])
    out[rows, :columns] = other[rows, :columns]
    return out


def truncated(page: Picture, rng: np.random.Generator) -> Picture:
    """A JPEG or PNG file that ends early."""
    file = io.BytesIO()
    Image.fromarray(page).save(file, format=str(rng.choice(["PNG", "JPEG"])))
    data = file.getvalue()
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(data[: int(rng.integers(len(data) // 10, len(data)))])) as image:
            pixels: Picture = np.array(image.convert("RGB"), np.uint8)
            return pixels
    except (OSError, SyntaxError, ValueError):
        return page[:1]
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def warp(page: Picture, rng: np.random.Generator) -> Picture:
    """A page that any homography has bent, with noise on top."""
    import cv2

    height, width = page.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.normal(0, rng.choice([2, 20, 80]), (4, 2)).astype(np.float32) + 20
    bent = cv2.warpPerspective(page, cv2.getPerspectiveTransform(corners, moved), (width + 40, height + 40), borderValue=(255, 255, 255))
    noisy = np.clip(bent + rng.normal(0, rng.choice([0, 10, 60]), bent.shape), 0, 255)
    return np.asarray(noisy, np.uint8)


DAMAGES: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (
    noise,
    shapes,
    crop,
    blocks,
    cells,
    swap,
    truncated,
    warp,
)


def _any_page(codec: str, rng: np.random.Generator) -> tuple[str, Picture, int]:
    """(preset or name of options, page, copies of the text in it)."""
    names, draw = (list(PRESETS), valid) if codec == "codebook" else (list(EXTERNAL), valid_symbols)
    name, copies = str(rng.choice(names)), int(rng.integers(1, 6))
    return name, draw(name, copies), copies


def make(seed: int, number: int, codec: str = "codebook") -> tuple[str, Codec, Picture, set[str]]:
    """(kind of damage, decoder, picture, texts that may be in it) of one input."""
    rng = np.random.default_rng([seed, number])
    name, page, copies = _any_page(codec, rng)
    damage = DAMAGES[number % len(DAMAGES)]
    picture = swap(page, rng, codec) if damage is swap else damage(page, rng)
    legal = {TEXT * n for n in range(1, 6)} if damage is swap else {TEXT * copies}
    decoder = Codebook() if codec == "codebook" else CodebookExternal(**EXTERNAL[name])
    return damage.__name__, decoder, np.ascontiguousarray(picture), legal


def run(inputs: int, seed: int, codec: str = "codebook") -> tuple[Counter[str], Counter[str], float]:
    """(inputs decoded, inputs refused, seconds of the slowest), counted by kind of damage.

    Raises:
        AssertionError: a wrong text, or an exception that is not ``DecodeError``.
    """
    decoded: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    slowest = 0.0
    for number in range(inputs):
        kind, decoder, picture, legal = make(seed, number, codec)
        start = time.perf_counter()
        try:
            text = decoder.decode(Carrier(pages=[Image.fromarray(picture)]))
        except DecodeError:
            refused[kind] += 1
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed} ({kind}): {error!r}") from error
        else:
            if text not in legal:
                raise AssertionError(f"input {number} of seed {seed} ({kind}): a wrong text")
            decoded[kind] += 1
        slowest = max(slowest, time.perf_counter() - start)
    return decoded, refused, slowest


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", choices=CODECS, default="codebook")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    decoded, refused, slowest = run(options.inputs, options.seed, options.codec)
    print(
        f"{options.inputs:,} inputs, seed {options.seed}: {decoded.total():,} decoded exactly, {refused.total():,} DecodeError, "
        f"0 wrong, 0 other exceptions; slowest {slowest:.2f} s"
    )
    for damage in DAMAGES:
        print(f"  {damage.__name__:10} decoded {decoded[damage.__name__]:5,}  refused {refused[damage.__name__]:5,}")


if __name__ == "__main__":
    main()
