"""Reading one picture: locate, rectify, equalise, classify, correct, with more effort as long as the checksum is wrong."""

from __future__ import annotations

import zlib
from collections.abc import Generator

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench import DecodeError
from ctxbench_codebook import correct, equalise, header, locate, rectify
from ctxbench_codebook.classify import channels_of, classify, nearest, palette
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.document import Part
from ctxbench_codebook.equalise import Windows
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import BAND_CELL, EDGE, GRID, Band, Layout, Symbols, pilots
from ctxbench_codebook.picture import Picture, crops, levels
from ctxbench_codebook.rectify import Samples, View
from ctxbench_codebook.symbol_bits import pack, unpack

Certain = tuple[Symbols, npt.NDArray[np.bool_]]
"""Symbols of all grid cells, and which of them are certain."""

CRC_BYTES = 4
MOST_HEADERS = 800
MOST_DECISIONS = 6_000_000
"""Views that are searched for a header in one picture, and decisions on cells after which a further attempt is made only if the last one
corrected more blocks than the one before, and at least half. A page of 980 px with cells of 2 px has 230,000 cells; what is allowed takes
a few seconds."""

CLOSE = 2.0  # px of a cell, below which it is the first thing to say that the page is too far away
BRIGHT = 0.4  # of full contrast between the header's white and black, below which light is missing
_MARGIN = 2  # cells sampled around the grid, for the equaliser
_STRIP = 1 << 20  # samples taken at once


def read_page(page: Image.Image) -> Part:
    """The header and bytes of the page in a picture.

    The picture is read as it is (reduced, if it is larger than ``picture.MOST``), then reduced by halves until a header is found, and
    at last, if it had to be reduced at first, around each frame that was found in it.

    Raises:
        DecodeError: no frame, no header, or more errors than can be corrected.
    """
    import cv2

    cv2.setNumThreads(1)
    reader = _Reader()
    first, frames = 1, list[locate.Corners]()
    for number, (factor, picture) in enumerate(levels(page)):
        part = reader.read(picture)
        if part is not None:
            return part
        if number == 0:
            first, frames = factor, [corners * factor for corners in reader.frames]
        if reader.named:
            break
    for around in crops(page, frames) if first > 1 and not reader.spent else ():
        part = reader.read(around)
        if part is not None:
            return part
    raise DecodeError(reader.reason)


@attrs.define
class _Reader:
    """Reads one picture after the other, and counts what it costs: a picture may hold many frames and headers that lead nowhere.

    Attributes:
        headers: how many more views may be searched for a header.
        cells: how many more decisions on cells may be made.
        reason: why nothing was read.
        named: a header was read.
        frames: corners of the frames in the picture that was read last.
    """

    headers: int = MOST_HEADERS
    cells: int = MOST_DECISIONS
    reason: str = "no frame of a codebook page is in the picture; show the whole page, with some white around it"
    named: bool = False
    frames: list[locate.Corners] = attrs.field(factory=list)

    @property
    def spent(self) -> bool:
        """Nothing more may be tried."""
        return self.headers <= 0 or self.cells <= 0

    def read(self, picture: Picture) -> Part | None:
        """The page, if it can be read."""
        self.frames = []
        for corners in locate.candidates(picture.grey) if min(picture.grey.shape) >= 3 else ():
            if self.spent:
                break
            self.frames.append(corners)
            if not self.named:
                self.reason = "a frame was found, but no header could be read in it; take it closer, sharper or straight from above"
            part = self._in_frame(picture, corners)
            if part is not None:
                return part
        return None

    def _in_frame(self, picture: Picture, corners: locate.Corners) -> Part | None:
        for view in rectify.views(picture.grey, corners):
            if self.headers <= 0:
                return None
            self.headers -= 1
            found = read_header(picture.grey, view)
            if found is None:
                continue
            self.named = True
            view = rectify.with_height(view, found.squares * GRID)
            try:
                return Part(found, self._payload(picture, view, found))
            except DecodeError as error:
                self.reason = f"page {found.page + 1}: {error}; {_advice(picture, view, found)}"
                return None
        return None

    def _payload(self, picture: Picture, view: View, found: Header) -> bytes:
        """The page's bytes, whose CRC is right.

        Raises:
            DecodeError: the header does not fit the page, or there are too many errors.
        """
        layout = Layout(view.width, view.height, found.cell, 1 << found.bits)
        blocks = Blocks(layout.raw_bytes, found.parity)
        if layout.rows < 1 or found.length + CRC_BYTES > blocks.capacity:
            raise DecodeError("the header names more bytes than the page can hold")
        reason = "nothing was tried"
        payload_cells = ~pilots(layout)[0].ravel()
        tries = attempts(picture, view, layout)
        certain: Certain | None = None
        mended, promising = 0, False
        while self.cells > 0 or promising:
            self.cells -= _cost(layout, blocks)
            try:
                symbols = tries.send(certain)
            except StopIteration:
                break
            words, good = correct.mend(to_bytes(symbols[payload_cells], layout.bits), blocks)
            before, mended = mended, int(np.count_nonzero(good))
            promising = mended > before and 2 * mended >= len(good)
            certain = None
            try:
                data = correct.data_of(words, good, blocks)
            except DecodeError as error:
                reason = str(error)
                if good.any() and (promising or self.cells > 0):
                    certain = certain_symbols(words, good, layout)
            else:
                payload, checksum = data[: found.length], data[found.length : found.length + CRC_BYTES]
                if zlib.crc32(payload).to_bytes(CRC_BYTES, "big") == checksum:
                    return payload
                reason = "the checksum differs"
        raise DecodeError(reason)


