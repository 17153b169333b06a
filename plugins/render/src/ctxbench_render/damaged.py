"""Damaged pages: the codec's own glyphs, blurred as the page is, are fitted to the page on its registered grid.

Estimation and decision take turns (decision-directed estimation): the characters found so far tell how far the page is blurred, how its
grey levels changed, where it lies to a fraction of a pixel, how often each character occurs and how much noise there is, and with these the
characters are found again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_render import vocabulary
from ctxbench_render.chain import Beliefs, Channel, Couplings, infer
from ctxbench_render.region import PAD, Floats, Matrix, Region, blurred, matrix_of, psf
from ctxbench_render.registration import Pose
from ctxbench_render.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

SIGMAS = (0.5, 0.8, 1.2, 1.6, 2.0, 2.4, 3.0)
"""Blur in px of the page that is tried first; ``light`` comes to 0.5, ``heavy`` to 1.2 to 2.2."""

TRIED_LINES = 5
ROUNDS = 3
COUNT = 0.3
"""Added to the count of each character before its frequency is taken (additive smoothing)."""

LEAST_VARIANCE = 2e-4
LEAST_FIRST_VARIANCE = 1e-3
NEIGHBOURS = (0.8, 0.9, 1.0, 1.1, 1.22)
UNITS = 400.0  # px; coordinates are divided by it, which keeps the normal equations well conditioned


@attrs.frozen(eq=False)
class Result:
    """Lines of a page as (text, whether the next goes on with it), and how sure each inked cell is, 0 to 1."""

    lines: list[tuple[str, bool]]
    confidence: Floats


@attrs.define(eq=False)
class _Search:
    """What is known so far."""

    image: Image.Image
    region: Region
    matrix: Matrix
    dark: Floats
    words: Vocabulary
    channel: Channel
    marked: npt.NDArray[np.bool_]
    expected: Floats
    beliefs: Beliefs | None = None

    def decide(self, passes: int) -> bool:
        """Find the characters, with the channel as it is; true if none changed in the first pass."""
        couplings = Couplings.of(self.region, self.channel)
        matched = self._matched()
        for turn in range(passes):
            before = self.beliefs
            self.beliefs = infer(matched, self.words.states, self.words.prior, self.channel, couplings, self.expected)
            self.expected = self.beliefs.expected
            if turn == 0 and before is not None and np.array_equal(before.best, self.beliefs.best):
                return True
        return False

    def _matched(self) -> Floats:
        blank = np.zeros_like(self.expected)
        marks = blurred(self.region.image(blank, self.marked), psf(self.channel.sigma))
        rest = self.dark - self.channel.offset - self.channel.gain * marks
        return self.region.cells(np.float32(self.channel.gain) * blurred(rest, psf(self.channel.sigma)))

    def drawn(self) -> Floats:
        """The decided characters, not blurred."""
        assert self.beliefs is not None
        return self.region.image(self.words.states.inks[self.beliefs.best], self.marked)

    def estimate(self) -> None:
        """Blur, gain, offset, pose, noise and frequencies, from the characters."""
        drawn = self.drawn()
        fits = [_fit(self.dark, drawn, self.channel.sigma * step) for step in NEIGHBOURS]
        _, self.channel, model = min(fits, key=lambda fit: fit[0])
        self.matrix = self.matrix @ np.linalg.inv(_displacement(self.dark, model, self.region.codec.margin - PAD))
        self.dark = self.region.cut(self.image, self.matrix)
        self.channel = attrs.evolve(self.channel, variance=max(LEAST_VARIANCE, _slow_variance(self.dark - model)))
        assert self.beliefs is not None
        self.words = self.words.with_counts(self.beliefs.best, self.beliefs.probability, COUNT)


def read_damaged(image: Image.Image, pose: Pose, codec: RenderCodec) -> Result:
    """The most probable characters of a grey image of a page."""
    matrix = matrix_of(pose)
    region = Region.on(image.size, matrix, codec)
    dark = region.cut(image, matrix)
    words = vocabulary.ascii_only(codec)
    expected = _average_ink(dark, region, words)
    channel = _first_channel(dark, region, words, expected)
    search = _Search(image, region, matrix, dark, words, channel, region.marks(dark - channel.offset, channel.sigma), expected)
    for turn in range(ROUNDS):
        if search.decide(2 if turn < 2 else 1) or turn == ROUNDS - 1:
            break
        search.estimate()
    return _result(search)


def _average_ink(dark: Floats, region: Region, words: Vocabulary) -> Floats:
    """An average character in each cell, as strong as the cell is dark."""
    mean = words.states.inks[1:].mean(0)
    mass = region.cells(dark - _paper(dark)).sum(2) / mean.sum()
    return np.asarray(np.clip(mass, 0, 1.6)[:, :, None] * mean, np.float32)


def _paper(dark: Floats) -> float:
    """Darkness of paper: of the border above and to the left, which no blurred ink reaches."""
    return float(np.median(np.concatenate([dark[:, :5].ravel(), dark[:5].ravel()])))


def _first_channel(dark: Floats, region: Region, words: Vocabulary, expected: Floats) -> Channel:
    """The blur with which a few lines, those with most ink, are fitted best; from the middle of ``SIGMAS`` to where the error grows."""
    count = min(TRIED_LINES, region.rows)
    sums = np.convolve(expected.sum((1, 2)), np.ones(count), "valid")
    first = int(sums.argmax())
    pitch = region.codec.pitch
    part = attrs.evolve(region, rows=count)
    some = dark[first * pitch : (first + count) * pitch + 2 * PAD]
    tried: dict[int, Channel] = {}

    def error(i: int) -> float:
        if i not in tried:
            tried[i] = _try(some, part, words, expected[first : first + count], Channel(SIGMAS[i], 1.0, _paper(dark)))
        return tried[i].variance

    best = SIGMAS.index(1.2)
    for step in (1, -1):
        while 0 <= best + step < len(SIGMAS) and error(best + step) < error(best):
            best += step
    return attrs.evolve(tried[best], variance=max(tried[best].variance, LEAST_FIRST_VARIANCE))


def _try(dark: Floats, region: Region, words: Vocabulary, expected: Floats, channel: Channel) -> Channel:
    """The channel, with the mean squared error of what is found with it on the inner lines as its variance."""
    matched = region.cells(blurred(dark - np.float32(channel.offset), psf(channel.sigma)))
    found = infer(matched, words.states, words.prior, channel, Couplings.of(region, channel), expected).expected
    away = region.cells(dark - np.float32(channel.offset) - blurred(region.image(found), psf(channel.sigma)))
    inner = away[1:-1] if len(away) > 2 else away
    return attrs.evolve(channel, variance=float((inner * inner).mean()))


def _fit(dark: Floats, drawn: Floats, sigma: float) -> tuple[float, Channel, Floats]:
    """(mean squared error, channel, modelled darkness) of the best gain and offset at a blur."""
    model = blurred(drawn, psf(sigma))
    inner, seen = model - model.mean(), dark - dark.mean()
    gain = float((inner * seen).sum() / max(1e-6, float((inner * inner).sum())))
    offset = float(dark.mean() - gain * model.mean())
    error = float(((seen - gain * inner) ** 2).mean())
    return error, Channel(sigma, gain, offset), np.asarray(gain * model + offset, np.float32)


def _displacement(dark: Floats, model: Floats, start: int) -> Matrix:
    """The small affine change of page coordinates that brings the model onto the page: least squares on its gradient (Lucas and Kanade)."""
    down, across = np.gradient(model)
    y, x = np.mgrid[0 : dark.shape[0], 0 : dark.shape[1]].astype(np.float32)
    x, y = (x + 0.5 + start) / UNITS, (y + 0.5 + start) / UNITS
    columns = np.stack([across, across * x, across * y, down, down * x, down * y]).reshape(6, -1)
    move = np.linalg.lstsq(columns @ columns.T, columns @ (dark - model).ravel(), rcond=None)[0].astype(np.float64)
    return np.array(
        [
            [1 + move[1] / UNITS, move[2] / UNITS, move[0]],
            [move[4] / UNITS, 1 + move[5] / UNITS, move[3]],
            [0, 0, 1],
        ]
    )


def _slow_variance(rest: Floats) -> float:
    """Variance of white noise with this noise's power at low frequencies, the ones that tell blurred characters apart.

    Noise that was resampled or compressed is not white: that of 3 x 3 px together is up to three times that of nine independent ones.
    """
    sums = rest[:-2] + rest[1:-1] + rest[2:]
    sums = sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]
    return float((sums * sums).mean() / 9)


def _result(search: _Search) -> Result:
    assert search.beliefs is not None
    best, probability = search.beliefs.best, search.beliefs.probability
    model = search.channel.gain * blurred(search.drawn(), psf(search.channel.sigma)) + search.channel.offset
    fit = _agreement(search.region, search.dark - search.channel.offset, np.asarray(model - search.channel.offset, np.float32))
    inked = search.words.is_ink[best]
    texts = search.words.lines(best)
    lines = [(text, bool(mark)) for text, mark in zip(texts, search.marked, strict=True)]
    return Result(lines, np.asarray((probability * fit)[inked], np.float32))


def _agreement(region: Region, dark: Floats, model: Floats) -> Floats:
    """(rows, columns): share of each cell's ink that the model accounts for, 0 to 1."""
    seen, away = region.cells(dark), region.cells(dark - model)
    return np.asarray(np.clip(1 - (away**2).sum(2) / np.maximum(1e-6, (seen**2).sum(2)), 0, 1), np.float32)
