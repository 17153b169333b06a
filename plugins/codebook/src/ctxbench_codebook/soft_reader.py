"""Reading the grid of a page whose payload is LDPC coded: nothing is decided before the code has spoken.

The equaliser gives colours, their likelihoods give ratios of bits, the code makes those better, and what it says of the bits makes the
interference of the neighbours better known, round after round (turbo equalisation; Tuechler, Koetter and Singer, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctxbench import DecodeError
from ctxbench_codebook import equalise, ldpc_page, soft
from ctxbench_codebook.classify import classify, palette
from ctxbench_codebook.effort import Effort
from ctxbench_codebook.grid import MARGIN, Grid
from ctxbench_codebook.header import CRC_BYTES, Header, unsealed
from ctxbench_codebook.layout import Layout, Symbols
from ctxbench_codebook.ldpc import Code, Decoder, Ratios, satisfies
from ctxbench_codebook.picture import Picture
from ctxbench_codebook.rectify import View
from ctxbench_codebook.soft import Model
from ctxbench_codebook.symbol_bits import unpack

PASSES = 16
_DEMAPPINGS = 3  # in each pass; steps of the decoder in the first of all, and in every other
_FIRST_STEPS, _STEPS = 8, 3
_PATIENCE = 3  # passes that may bring nothing
_HOPELESS = 0.48  # of many checks not satisfied; chance leaves half
_MANY_CHECKS = 2000
_MANY = 100  # pilots, from which the noise can be told


def payload(picture: Picture, view: View, head: Header, effort: Effort) -> bytes:
    """The page's bytes, whose CRC is right.

    Raises:
        DecodeError: the header does not fit the page, or there are too many errors.
    """
    layout = Layout(view.width, view.height, head.cell, 1 << head.bits)
    code = ldpc_page.code_of(layout, head.parity)
    if layout.rows < 1 or 8 * (head.length + CRC_BYTES) > code.message:
        raise DecodeError("the header names more bytes than the page can hold")
    return decoded([Grid.of(picture, view, layout)], code, head.length, effort)


def decoded(grids: Sequence[Grid | None], code: Code, length: int, effort: Effort) -> bytes:
    """The bytes of a code word that stands on one page or several of one layout, whose CRC is right.

    Args:
        grids: the pages in order; ``None`` for a page that is lost.
        code: of all their bits.
        length: bytes that are there beside the CRC.
        effort: what it may cost.

    Raises:
        DecodeError: there are too many errors.
    """
    word = _first(grids, code)
    if word is None:
        word = _Turbo(grids, code, 8 * (length + CRC_BYTES)).word(effort)
    part = unsealed(ldpc_page.to_data(word, code), length)
    if part is None:
        raise DecodeError("the checksum differs")
    return part


def _first(grids: Sequence[Grid | None], code: Code) -> Symbols | None:
    """The code word of the nearest symbols, if they make one."""
    bits = [unpack(grid.first[~grid.known], grid.layout.bits) for grid in grids if grid is not None]
    if len(bits) < len(grids):
        return None
    word = np.concatenate(bits)[ldpc_page.order(code.size)]
    return word if satisfies(word, code) else None


class _Turbo:
    """The rounds between equalisers, demapper and decoder."""

    def __init__(self, grids: Sequence[Grid | None], code: Code, used: int) -> None:
        self._code, self._used = code, used
        self._order = ldpc_page.order(code.size)
        self._decoder = Decoder(code)
        each = code.size // len(grids)
        self._pages = [_Page(grid, slice(i * each, (i + 1) * each)) for i, grid in enumerate(grids) if grid is not None]

    def word(self, effort: Effort) -> Symbols:
        """The code word.

        Raises:
            DecodeError: it was not found.
        """
        fewest, since = self._code.checks // 2, 0
        for number in range(PASSES):
            effort.cells -= sum(page.cost for page in self._pages)
            for page in self._pages:
                page.look(number)
            left = self._decoded(_FIRST_STEPS if number == 0 else _STEPS)
            if left == 0:
                return (self._decoder.ratios < 0).astype(np.uint8)
            promising = left < 0.9 * fewest
            since = 0 if left < fewest else since + 1
            fewest = min(fewest, left)
            fixed = all(page.narrow for page in self._pages)
            if self._hopeless(left) or since >= _PATIENCE or fixed or (effort.cells <= 0 and not promising):
                break
        raise DecodeError(f"too many errors: {fewest:,} of {self._code.checks:,} checks of the code are not satisfied")

    def _hopeless(self, left: int) -> bool:
        """No better than chance: there is no code word in these cells."""
        return self._code.checks >= _MANY_CHECKS and left > _HOPELESS * self._code.checks

    def _decoded(self, steps: int) -> int:
        """Goes to and fro between demapper and decoder; how many checks are not satisfied, 0 for a code word."""
        left = self._code.checks
        placed = np.zeros(self._code.size, np.float32)  # of a page that is lost nothing is known
        for _ in range(_DEMAPPINGS):
            for page in self._pages:
                placed[page.place] = page.ratios()
            self._decoder.see(ldpc_page.with_padding(placed[self._order], self._used, self._code))
            for _ in range(steps):
                left = self._decoder.step()
                if 50 * left <= self._code.checks and self._decoder.solved:
                    return 0
            if self._hopeless(left):
                break
            steps = _STEPS
            told = np.empty_like(placed)
            told[self._order] = self._decoder.ratios
            told = np.clip(told - placed, -20, 20)
            for page in self._pages:
                page.told(told[page.place])
        return max(1, left)


class _Page:
    """One page in the rounds.

    Attributes:
        place: where its bits are among those of all pages.
        cost: of a round, in decisions on cells.
    """

    def __init__(self, grid: Grid, place: slice) -> None:
        self.place = place
        cells = len(grid.known)
        self.cost = max(6 * cells, min(30 * cells, 400_000))  # a small page takes hardly less time
        self._grid, self._colors = grid, grid.layout.colors
        self._data = ~grid.known
        self._windows, self._seen = grid.equalised(grid.by_pilots())
        self._model: Model | None = None
        self._known: Ratios | None = None  # what the code says of the cells' bits, (data cells, bits)

    @property
    def narrow(self) -> bool:
        """Cells are too few to learn how they interfere."""
        return self._windows.radius < MARGIN

    def look(self, number: int) -> None:
        """Looks at the cells in round ``number``: without what the neighbours add, as far as the code knows it by now."""
        if number and not self.narrow:
            assert self._model is not None
            colours = palette(self._colors)[self._grid.truth]
            colours[self._data] = soft.expected_colors(self._seen[self._data], self._known, self._model, self._colors)
            self._seen = equalise.cancel_interference(self._windows, colours)
        self._model = self._learnt(number)

    def _learnt(self, number: int) -> Model:
        """Pilots tell the noise without prejudice; later, what a cell's own errors did to its neighbours has come back to it, but not to
        pilots, so that the noise is told by the cells themselves."""
        grid, seen = self._grid, self._seen
        if np.count_nonzero(grid.known) >= _MANY:
            model = soft.learnt(seen[grid.known], grid.truth[grid.known], self._colors)
            rounds = 0 if number < 2 else 2
        else:
            model = soft.learnt(seen, classify(seen, grid.first, self._colors), self._colors)
            rounds = 2
        for _ in range(rounds):
            model = soft.relearnt(seen[self._data], self._known, model, self._colors)
        return model

    def ratios(self) -> Ratios:
        """What the colours say of each bit, (bits,)."""
        assert self._model is not None
        return soft.bit_ratios(self._seen[self._data], self._known, self._model, self._colors).reshape(-1)

    def told(self, ratios: Ratios) -> None:
        """Takes what the code says of each bit beyond that, (bits,)."""
        self._known = ratios.reshape(-1, self._grid.layout.bits)
