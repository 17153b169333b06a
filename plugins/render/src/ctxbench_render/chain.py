"""Which characters a line of blurred cells holds: exact inference along the line, mean field between lines.

With ink g_i in cell i, point spread function K and white noise of variance v, the log likelihood of a page y is, but for a constant,

    (1 / v) * [ sum_i z_i . g_i  -  1/2 sum_ij g_i . M_ij g_j ],    z = K' y,    M = K' K,

in which M_ij couples cells that blur into one another: neighbours of a line, and lines. Along a line the best sequences are found by
max-product message passing (Viterbi's recursion in both directions); of the other lines the expected ink is subtracted (mean field, as in
soft interference cancellation for channels with intersymbol interference).
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_render.region import Floats, Region, blurred, overlap, psf
from ctxbench_render.vocabulary import Vocabulary

Ints = npt.NDArray[np.intp]

LINKED = 0.9
"""Blur in px from which neighbours of a line are decided together; below, each is given what is expected of the others."""


@attrs.frozen(eq=False)
class Channel:
    """What happened to a region: blur ``sigma`` in px, gain, offset, and the variance of the noise."""

    sigma: float
    gain: float = 1.0
    offset: float = 0.0
    variance: float = 0.002


@attrs.frozen(eq=False)
class Couplings:
    """M of the module's formula, for cells with themselves (``own``) and with the next of the line, as products of two small matrices."""

    region: Region
    down: Floats
    own: Floats
    following: Floats
    wide_kernel: Floats
    power: float

    @classmethod
    def of(cls, region: Region, channel: Channel) -> Couplings:
        """The couplings that a channel makes."""
        kernel = psf(channel.sigma)
        both = np.asarray(np.convolve(kernel, kernel), np.float32)
        cell = region.codec.cell
        return cls(region, overlap(both, region.codec.pitch), overlap(both, cell), overlap(both, cell, cell), both, channel.gain**2)

    def apply(self, inks: Floats, across: Floats) -> Floats:
        """The product with M, cell by cell.

        ``across`` is ``own``, or ``following`` if the result belongs to the cell before, or its transpose if to the cell after.
        """
        cells = inks.reshape(-1, self.region.codec.pitch, self.region.codec.cell)
        return np.asarray(np.float32(self.power) * (self.down @ cells @ across.T), np.float32).reshape(inks.shape)

    def interference(self, expected: Floats, linked: bool) -> Floats:
        """What other cells add to each cell's z, given their expected ink; without the neighbours of the line if they are ``linked``."""
        total = np.float32(self.power) * self.region.cells(blurred(self.region.image(expected), self.wide_kernel))
        total = total - self.apply(expected, self.own)
        if not linked:
            return np.asarray(total, np.float32)
        total[:, :-1] -= self.apply(expected[:, 1:], self.following)
        total[:, 1:] -= self.apply(expected[:, :-1], self.following.T)
        return np.asarray(total, np.float32)


@attrs.frozen(eq=False)
class Beliefs:
    """(rows, columns): the most probable state, its probability, and the expected ink (rows, columns, px)."""

    best: Ints
    probability: Floats
    expected: Floats


def infer(matched: Floats, words: Vocabulary, channel: Channel, couplings: Couplings, expected: Floats) -> Beliefs:
    """One pass over the lines.

    Args:
        matched: (rows, columns, px), z of the module's formula.
        words: what cells can hold.
        channel: noise and gain.
        couplings: of that channel.
        expected: (rows, columns, px), the ink expected so far.
    """
    precision = np.float32(1 / channel.variance)
    inks = words.inks
    linked = channel.sigma >= LINKED
    norms = (inks * couplings.apply(inks, couplings.own)).sum(1)
    single = matched - couplings.interference(expected, linked)
    scores = np.ascontiguousarray((precision * (single @ inks.T - 0.5 * norms) + words.prior).swapaxes(0, 1), np.float32)
    if linked:
        scores = _max_marginals(scores, -precision * (inks @ couplings.apply(inks, couplings.following).T))
    chances = np.exp(scores - scores.max(2, keepdims=True)).swapaxes(0, 1)
    chances /= chances.sum(2, keepdims=True)
    best = chances.argmax(2)
    return Beliefs(best, np.take_along_axis(chances, best[:, :, None], 2)[:, :, 0], np.asarray(chances @ inks, np.float32))


def _max_marginals(scores: Floats, pairs: Floats) -> Floats:
    """(columns, rows, states): score of the best sequence of a line through each state of each cell.

    Args:
        scores: (columns, rows, states), of each cell alone.
        pairs: (states, states), of a cell and the next.
    """
    forward, backward = scores.copy(), np.zeros_like(scores)
    turned = np.ascontiguousarray(pairs.T)
    for i in range(1, len(scores)):
        forward[i] += (forward[i - 1][:, None, :] + turned).max(2)
    for i in reversed(range(len(scores) - 1)):
        backward[i] = ((backward[i + 1] + scores[i + 1])[:, None, :] + pairs).max(2)
    return np.asarray(forward + backward, np.float32)
