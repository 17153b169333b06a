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

Ints = npt.NDArray[np.intp]

FULL = 128
"""With more states than these a cell keeps ``LISTED`` of them."""

LISTED = 40
LINKED = 0.9
"""Blur in px from which neighbours of a line are decided together; below, each is given what is expected of the others."""

IMPOSSIBLE = np.float32(-1e5)


@attrs.frozen(eq=False)
class States:
    """What a cell can hold. State 0 is blank.

    Attributes:
        inks: (states, px of a cell), 0 to 1.
        halves: (wide characters, 2): states of the left and the right half of each.
    """

    inks: Floats
    halves: Ints

    @property
    def left_of(self) -> Ints:
        """For each state its right half, if it is a left one, else -1."""
        found = np.full(len(self.inks), -1)
        found[self.halves[:, 0]] = self.halves[:, 1]
        return found


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
        return cls(
            region, overlap(both, region.codec.pitch), overlap(both, cell), overlap(both, cell, cell), both, np.float32(channel.gain**2)
        )

    def apply(self, inks: Floats, across: Floats) -> Floats:
        """The product with M, cell by cell; ``across`` is ``own``, ``following`` (the result belongs to the cell before) or its transpose."""
        cells = inks.reshape(-1, self.region.codec.pitch, self.region.codec.cell)
        return np.asarray(self.power * (self.down @ cells @ across.T), np.float32).reshape(inks.shape)

    def interference(self, expected: Floats, linked: bool) -> Floats:
        """What other cells add to each cell's z, given their expected ink; without the neighbours of the line if they are ``linked``."""
        total = self.power * self.region.cells(blurred(self.region.image(expected), self.wide_kernel))
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


def infer(
    matched: Floats, states: States, prior: Floats, channel: Channel, couplings: Couplings, expected: Floats, rows: Ints | None = None
) -> Beliefs:
    """One pass over the lines.

    Args:
        matched: (rows, columns, px), z of the module's formula.
        states: what cells can hold.
        prior: (states), logarithms of their probabilities.
        channel: noise and gain.
        couplings: of that channel.
        expected: (rows, columns, px), the ink expected so far.
    """
    precision = np.float32(1 / channel.variance)
    inks = states.inks
    linked = channel.sigma >= LINKED or bool(len(states.halves))
    norms = (inks * couplings.apply(inks, couplings.own)).sum(1)
    single = matched - couplings.interference(expected, linked)
    scores = np.ascontiguousarray((precision * (single @ inks.T - 0.5 * norms) + prior).swapaxes(0, 1), np.float32)
    listed = None
    if linked:
        pairs = -precision * (inks @ couplings.apply(inks, couplings.following).T)
        _bind_halves(pairs, states)
        _bind_ends(scores, states)
        if len(inks) > FULL:
            listed = _shortlists(scores, pairs, states)
            scores = np.take_along_axis(scores, listed, 2)
        scores = _max_marginals(scores, pairs, listed)
    return _beliefs(scores, listed, inks)


def _beliefs(scores: Floats, listed: Ints | None, inks: Floats) -> Beliefs:
    """From logarithms of (columns, rows, states), of those that are listed."""
    chances = np.exp(scores - scores.max(2, keepdims=True))
    chances /= chances.sum(2, keepdims=True)
    place = chances.argmax(2)[:, :, None]
    best = place if listed is None else np.take_along_axis(listed, place, 2)
    expected = chances @ inks if listed is None else np.einsum("crk,crkp->crp", chances, inks[listed])
    probability = np.take_along_axis(chances, place, 2)
    return Beliefs(best[:, :, 0].T, probability[:, :, 0].T, np.ascontiguousarray(expected.swapaxes(0, 1)))


def _bind_halves(pairs: Floats, states: States) -> None:
    """A right half follows its left one, and nothing else does."""
    left, right = states.halves.T
    allowed = pairs[left, right]
    pairs[left, :] = IMPOSSIBLE
    pairs[:, right] = IMPOSSIBLE
    pairs[left, right] = allowed


def _bind_ends(scores: Floats, states: States) -> None:
    """No line starts with a right half or ends with a left one."""
    scores[0][:, states.halves[:, 1]] = IMPOSSIBLE
    scores[-1][:, states.halves[:, 0]] = IMPOSSIBLE


def _shortlists(scores: Floats, pairs: Floats, states: States) -> Ints:
    """(columns, rows, LISTED) states worth looking at, wide characters by the score of both halves."""
    some = np.ones(scores.shape[2], np.bool_)
    some[states.halves.ravel()] = False
    narrow = np.flatnonzero(some)
    third = LISTED // 3
    count = LISTED - 2 * third
    listed = np.zeros((*scores.shape[:2], LISTED), np.intp)
    top = np.argpartition(-scores[:, :, narrow], min(count, len(narrow) - 1), axis=2)[:, :, :count]
    listed[:, :, : top.shape[2]] = narrow[top]
    left, right = states.halves.T
    if len(left):
        both = scores[:-1][:, :, left] + scores[1:][:, :, right] + pairs[left, right]
        top = np.argpartition(-both, min(third, len(left) - 1), axis=2)[:, :, :third]
        listed[:-1, :, count : count + top.shape[2]] = left[top]
        listed[1:, :, count + third : count + third + top.shape[2]] = right[top]
    return listed


def _max_marginals(scores: Floats, pairs: Floats, listed: Ints | None) -> Floats:
    """(columns, rows, states): score of the best sequence through each state of each cell."""
    forward, backward = scores.copy(), np.zeros_like(scores)
    turned = np.ascontiguousarray(pairs.T)
    for i in range(1, len(scores)):
        link = turned[None] if listed is None else turned[listed[i][:, :, None], listed[i - 1][:, None, :]]
        forward[i] += (forward[i - 1][:, None, :] + link).max(2)
    for i in reversed(range(len(scores) - 1)):
        link = pairs[None] if listed is None else pairs[listed[i][:, :, None], listed[i + 1][:, None, :]]
        backward[i] = ((backward[i + 1] + scores[i + 1])[:, None, :] + link).max(2)
    return np.asarray(forward + backward, np.float32)
