"""From colours to symbols: linear discriminant analysis with one covariance for all colours (Fisher, 1936).

The means of the colours are an affine image of the palette, fitted to all decided cells, so that colours with few cells are not left to
chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctxbench_codebook.palette import levels

Samples = npt.NDArray[np.float32]
Symbols = npt.NDArray[np.uint8]
_CHUNK = 2048  # cells classified at once: their scores stay in the cache


def channels_of(colors: int) -> int:
    """Colour channels that tell the palette's colours apart: one for black and white, else three."""
    return 1 if colors == 2 else 3


def palette(colors: int) -> Samples:
    """The palette in the channels that are used, (colors, channels)."""
    return levels(colors)[:, : channels_of(colors)]


def nearest(seen: Samples, colors: int) -> Symbols:
    """The palette's nearest colour to each cell's, (cells,)."""
    table = palette(colors)
    return _largest(seen, table, -0.5 * (table * table).sum(1))


def classify(seen: Samples, known: Symbols, colors: int, train: npt.NDArray[np.bool_] | slice = slice(None)) -> Symbols:
    """The most likely symbol of each cell; means and covariance are learnt from the cells ``train`` with their symbols ``known``."""
    table = palette(colors)
    examples, labels = seen[train], known[train]
    # Least squares over all cells is least squares over the colours, each weighted by its number of cells.
    count = np.bincount(labels, minlength=colors)
    sums = np.stack([np.bincount(labels, channel, minlength=colors) for channel in examples.T], 1)
    design = np.c_[table, np.ones(colors)].astype(np.float64)
    weights = np.linalg.lstsq(design.T @ (count[:, None] * design), design.T @ sums, rcond=None)[0]
    means = (design @ weights).astype(np.float32)
    spread = examples - means[labels]
    covariance = (spread.T @ spread / max(1, len(spread))).astype(np.float64) + 1e-5 * np.eye(seen.shape[1])
    inverse = np.linalg.inv(covariance).astype(np.float32)
    linear = means @ inverse
    return _largest(seen, linear, -0.5 * (linear * means).sum(1))


def _largest(seen: Samples, linear: Samples, constant: Samples) -> Symbols:
    """For each cell the row of ``linear``, (colors, channels), whose product with the cell and constant are the largest in sum."""
    found = np.empty(len(seen), np.uint8)
    rank = np.arange(len(linear), 0, -1, dtype=np.uint8)[:, None]
    for start in range(0, len(seen), _CHUNK):
        scores = linear @ seen[start : start + _CHUNK].T + constant[:, None]
        largest = scores == scores.max(0)  # the same as argmax, which is several times slower along a short axis
        found[start : start + _CHUNK] = len(linear) - (largest * rank).max(0)
    return found