def read_header(grey: Samples, view: View) -> Header | None:
    """The header of a view, if it is one."""
    band = Band(view.width)
    rows, columns = band.rows - 1, band.columns
    xs = EDGE + (np.arange(-1, columns + 1) + 0.5) * BAND_CELL
    ys = EDGE + BAND_CELL + (np.arange(-1, rows + 1) + 0.5) * BAND_CELL
    cells = rectify.sample(grey, view.matrix, xs, ys)
    mask, values = band.known()
    known, truth = mask.ravel(), values.ravel().astype(np.float32)[:, None]
    for radius in (1, 0):
        inner = cells[1 - radius : cells.shape[0] - 1 + radius, 1 - radius : cells.shape[1] - 1 + radius]
        windows = Windows(inner, radius)
        weights = equalise.least_squares(windows, np.flatnonzero(known), truth[known], 1e-3)
        bits = (windows.times(weights)[:, 0] > 0.5).astype(np.uint8)
        found = header.from_bits(bits[~known])
        if found is not None:
            return found
    return None


def _advice(picture: Picture, view: View, found: Header) -> str:
    """What would make a page readable whose header was read."""
    width = view.scale * found.cell
    if width < CLOSE:
        return f"its cells are {width:.1f} px wide in the picture: take it closer"
    white, black = _white_and_black(picture, view)
    contrast = float((white - black).mean())
    if contrast < BRIGHT:
        return f"black and white differ by {contrast:.0%} of what they could: take it in more light, without glare"
    return "take it closer, sharper or in more light, or encode with a preset for heavier damage"


