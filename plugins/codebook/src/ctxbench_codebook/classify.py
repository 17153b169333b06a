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
_CHUNK = 65536  # cells classified at once, to bound memory
_ENOUGH = 1 << 21  # cells to learn from; more would only take memory


def channels_of(colors: int) -> int:
    """Colour channels that tell the palette's colours apart: one for black and white, else three."""
    return 1 if colors == 2 else 3


def palette(colors: int) -> Samples:
    """The palette in the channels that are used, (colors, channels)."""
    return levels(colors)[:, : channels_of(colors)]


def nearest(seen: Samples, colors: int) -> Symbols:
    """The palette's nearest colour to each cell's, (cells,)."""
    table = palette(colors)
    return np.asarray((seen @ table.T - 0.5 * (table * table).sum(1)).argmax(1), np.uint8)


def classify(seen: Samples, known: Symbols, colors: int, train: npt.NDArray[np.bool_] | slice = slice(None)) -> Symbols:
    """The most likely symbol of each cell; means and covariance are learnt from the cells ``train`` with their symbols ``known``."""
    table = palette(colors)
    examples, labels = seen[train], known[train]
    every = -(-len(labels) // _ENOUGH)
    examples, labels = examples[::every], labels[::every]
    design = np.c_[table[labels], np.ones(len(labels), np.float32)]
    weights = np.linalg.lstsq(design, examples, rcond=None)[0]
    means = (np.c_[table, np.ones(len(table), np.float32)] @ weights).astype(np.float32)
    spread = examples - means[labels]
    covariance = (spread.T @ spread / max(1, len(spread))).astype(np.float64) + 1e-5 * np.eye(seen.shape[1])
    inverse = np.linalg.inv(covariance).astype(np.float32)
    linear = means @ inverse
    constant = -0.5 * (linear * means).sum(1)
    found = np.empty(len(seen), np.uint8)
    for start in range(0, len(seen), _CHUNK):
        part = seen[start : start + _CHUNK]
        found[start : start + _CHUNK] = (part @ linear.T + constant).argmax(1)
    return found
