"""Reading the grid of a page whose payload is Reed-Solomon coded: equalise, classify, correct, with more effort as long as the checksum is
wrong."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from ctxbench import DecodeError
from ctxbench_codebook import correct, equalise
from ctxbench_codebook.classify import classify, palette
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.effort import Effort
from ctxbench_codebook.grid import MARGIN, Grid, keep
from ctxbench_codebook.header import CRC_BYTES, Header, unsealed
from ctxbench_codebook.layout import Layout, Symbols, pilots
from ctxbench_codebook.picture import Picture
from ctxbench_codebook.rectify import View
from ctxbench_codebook.symbol_bits import pack, to_bytes

Certain = tuple[Symbols, npt.NDArray[np.bool_]]
"""Symbols of all grid cells, and which of them are certain."""


def payload(picture: Picture, view: View, head: Header, effort: Effort) -> bytes:
    """The page's bytes, whose CRC is right.

    Raises:
        DecodeError: the header does not fit the page, or there are too many errors.
    """
    layout = Layout(view.width, view.height, head.cell, 1 << head.bits)
    blocks = Blocks(layout.raw_bytes, head.parity)
    if layout.rows < 1 or head.length + CRC_BYTES > blocks.capacity:
        raise DecodeError("the header names more bytes than the page can hold")
    reason = "nothing was tried"
    payload_cells = ~pilots(layout)[0].ravel()
    tries = attempts(picture, view, layout)
    certain: Certain | None = None
    mended, promising = 0, False
    while effort.cells > 0 or promising:
        effort.cells -= _cost(layout, blocks)
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
            if good.any() and (promising or effort.cells > 0):
                certain = certain_symbols(words, good, layout)
        else:
            part = unsealed(data, head.length)
            if part is not None:
                return part
            reason = "the checksum differs"
    raise DecodeError(reason)


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


def attempts(picture: Picture, view: View, layout: Layout) -> Generator[Symbols, Certain | None]:
    """Decisions on all grid cells, (rows * columns), each better and dearer than the one before.

    What error correction made certain of an attempt may be sent back: the last attempts start from it, as turbo equalisers do (Douillard
    et al., *Iterative correction of intersymbol interference*, 1995), and go on as long as more becomes certain.
    """
    grid = Grid.of(picture, view, layout)
    known, truth, table = grid.known, grid.truth, palette(layout.colors)
    yield grid.first
    decided = grid.by_pilots()
    if decided is not None:
        yield decided
    windows, seen = grid.equalised(decided)
    symbols = keep(classify(seen, grid.first if decided is None else decided, layout.colors), known, truth)
    yield symbols
    certain: Certain | None = None
    for _ in range(3 if windows.radius == MARGIN else 0):
        seen = equalise.cancel_interference(windows, table[symbols])
        symbols = keep(classify(seen, symbols, layout.colors), known, truth)
        certain = yield symbols

    settled = 0
    while certain is not None and windows.radius == MARGIN and np.count_nonzero(certain[1]) > settled:
        settled = int(np.count_nonzero(certain[1]))
        best = keep(symbols, certain[1], certain[0])
        seen = equalise.cancel_interference(windows, table[best])
        symbols = keep(keep(classify(seen, best, layout.colors), certain[1], certain[0]), known, truth)
        certain = yield symbols