def _cost(layout: Layout, blocks: Blocks) -> int:
    """An attempt's cost in decisions on cells. Training an equaliser takes as long for a small page as for one of some ten thousand cells,
    and many parity bytes, if no block can be corrected, as long as a million."""
    cells = layout.rows * layout.columns
    return max(cells, min(8 * cells, 1_000_000)) + min(blocks.count * blocks.check**2 // 64, 1_000_000)


def certain_symbols(words: Symbols, good: npt.NDArray[np.bool_], layout: Layout) -> Certain:
    """(symbols of all grid cells, which of them are known from blocks that were corrected)."""
    bits, sure = correct.bits_of(words, good)
    mask, _ = pilots(layout)
    whole = len(bits) // layout.bits
    symbols, known = np.zeros(mask.size, np.uint8), np.zeros(mask.size, np.bool_)
    places = np.flatnonzero(~mask.ravel())[:whole]
    symbols[places] = pack(bits[: whole * layout.bits], layout.bits)
    known[places] = sure[: whole * layout.bits].reshape(whole, layout.bits).all(1)
    return symbols, known


def to_bytes(symbols: Symbols, bits: int) -> npt.NDArray[np.uint8]:
    """Symbols as the bytes whose bits they hold, most significant first."""
    return np.packbits(unpack(symbols, bits))[: len(symbols) * bits // 8]


def to_symbols(data: npt.NDArray[np.uint8], bits: int, cells: int) -> Symbols:
    """The bits of bytes as symbols, filled up to ``cells`` with alternating bits, since large even areas are harder to read."""
    stream = np.unpackbits(data)
    filler = (np.arange(cells * bits - len(stream)) * 0x9E3779B1 >> 16 & 1).astype(np.uint8)
    return pack(np.concatenate([stream, filler]), bits)


def attempts(picture: Picture, view: View, layout: Layout) -> Generator[Symbols, Certain | None]:
    """Decisions on all grid cells, (rows * columns), each better and dearer than the one before.

    What error correction made certain of an attempt may be sent back: the last attempts start from it, as turbo equalisers do (Douillard
    et al., *Iterative correction of intersymbol interference*, 1995), and go on as long as more becomes certain.
    """
    mask, values = pilots(layout)
    known, truth = mask.ravel(), values.ravel()
    table = palette(layout.colors)
    cells = cells_of(picture, view, layout)
    inner = _normalised(picture, view, cells[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
    symbols = _keep(nearest(inner.reshape(len(truth), -1), layout.colors), known, truth)
    del inner
    yield symbols

    places = np.flatnonzero(known)
    if len(places) >= 5 * (cells.shape[2] + 1):
        windows = windows_of(cells, equalise.radius_for(len(places), cells.shape[2]))
        weights = equalise.least_squares(windows, places, table[truth[places]], 1e-4)
        symbols = _keep(classify(windows.times(weights), truth, layout.colors, known), known, truth)
        yield symbols

    radius = equalise.radius_for(len(truth), cells.shape[2])
    windows = windows_of(cells, radius)
    weights = equalise.least_squares(windows, np.arange(len(truth)), table[symbols], 1e-5)
    symbols = _keep(classify(windows.times(weights), symbols, layout.colors), known, truth)
    yield symbols
    certain: Certain | None = None
    for _ in range(3 if radius == _MARGIN else 0):
        seen = equalise.cancel_interference(windows, table[symbols])
        symbols = _keep(classify(seen, symbols, layout.colors), known, truth)
        certain = yield symbols

    settled = 0
    while certain is not None and radius == _MARGIN and np.count_nonzero(certain[1]) > settled:
        settled = int(np.count_nonzero(certain[1]))
        best = _keep(symbols, certain[1], certain[0])
        seen = equalise.cancel_interference(windows, table[best])
        symbols = _keep(_keep(classify(seen, best, layout.colors), certain[1], certain[0]), known, truth)
        certain = yield symbols


def windows_of(cells: Samples, radius: int) -> Windows:
    """The windows of the grid's cells; ``cells`` have the margin that ``cells_of`` leaves."""
    cut = _MARGIN - radius
    return Windows(cells[cut : cells.shape[0] - cut, cut : cells.shape[1] - cut], radius)


def _normalised(picture: Picture, view: View, seen: Samples) -> Samples:
    """Colours scaled so that the header's known black and white cells are 0 and 1, channel by channel."""
    white, black = _white_and_black(picture, view)
    if seen.shape[-1] == 1:
        white, black = white.mean(keepdims=True), black.mean(keepdims=True)
    made: Samples = np.subtract(seen, black, dtype=np.float32)
    made /= np.maximum(white - black, 0.05)
    return made


def _white_and_black(picture: Picture, view: View) -> tuple[Samples, Samples]:
    """The mean colours, (3) each, of the header's cells that are known to be white and black."""
    band = Band(view.width)
    xs = EDGE + (np.arange(band.columns) + 0.5) * BAND_CELL
    ys = EDGE + BAND_CELL + (np.arange(band.rows - 1) + 0.5) * BAND_CELL
    cells = rectify.sample(picture.colors, view.matrix, xs, ys)
    mask, values = band.known()
    return cells[mask & (values == 1)].mean(0), cells[mask & (values == 0)].mean(0)


def _keep(symbols: Symbols, known: npt.NDArray[np.bool_], truth: Symbols) -> Symbols:
    symbols[known] = truth[known]
    return symbols


def cells_of(picture: Picture, view: View, layout: Layout) -> Samples:
    """Mean colour of each cell with a margin of cells around the grid, (rows + 4, columns + 4, channels)."""
    source = picture.colors if channels_of(layout.colors) == 3 else picture.grey
    size = view.scale * layout.cell
    k = 1 if size < 1.5 else 2 if size < 4.2 else 3 if size < 7 else 4
    offsets = (np.arange(k) + 0.5) / k
    rows, columns = layout.rows + 2 * _MARGIN, layout.columns + 2 * _MARGIN
    xs = EDGE + (np.arange(-_MARGIN, layout.columns + _MARGIN)[:, None] + offsets).ravel() * layout.cell
    made = np.empty((rows, columns, channels_of(layout.colors)), np.float32)
    step = max(1, _STRIP // (columns * k * k))
    for first in range(0, rows, step):
        count = min(step, rows - first)
        ys = layout.top + (np.arange(first - _MARGIN, first - _MARGIN + count)[:, None] + offsets).ravel() * layout.cell
        found = rectify.sample(source, view.matrix, xs, ys)
        made[first : first + count] = sum(found[i::k, j::k] for i in range(k) for j in range(k)) / np.float32(k * k)
    return made
