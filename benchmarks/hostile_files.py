"""Small files that are dear to decode: what ``benchmarks.hostile_images`` and the tests feed to ``ctxbench decode``.

Each maker returns a whole file. Those of one tile over and over are below a megabyte; those of a whole large page that cannot be
corrected take up to 17 MB.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]

SIDE = 8192  # px; a square of this side has as many pixels as are decoded unless an option says otherwise
TEXT = "Hostile: Grüße, 世界! 0123456789\n"


# ---- files


def png(width: int, height: int, rows: Iterable[bytes], color: int = 2, depth: int = 8, more: bytes = b"") -> bytes:
    """A PNG of ``height`` rows of raw samples; ``more`` are whole chunks after the header. No picture is held in memory."""
    packer = zlib.compressobj(3)
    data = [packer.compress(b"\0" + row) for row in rows]
    data.append(packer.flush())
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", b"".join(data)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiled(tile: Picture, width: int = SIDE, height: int = SIDE) -> bytes:
    """A PNG, RGB, of one tile over and over."""
    return png(width, height, _rows(tile, width, height))


def whole(picture: Picture) -> bytes:
    """A PNG, RGB, of a picture."""
    return tiled(picture, picture.shape[1], picture.shape[0])


def _rows(tile: Picture, width: int, height: int) -> Iterator[bytes]:
    rows = [np.tile(row, (-(-width // tile.shape[1]), 1))[:width].tobytes() for row in tile]
    return (rows[y % len(rows)] for y in range(height))


def even(width: int, height: int, value: int = 255) -> bytes:
    """A PNG, grey, of one value."""
    return png(width, height, (bytes([value]) * width for _ in range(height)), color=0)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of another format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# ---- pictures


def noise(side: int) -> Picture:
    """Random pixels, (side, side, 3)."""
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


def dots(pitch: int, size: int) -> Picture:
    """One dark dot, (pitch, pitch, 3); many thousands of outlines where it is repeated."""
    tile = np.full((pitch, pitch, 3), 255, np.uint8)
    tile[1 : 1 + size, 1 : 1 + size] = 0
    return tile


def rings(side: int, step: int) -> bytes:
    """A PNG of square frames one in the other, each of which might be a page's."""
    y = np.arange(side)
    nearest = np.minimum(y, side - 1 - y)
    lines = {int(depth): (np.minimum(nearest, depth) // step % 2 * 255).astype(np.uint8).tobytes() for depth in np.unique(nearest)}
    return png(side, side, (lines[int(depth)] for depth in nearest), color=0)


def page(**options: object) -> Picture:
    """A whole page of the codebook."""
    from ctxbench_codebook.codec import Codebook

    return np.asarray(Codebook(**options).encode(TEXT).pages[0])


def broken_page(width: int, height: int, cell: int, colors: int, parity: int, good: int = 0) -> Picture:
    """A codebook page whose header is right and whose payload cannot be corrected, but for the first ``good`` blocks."""
    from ctxbench_codebook import correct, header
    from ctxbench_codebook.layout import GRID, Layout, draw
    from ctxbench_codebook.symbol_bits import to_symbols

    layout = Layout(width, height, cell, colors)
    blocks = correct.Blocks(layout.raw_bytes, parity)
    head = header.Header(cell, layout.bits, parity, 0, 0, 1, max(0, blocks.capacity - 4), 1, height // GRID)
    raw = np.tile(np.random.default_rng(1).integers(0, 256, blocks.count, np.uint8), blocks.size)
    raw.reshape(blocks.size, blocks.count)[:, :good] = 0
    return draw(layout, header.to_bits(head), to_symbols(raw, layout.bits, layout.data_cells))


def noise_page(width: int, height: int, cell: int, colors: int, parity: int, pages: int = 1) -> Picture:
    """A codebook page with an LDPC code, which it shares with others if there are any, whose header is right and whose payload is noise."""
    from ctxbench_codebook import header, ldpc_page
    from ctxbench_codebook.layout import GRID, Layout, draw

    layout = Layout(width, height, cell, colors)
    most = ldpc_page.capacity(layout, parity, pages)
    version = header.LDPC if pages == 1 else header.SHARED
    head = header.Header(cell, layout.bits, parity, 0, 0, pages, most, 1, height // GRID, version)
    return draw(layout, header.to_bits(head), np.random.default_rng(1).integers(0, colors, layout.data_cells, np.uint8))


def bomb_page(size: int) -> Picture:
    """A codebook page, whole and small, whose text is one character outside the basic plane and ``size`` times ``a``."""
    import brotli

    from ctxbench_codebook import header
    from ctxbench_codebook.codec import Codebook

    payload = brotli.compress("👋".encode() + b"a" * size, quality=5)
    codec = Codebook()
    ((width, height),) = codec._pages._sizes(len(payload))
    head = header.Header(4, 2, 32, 3, 0, 1, len(payload), zlib.crc32(payload), height // 28)
    return np.asarray(codec._pages._page(head, payload, width, height))


def aligned_page(side: int, cell: int, colors: int, rows: int | None = None) -> Picture:
    """An aligned page with a right header and a payload that cannot be corrected."""
    from ctxbench_codebook.aligned.header import Header
    from ctxbench_codebook.aligned.layout import SQUARE, Modulation, draw, enough, shares
    from ctxbench_codebook.symbol_bits import pack

    modulation = Modulation(cell, colors)
    columns, rows = side // SQUARE, rows or side // SQUARE
    squares = columns * rows
    payload = next(n for n in range(squares - 1, 0, -1) if enough(shares(modulation, squares, n), 100))
    head = Header(modulation, "byte", 0, 1, payload * modulation.codes(8), 1)
    cells = np.tile(np.random.default_rng(1).integers(0, colors, 512, np.uint8), -(-squares * modulation.cells // 512))
    cells = cells[: squares * modulation.cells].copy()
    cells[-modulation.header_cells :] = pack(np.unpackbits(head.coded(b"")), modulation.bits)
    return draw(modulation, columns, cells)


def symbols_page(kind: str, text: str = TEXT, **options: object) -> Picture:
    """A page with a whole QR, DataMatrix or Aztec symbol."""
    from ctxbench_codebook_external.codec import CodebookExternal

    return np.asarray(CodebookExternal(format=kind, **options).encode(text).pages[0])


def finder() -> Picture:
    """A QR code's finder pattern, 3 px a module, with its quiet zone."""
    mark = np.zeros((9, 9), np.uint8)
    mark[1:8, 1:8] = 1
    mark[2:7, 2:7] = 0
    mark[3:6, 3:6] = 1
    return np.where(mark, 0, 255).astype(np.uint8).repeat(3, 0).repeat(3, 1)[..., None].repeat(3, 2)


# ---- formats


def jpeg_scans(scans: int, side: int = SIDE) -> bytes:
    """A progressive JPEG, grey, whose scans say nothing but take as long as any other."""
    blocks = (side // 8) ** 2
    table = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([16] * 64)
    frame = b"\xff\xc2" + struct.pack(">HBHHBBBB", 11, 8, side, side, 1, 1, 0x11, 0)
    # One code for AC coefficients, of one bit: the end of a band of 2^14 to 2^15 - 1 blocks, 14 bits follow.
    codes = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15) + b"\xe0"
    bits = "".join("0" + format(min(blocks - done, 32767) - 16384, "014b") for done in range(0, blocks, 32767) if blocks - done >= 16384)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 1, 63, 0) + data
    return b"\xff\xd8" + table + frame + codes + scan * scans + b"\xff\xd9"


def gif_frames(frames: int, side: int = SIDE) -> bytes:
    """An animation whose every frame is as large as the first."""
    first = Image.new("L", (side, side), 255)
    return saved(first, "GIF", save_all=True, append_images=[Image.new("L", (side, side), 254 - i) for i in range(frames - 1)])


def compressed_text_png() -> bytes:
    """A PNG of 1 x 1 px whose comment unpacks to 64 MB."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 64_000_000, 9))
    return png(1, 1, [b"\0"], color=0, more=text)


FILES: dict[str, Callable[[], bytes]] = {
    # sides and pixels
    "line-1000000x1.png": lambda: even(1_000_000, 1),
    "line-1000000x60.png": lambda: even(1_000_000, 60, 0),
    "line-100000000x1.png": lambda: even(100_000_000, 1),
    "pixels-10000x10000.png": lambda: even(10_000, 10_000, 0),
    "claims-30000x30000.png": lambda: png(30_000, 30_000, [b"\0" * 90_000]),
    "strip-16384x4096.png": lambda: tiled(page(page=252), 16384, 4096),
    "white.png": lambda: even(SIDE, SIDE),
    "black.png": lambda: even(SIDE, SIDE, 0),
    # many things that might be a page
    "noise.png": lambda: tiled(noise(61)),
    "dots.png": lambda: tiled(dots(6, 3)),
    "dots-16mp.png": lambda: tiled(dots(5, 3), 4096, 4096),
    "squares.png": lambda: tiled(dots(50, 44)),
    "rings.png": lambda: rings(SIDE, 6),
    "pages.png": lambda: tiled(page(page=112)),
    "pages-16mp.png": lambda: tiled(page(page=252), 4088, 4088),
    "broken-pages.png": lambda: tiled(broken_page(980, 980, 2, 16, 48, good=8)),
    "broken-pages-16mp.png": lambda: tiled(broken_page(980, 980, 1, 64, 200, good=8), 4088, 4088),
    # one page that is large and dear
    "broken-1px-64.png": lambda: whole(broken_page(3584, 3584, 1, 64, 4)),
    "broken-1px-64-good.png": lambda: whole(broken_page(3584, 3584, 1, 64, 200, good=8)),
    "broken-1px-2.png": lambda: whole(broken_page(3584, 3584, 1, 2, 200, good=8)),
    "broken-2px-16.png": lambda: whole(broken_page(3584, 3584, 2, 16, 48, good=8)),
    "broken-4px-4.png": lambda: whole(broken_page(3584, 3584, 4, 4, 200, good=8)),
    "broken-soft-2px-16.png": lambda: whole(noise_page(2044, 2044, 2, 16, 18)),
    "broken-soft-4px-32.png": lambda: whole(noise_page(3584, 3584, 4, 32, 200)),
    "broken-soft-too-large.png": lambda: whole(noise_page(3584, 3584, 2, 64, 100)),
    "broken-soft-shared.png": lambda: whole(noise_page(980, 980, 4, 64, 40, pages=8)),
    "broken-soft-pages.png": lambda: tiled(noise_page(448, 448, 4, 16, 74)),
    "broken-doubled.png": lambda: whole(broken_page(3584, 3584, 1, 64, 200, good=8).repeat(2, 0).repeat(2, 1)),
    "text-bomb.png": lambda: whole(bomb_page(250_000_000)),
    # aligned pages
    "aligned-2px.png": lambda: whole(aligned_page(3584, 2, 16)),
    "aligned-14px.png": lambda: whole(aligned_page(3584, 14, 2)),
    "aligned-large.png": lambda: tiled(aligned_page(8176, 2, 16), 8176, 8176),
    # symbols
    "qr.png": lambda: tiled(symbols_page("qr")),
    "qr-small.png": lambda: tiled(symbols_page("qr", "", module=1, border=2)),
    "qr-40.png": lambda: tiled(symbols_page("qr", TEXT * 70, module=2)),
    "datamatrix.png": lambda: tiled(symbols_page("datamatrix")),
    "aztec.png": lambda: tiled(symbols_page("aztec")),
    "finders.png": lambda: tiled(finder()),
    "finders-16mp.png": lambda: tiled(finder(), 4096, 4096),
    "finders-4mp.png": lambda: tiled(finder(), 2048, 2048),
    # formats
    "bits.png": lambda: png(SIDE, SIDE, (b"\x55" * (SIDE // 8) for _ in range(SIDE)), color=0, depth=1),
    "rgba.png": lambda: png(SIDE, SIDE, (b"\0\0\0\x80" * SIDE for _ in range(SIDE)), color=6),
    "la.png": lambda: png(SIDE, SIDE, (b"\0\x80" * SIDE for _ in range(SIDE)), color=4),
    "grey16.png": lambda: png(SIDE, SIDE, (b"\x80\0" * SIDE for _ in range(SIDE)), color=0, depth=16),
    "rgb16.png": lambda: png(SIDE, SIDE, (b"\x80\0" * 3 * SIDE for _ in range(SIDE)), depth=16),
    "comment.png": compressed_text_png,
    "progressive.jpg": lambda: saved(Image.new("RGB", (SIDE, SIDE), "red"), "JPEG", progressive=True, subsampling=0),
    "cmyk.jpg": lambda: saved(Image.new("CMYK", (SIDE, SIDE)), "JPEG", progressive=True),
    "scans.jpg": lambda: jpeg_scans(2000),
    "scans-64.jpg": lambda: jpeg_scans(64),
    "frames.gif": lambda: gif_frames(8),
    "large.webp": lambda: saved(Image.new("RGB", (SIDE, SIDE), "red"), "WEBP", lossless=True),
    "large.tif": lambda: saved(Image.new("RGB", (SIDE, SIDE), "red"), "TIFF", compression="tiff_deflate"),
    "strip.tif": lambda: saved(Image.new("RGBA", (SIDE, SIDE), "red"), "TIFF", compression="tiff_lzw", tiffinfo={278: SIDE}),
    "large.avif": lambda: saved(Image.new("RGB", (SIDE, SIDE), "red"), "AVIF", speed=10),
    "large.jp2": lambda: saved(Image.new("RGB", (SIDE, SIDE), "red"), "JPEG2000"),
}
"""Name, whose suffix is the format's, and maker."""
