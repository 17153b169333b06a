"""Pages as the model sees them, made without an image library: one 28 x 28 px tile a visual token, then Qwen2-VL's patch layout."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

import ctxbench

TILE = 28
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)

GLYPHS_A_TILE = 4

Tiles = npt.NDArray[np.uint8]


@attrs.frozen(eq=False)
class Page:
    """A page as visual tokens.

    Attributes:
        tiles: uint8 (tokens, 28, 28, 3), row by row.
        width: tokens in a row.
        slots: int64 (tokens, k), the byte in each of a tile's k places, -1 where there is none; ``None`` if nobody knows.
        printed: of a code, the tiles as the base would have to see them to read the same; like ``tiles``.
        bits: (tokens, bits), what the codes on each tile say; ``None`` if nobody knows.
        words: codes on each tile, if it is known what they say.
        where: int64 (squares), the tile on which most of each square of the undamaged page lies; ``None`` if the page is not damaged.
    """

    tiles: Tiles
    width: int
    slots: npt.NDArray[np.int64] | None = None
    printed: Tiles | None = None
    bits: npt.NDArray[np.uint8] | None = None
    words: int = 0
    where: npt.NDArray[np.int64] | None = None


def of_image(image: Image.Image) -> Page:
    """A page image as tokens. One whose sides are no multiples of 28 px is rescaled to the nearest, as Qwen2-VL's image processor does."""
    width, height = (max(1, round(side / TILE)) for side in image.size)
    image = image.convert("RGB")
    if image.size != (width * TILE, height * TILE):
        image = image.resize((width * TILE, height * TILE), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    tiles = array.reshape(height, TILE, width, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    return Page(tiles, width)


def patches(tiles: Tiles) -> npt.NDArray[np.float32]:
    """Tiles (n, 28, 28, 3) to the rows that Qwen2-VL's image processor makes of them: (4 n, 3 * 2 * 14 * 14)."""
    x = (tiles.astype(np.float32) / 255.0 - MEAN) / STD
    x = x.reshape(-1, 2, 14, 2, 14, 3).transpose(0, 1, 3, 5, 2, 4)[:, :, :, :, None]
    return np.broadcast_to(x, (*x.shape[:4], 2, 14, 14)).reshape(4 * len(tiles), -1)


@functools.cache
def glyphs(width: int = TILE // GLYPHS_A_TILE, size: int = 11) -> npt.NDArray[np.uint8]:
    """Grey glyphs of the printable ASCII characters, (95, 28, width)."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"), size)
    table = np.empty((95, TILE, width), np.uint8)
    for i in range(95):
        image = Image.new("L", (width, TILE), 255)
        ImageDraw.Draw(image).text((0, (TILE - size) // 2), chr(32 + i), font=font, fill=0)
        table[i] = np.asarray(image)
    return table


def lines(text: str, columns: int) -> list[str]:
    """``text`` as the lines of a page: hard breaks kept, longer lines wrapped."""
    return [line[i : i + columns] for line in text.split("\n") for i in range(0, max(1, len(line)), columns)]


def text_slots(text: str, width: int, lines_a_tile: int, columns: int) -> npt.NDArray[np.int64]:
    """The characters on each tile of a page with ``columns`` characters a line: (tokens, lines_a_tile * 4), a line's rest as spaces."""
    rows = lines(text, columns)
    rows += [""] * (-len(rows) % lines_a_tile)
    codes = np.array([[ord(c) for c in row.ljust(width * GLYPHS_A_TILE)] for row in rows])
    return codes.reshape(-1, lines_a_tile, width, GLYPHS_A_TILE).swapaxes(1, 2).reshape(-1, lines_a_tile * GLYPHS_A_TILE)


def text_page(text: str, width: int, lines_a_tile: int = 1) -> Page:
    """A page of 7 px wide characters, ``width`` visual tokens a row, with one or two lines in each row of tokens."""
    slots = text_slots(text, width, lines_a_tile, width * GLYPHS_A_TILE)
    pitch = TILE // lines_a_tile
    cells = glyphs()[:, (TILE - pitch) // 2 : (TILE + pitch) // 2][slots.reshape(-1, lines_a_tile, GLYPHS_A_TILE) - 32]
    grey = cells.transpose(0, 1, 3, 2, 4).reshape(-1, TILE, TILE)
    return Page(np.repeat(grey[..., None], 3, -1), width, slots)


RENDER: dict[str, Any] = {"font_size": 11, "line_spacing": 2.55, "margin": 0}
"""Options of the codec ``render`` that give cells of 7 x 28 px: one line a row of visual tokens, four whole characters on each."""


@functools.cache
def render_codec(width: int) -> ctxbench.Codec:
    """The codec ``render`` with lines that leave a tile's last cell to the mark of a continued line."""
    return ctxbench.load_plugins().codec("render", **RENDER, columns=width * GLYPHS_A_TILE - 1)


def render_page(text: str, width: int) -> Page:
    """The codec's own page of a text that fits on one."""
    (image,) = render_codec(width).encode(text).pages
    page = of_image(image)
    slots = np.full((len(page.tiles), GLYPHS_A_TILE), -1)
    known = text_slots(text, width, 1, width * GLYPHS_A_TILE - 1)
    slots[: len(known)] = known
    return attrs.evolve(page, slots=slots)


CODE: dict[str, Any] = {"preset": "aligned", "cell": 7, "colors": 4, "columns": 12}
"""Options of the codec ``codebook`` that the adapter `codebook-bytes` learns to read: four bytes on a visual token.

``render`` has four characters on one.
"""

BYTES_A_SQUARE = 4


@functools.cache
def code_codec() -> ctxbench.Codec:
    """The codec ``codebook`` with these options."""
    return ctxbench.load_plugins().codec("codebook", **CODE)


@functools.cache
def printed_glyphs() -> npt.NDArray[np.uint8]:
    """The printable ASCII characters as the codec ``render`` draws them, (95, 28, 7): not where ``glyphs`` has them."""
    rows = ["".join(chr(32 + i) for i in range(start, min(start + 40, 95))) for start in range(0, 95, 40)]
    (image,) = render_codec(12).encode("\n".join(rows)).pages
    grey = np.asarray(image.convert("L"))
    return np.stack([grey[TILE * (i // 40) :][:TILE, 7 * (i % 40) :][:, :7] for i in range(95)])


def code_page(text: str) -> Page:
    """The codec's own page of a text that fits on one."""
    (image,) = code_codec().encode(text).pages
    return with_bytes(of_image(image), text)


def with_bytes(page: Page, text: str) -> Page:
    """A page of ``CODE``, knowing the bytes that its squares show and how the text would look printed at the same places.

    Printed, each square is the same four characters; squares of parity and header are white. The base can read that.
    """
    bits = _bits(page, CODE["cell"], CODE["colors"])
    slots = np.packbits(bits[:, : 8 * BYTES_A_SQUARE], axis=1).astype(np.int64)
    data = np.full(slots.size, ord(" "))
    raw = np.frombuffer(text.encode(), np.uint8)
    data[: len(raw)] = np.where((raw >= 32) & (raw < 127), raw, ord(" "))
    grey = printed_glyphs()[data - 32].reshape(len(slots), BYTES_A_SQUARE, TILE, -1).swapaxes(1, 2).reshape(-1, TILE, TILE)
    return attrs.evolve(page, slots=slots, printed=np.repeat(grey[..., None], 3, -1))


@functools.cache
def qr_codec() -> ctxbench.Codec:
    """The codec ``codebook_external`` as it is."""
    return ctxbench.load_plugins().codec("codebook_external")


def qr_page(text: str) -> Page:
    """The codec's own page of a text that fits on one."""
    (image,) = qr_codec().encode(text).pages
    return of_image(image)


WORD_BITS = 12
"""Bits of a code of the codebook's dictionary."""


def words_a_square(options: dict[str, Any]) -> int:
    """Codes of the dictionary in a square of the codec ``codebook`` with these options."""
    from ctxbench_codebook.aligned.layout import Modulation

    return Modulation(options["cell"], options["colors"]).codes(WORD_BITS)


def with_bits(page: Page, options: dict[str, Any]) -> Page:
    """A page of words, knowing the bits that its squares show, and those of the last code in the square before each."""
    count = words_a_square(options)
    own = _bits(page, options["cell"], options["colors"])[:, : count * WORD_BITS]
    return attrs.evolve(page, bits=np.hstack([own, np.roll(own[:, -WORD_BITS:], 1, axis=0)]), words=count)


def damaged(image: Image.Image, augmenter: ctxbench.Augmenter, seed: int, options: dict[str, Any]) -> Page:
    """A page of words after augmentation, knowing where its squares are now and of each tile the bits of the square at its middle.

    Where they are is seen in a picture whose colours say where a pixel was, turned and scaled by the same draws.
    """
    page = with_bits(of_image(image), options)
    width, height = image.size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    origin = Image.fromarray(np.stack([255 * x, 255 * y, 0 * x], -1).round().astype(np.uint8))
    still = attrs.evolve(augmenter, jpeg_quality=None, blur_sigma=0.0, noise_std=0.0)  # type: ignore[misc]
    seen = of_image(augmenter.apply(image, np.random.default_rng(seed)))
    moved = of_image(still.apply(origin, np.random.default_rng(seed)))
    squares = _square(moved.tiles.astype(np.int64), width // TILE, height // TILE)  # (tiles, 28, 28)
    shares = np.stack([(squares == i).sum((1, 2)) for i in range(len(page.tiles))])
    middle = squares[:, TILE // 2, TILE // 2]
    bits = np.where(middle[:, None] < 0, 0, page.bits[middle])  # type: ignore[index]
    return attrs.evolve(seen, bits=bits.astype(np.uint8), words=page.words, where=shares.argmax(1))


def _square(colours: npt.NDArray[np.int64], columns: int, rows: int) -> npt.NDArray[np.int64]:
    """The square of the undamaged page that each pixel was in, -1 outside of it."""
    x, y = (np.clip(colours[..., i] * n // 255, 0, n - 1) for i, n in ((0, columns), (1, rows)))
    return np.where(colours[..., 2] > 127, -1, y * columns + x)


def _bits(page: Page, cell: int, colors: int) -> Tiles:
    """The bits of all cells, (tokens, bits)."""
    from ctxbench_codebook.aligned.layout import Modulation, look
    from ctxbench_codebook.symbol_bits import unpack

    modulation = Modulation(cell, colors)
    strip = page.tiles.swapaxes(0, 1).reshape(TILE, -1, 3)  # all squares in one row
    return unpack(look(modulation, strip), modulation.bits).reshape(len(page.tiles), -1)
