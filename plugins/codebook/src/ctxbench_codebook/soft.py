"""From colours to what is known of each bit, and from what the code says of the bits back to expected colours.

A cell's colours are Gaussian around the image of its palette colour, with one covariance for all. From the likelihood of each symbol, and
what the code knows of its bits, come the log-likelihood ratio of each bit without what was known of it before (iterative demapping: ten
Brink, Speidel and Yan, *Iterative demapping and decoding for multilevel modulation*, 1998) and the mean colour that is expected, with
which interference is cancelled softly (Tuechler, Koetter and Singer, *Turbo equalization: principles and new results*, 2002).
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook.classify import channels_of, palette
from ctxbench_codebook.ldpc import Ratios

Samples = npt.NDArray[np.float32]
Symbols = npt.NDArray[np.uint8]
_CHUNK = 1 << 14  # cells at once: the likelihoods of their symbols stay in the cache
_MOST = 10.0  # of a ratio: above two thirds of what a check can say (16.6), two wrong bits in a row would hold out against all others
_TINY = np.float32(1e-30)


@attrs.frozen(eq=False)
class Model:
    """How likely each symbol is in view of a colour: ``linear @ colour + constant``, up to what all symbols share.

    Attributes:
        linear: (symbols, channels).
        constant: (symbols,).
    """

    linear: Samples
    constant: Samples

    @classmethod
    def of(cls, means: Samples, covariance: npt.NDArray[np.float64]) -> Model:
        """That of Gaussians with these means, (symbols, channels), and one covariance."""
        inverse = np.linalg.inv(covariance + 1e-5 * np.eye(len(covariance))).astype(np.float32)
        linear = means @ inverse
        return cls(linear, -0.5 * (linear * means).sum(1))


def learnt(seen: Samples, symbols: Symbols, colors: int) -> Model:
    """The model of cells whose symbols are known: the means are an affine image of the palette."""
    table = palette(colors)
    weights = _affine(table[symbols], seen)
    means = _imaged(table, weights)
    rest = (seen - means[symbols]).astype(np.float64)
    return Model.of(means, rest.T @ rest / len(rest))


def relearnt(seen: Samples, known: Ratios | None, model: Model, colors: int) -> Model:
    """The model of cells whose symbols are known by the model before and the code, in part (one step of expectation-maximisation).

    Args:
        seen: (cells, channels).
        known: ratios of their bits, (cells, bits), or ``None``.
        model: that before.
        colors: number of colours.
    """
    table, channels = palette(colors), channels_of(colors)
    gram, moment, shares = np.zeros((channels + 1, channels + 1)), np.zeros((channels + 1, channels)), np.zeros(colors)
    square, crossed = np.zeros((channels, channels)), np.zeros((colors, channels))
    for some in _chunks(len(seen)):
        likely = _posterior(seen[some], None if known is None else known[some], model, colors)
        expected = np.c_[likely @ table, np.ones(len(likely), np.float32)]
        gram += expected.T @ expected
        moment += expected.T @ seen[some]
        shares += likely.sum(0)
        square += seen[some].T @ seen[some]
        crossed += likely.T @ seen[some]
    weights = np.linalg.lstsq(gram, moment, rcond=None)[0]
    means = _imaged(table, weights.astype(np.float32))
    mixed = crossed.T @ means
    covariance = (square - mixed - mixed.T + (means * shares[:, None]).T @ means) / len(seen)
    return Model.of(means, covariance)


def bit_ratios(seen: Samples, known: Ratios | None, model: Model, colors: int) -> Ratios:
    """What the colours say of each bit beyond what was known of it, (cells, bits); arguments as for :func:`relearnt`."""
    import cv2

    values = _bits(colors)
    made = np.empty((len(seen), len(values)), np.float32)
    for some in _chunks(len(seen)):
        own = None if known is None else known[some]
        likely = _posterior(seen[some], own, model, colors)
        ratio = cv2.log(np.maximum(likely @ (1 - values).T, _TINY)) - cv2.log(np.maximum(likely @ values.T, _TINY))
        made[some] = ratio if own is None else ratio - own
    return np.clip(made, -_MOST, _MOST)


def expected_colors(seen: Samples, known: Ratios | None, model: Model, colors: int) -> Samples:
    """The mean colour of each cell, (cells, channels); arguments as for :func:`relearnt`."""
    table = palette(colors)
    made = np.empty((len(seen), table.shape[1]), np.float32)
    for some in _chunks(len(seen)):
        made[some] = _posterior(seen[some], None if known is None else known[some], model, colors) @ table
    return made


def _posterior(seen: Samples, known: Ratios | None, model: Model, colors: int) -> Samples:
    """Probabilities of the symbols, (cells, symbols)."""
    import cv2

    scores = seen @ model.linear.T + model.constant
    if known is not None:
        scores -= known @ _bits(colors)
    scores -= scores.max(1, keepdims=True)
    likely = np.asarray(cv2.exp(scores), np.float32)
    return np.asarray(likely / likely.sum(1, keepdims=True), np.float32)


def _bits(colors: int) -> Samples:
    """The bits of the symbols, most significant first, (bits, symbols)."""
    width = colors.bit_length() - 1
    return (np.arange(colors) >> np.arange(width - 1, -1, -1)[:, None] & 1).astype(np.float32)


def _affine(colours: Samples, seen: Samples) -> Samples:
    design = np.c_[colours, np.ones(len(colours), np.float32)].astype(np.float64)
    return np.asarray(np.linalg.lstsq(design.T @ design, design.T @ seen, rcond=None)[0], np.float32)


def _imaged(table: Samples, weights: Samples) -> Samples:
    return np.asarray(np.c_[table, np.ones(len(table), np.float32)] @ weights, np.float32)


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]
