"""How much information the cells of a damaged codebook page still carry, and a reader without equaliser to compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench import DecodeError
from ctxbench_codebook import correct, document, equalise, grid, hard_reader, header, locate, page_reader, rectify, symbol_bits
from ctxbench_codebook.classify import palette
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.document import Part
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import GRID, Layout, pilots
from ctxbench_codebook.picture import Picture

Samples = npt.NDArray[np.float32]
METHOD = """Shannon estimate: mutual information I(S; Y) between the symbols sent and the colours estimated for their cells, bits a cell,
times all cells of the grid, over the page's pixels. Each symbol's colours are taken as Gaussian with their own mean and covariance
(estimated from the page, knowing what was sent), so I = mean of log2(p(y | s) / mean over s' of p(y | s')). *After the equaliser*: the
best linear equaliser over 5 x 5 cells. *Neighbours known*: what the other cells add is subtracted first, as if interference
cancellation made no mistake. Both are for this size of cell, these colours and this receiver; another signal could carry more. Where
the colours are not Gaussian, the figure is what a decoder that takes them for Gaussian can achieve (a mismatched decoder's rate)."""


def locate_page(page: Image.Image) -> tuple[Picture, rectify.View, Header] | None:
    """(colours, view, header) of a picture's page, or ``None``."""
    picture = Picture.of(page)
    for corners in locate.candidates(picture.grey):
        for view in rectify.views(picture.grey, corners):
            found = page_reader.read_header(picture.grey, view)
            if found is not None:
                return picture, rectify.with_height(view, found.squares * GRID), found
    return None


def nearest_only(page: Image.Image) -> str:
    """The text of a page by the first attempt alone: each cell the nearest colour.

    Raises:
        DecodeError: it cannot be read that way.
    """
    place = locate_page(page)
    if place is None:
        raise DecodeError("no page")
    picture, view, head = place
    layout = Layout(view.width, view.height, head.cell, 1 << head.bits)
    symbols = next(hard_reader.attempts(picture, view, layout))
    raw = symbol_bits.to_bytes(symbols[~pilots(layout)[0].ravel()], layout.bits)
    data = correct.decode(raw, Blocks(layout.raw_bytes, head.parity))
    payload = header.unsealed(data, head.length)
    if payload is None:
        raise DecodeError("the checksum differs")
    return document.join([Part(head, payload)], [])


def information(clean: Image.Image, damaged: Image.Image) -> tuple[float, float, float] | None:
    """(bytes in the cells, bytes left after the equaliser, bytes left with neighbours known), a visual token; ``None`` if not found."""
    sent, seen = locate_page(clean), locate_page(damaged)
    if sent is None or seen is None:
        return None
    head, view = sent[2], seen[1]
    layout = Layout(view.width, view.height, head.cell, 1 << head.bits)
    symbols = next(hard_reader.attempts(sent[0], sent[1], layout))
    table = palette(layout.colors)
    windows = grid.windows_of(grid.cells_of(seen[0], view, layout), 2)
    weights = equalise.least_squares(windows, np.arange(len(symbols)), table[symbols], 1e-5)
    linear = mutual_information(windows.times(weights), symbols, layout.colors)
    alone = equalise.cancel_interference(windows, table[symbols])
    genie = mutual_information(alone, symbols, layout.colors)
    scale = layout.rows * layout.columns / 8 / (layout.width * layout.height / GRID**2)
    return layout.bits * scale, linear * scale, genie * scale


def mutual_information(seen: Samples, symbols: npt.NDArray[np.uint8], colors: int) -> float:
    """Bits a cell, for Gaussian classes of equal probability."""
    scores = np.empty((len(seen), colors))
    for symbol in range(colors):
        own = seen[symbols == symbol].astype(np.float64)
        covariance = np.atleast_2d(np.cov(own.T)) + 1e-7 * np.eye(seen.shape[1])
        away = seen - own.mean(0)
        mahalanobis = (away @ np.linalg.inv(covariance) * away).sum(1)
        scores[:, symbol] = -0.5 * (mahalanobis + np.linalg.slogdet(covariance)[1])
    top = scores.max(1)
    total = top + np.log(np.exp(scores - top[:, None]).mean(1))
    return float((scores[np.arange(len(seen)), symbols] - total).mean() / np.log(2))
