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
from ctxbench_render.chain import LINKED, Beliefs, Channel, Couplings, infer
from ctxbench_render.region import PAD, Floats, Matrix, Region, blurred, matrix_of, psf
from ctxbench_render.registration import Pose
from ctxbench_render.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Cells = npt.NDArray[np.bool_]

SIGMAS = (0.5, 0.8, 1.2, 1.6, 2.0, 2.4, 3.0)
"""Blur in px of the page that is tried first; ``light`` comes to 0.5, ``heavy`` to 1.2 to 2.2."""

TRIED_LINES = 5
ROUNDS = 3
COUNT = 0.3
"""Added to the count of each character before its frequency is taken (additive smoothing)."""

LEAST_VARIANCE = 2e-4
LEAST_FIRST_VARIANCE = 1e-3
NEIGHBOURS = (0.8, 0.9, 1.0, 1.1, 1.22)
EXPLAINED = 0.8
"""Share of a cell's ink that its character accounts for. With the right characters it is 0.81 at least on pages damaged by ``heavy``,"""

EXPLAINED_SHARP = 0.87
"""and 0.88 at least on those damaged by ``light``, where a missing accent makes a difference."""

STRONG = 0.25
"""Ink, as a share of what a dark cell holds, from which a cell is asked for what explains it."""

ENOUGH = 60
"""Inked cells from which the pose is refined as an affine map, and other characters than ASCII are looked for: a few cells would be bent
into whatever fits."""

MANY = 0.5
"""Share of unexplained cells from which a page is not one of text in this codec's font and an alphabet."""

MISFIT = 7.0
"""Power at low frequencies of what a cell's character leaves, over the usual noise of a page's cells, from which it is no noise. With the
right characters, one cell in 400 is above."""

LEAST_INK = 2.0  # px of full ink
SURE = 0.5

BAND = 64  # rows of a page looked at together
UNITS = 400.0  # px; coordinates are divided by it, which keeps the normal equations well conditioned


@attrs.frozen(eq=False)
class Result:
    """What a page was read as.

    Attributes:
        lines: (text, whether the next line goes on with it).
        sure: share of the inked cells whose character is more probable than all others together, and explains them.
        unexplained: share of the inked cells that no character explains.
        fit: share of the variance of the inked cells' pixels that the characters account for.
    """

    lines: list[tuple[str, bool]]
    sure: float
    unexplained: float
    fit: float


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
            self.beliefs = infer(matched, self.words, self.channel, couplings, self.expected)
            self.expected = self.beliefs.expected
            if turn == 0 and before is not None and np.array_equal(before.best, self.beliefs.best):
                return True
        return False

    def _matched(self) -> Floats:
        blank = np.zeros_like(self.expected)
        marks = blurred(self.region.image(blank, self.marked), psf(self.channel.sigma))
        rest = self.dark - self.channel.offset - self.channel.gain * marks
        return self.region.cells(np.float32(self.channel.gain) * blurred(rest, psf(self.channel.sigma)))

    def discover(self) -> None:
        """Let the cells that no character of the vocabulary explains name others."""
        cells, inked = self.unexplained(), int(self.strong().sum())
        if inked < ENOUGH or not 0 < cells.sum() <= MANY * inked:
            return
        near = cells.copy()
        near[:, 1:] |= cells[:, :-1]
        near[:, :-1] |= cells[:, 1:]
        blind = np.where(near[:, :, None], _average_ink(self.dark, self.region, self.words), self.expected)
        couplings = Couplings.of(self.region, self.channel)
        seen = (self._matched() - couplings.interference(blind, linked=False))[cells]
        metric = couplings.power * np.kron(couplings.down, couplings.own)
        characters, inks = vocabulary.best_of(self.region.codec, self.words, seen, metric, 1 / self.channel.variance)
        if characters:
            self.words, self.expected, self.beliefs = self.words.joined_by(characters, inks), blind, None
            self.decide(2)

    def unexplained(self) -> Cells:
        """(rows, columns): inked cells whose character leaves too much of their ink, or more than noise where blur hides which it is."""
        strong = self.strong()
        rest = self.dark - self.model()
        noise, slow = ((self.region.cells(x) ** 2).mean(2) for x in (rest, _slow(rest)))
        least = EXPLAINED if self.channel.sigma >= LINKED else EXPLAINED_SHARP
        usual = float(np.median(noise[strong])) if strong.any() else 0.0
        return np.asarray(strong & ((self.agreement() < least) | (slow > MISFIT * usual)))

    def strong(self) -> Cells:
        """(rows, columns): cells with much ink."""
        mass = self.region.cells(self.dark - np.float32(self.channel.offset)).sum(2)
        return np.asarray(mass > max(STRONG * float(np.percentile(mass, 95)), LEAST_INK))

    def fit(self) -> float:
        """Share of the variance of the inked cells' pixels that the model accounts for (coefficient of determination)."""
        strong = self.strong()
        if not strong.any():
            return 0.0
        seen, made = (self.region.cells(x)[strong] for x in (self.dark, self.model()))
        return 1 - float(((seen - made) ** 2).sum()) / max(1e-6, float(((seen - seen.mean()) ** 2).sum()))

    def model(self) -> Floats:
        """The darkness that the decided characters and the channel make."""
        made = self.channel.gain * blurred(self.drawn(), psf(self.channel.sigma)) + self.channel.offset
        return np.asarray(made, np.float32)

    def agreement(self) -> Floats:
        """(rows, columns): share of each cell's ink that its character accounts for, 0 to 1."""
        seen, away = (self.region.cells(self.dark - x) for x in (np.float32(self.channel.offset), self.model()))
        return np.asarray(np.clip(1 - (away**2).sum(2) / np.maximum(1e-6, (seen**2).sum(2)), 0, 1), np.float32)

    def drawn(self) -> Floats:
        """The decided characters, not blurred."""
        assert self.beliefs is not None
        return self.region.image(self.words.inks[self.beliefs.best], self.marked)

    def estimate(self) -> None:
        """Blur, gain, offset, pose, noise and frequencies, from the characters."""
        drawn = self.drawn()
        fits = [_fit(self.dark, drawn, self.channel.sigma * step) for step in NEIGHBOURS]
        _, self.channel, model = min(fits, key=lambda fit: fit[0])
        affine = int(self.strong().sum()) >= ENOUGH
        self.matrix = self.matrix @ np.linalg.inv(_displacement(self.dark, model, self.region.codec.margin - PAD, affine))
        self.dark = self.region.cut(self.image, self.matrix)
        self.channel = attrs.evolve(self.channel, variance=max(LEAST_VARIANCE, float((_slow(self.dark - model) ** 2).mean())))
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
        search.discover()
    return _result(search)


def _average_ink(dark: Floats, region: Region, words: Vocabulary) -> Floats:
    """An average character in each cell, as strong as the cell is dark."""
    mean = words.inks[1:].mean(0)
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
    found = infer(matched, words, channel, Couplings.of(region, channel), expected).expected
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


def _displacement(dark: Floats, model: Floats, start: int, affine: bool) -> Matrix:
    """The small change of page coordinates that brings the model onto the page: least squares on its gradient (Lucas and Kanade, 1981).

    It is affine, or only a shift.
    """
    down, across = (np.asarray(slope, np.float32) for slope in np.gradient(model))
    square, right = np.zeros((6, 6)), np.zeros(6)
    x = ((np.arange(dark.shape[1], dtype=np.float32) + 0.5 + start) / UNITS)[None, :]
    for top in range(0, len(dark), BAND):
        at = slice(top, top + BAND)
        y = ((np.arange(top, min(top + BAND, len(dark)), dtype=np.float32) + 0.5 + start) / UNITS)[:, None]
        columns = np.stack([across[at], across[at] * x, across[at] * y, down[at], down[at] * x, down[at] * y]).reshape(6, -1)
        square += columns @ columns.T
        right += columns @ (dark[at] - model[at]).ravel()
    free = [0, 1, 2, 3, 4, 5] if affine else [0, 3]
    move = np.zeros(6)
    move[free] = np.linalg.lstsq(square[np.ix_(free, free)], right[free], rcond=None)[0]
    return np.array(
        [
            [1 + move[1] / UNITS, move[2] / UNITS, move[0]],
            [move[4] / UNITS, 1 + move[5] / UNITS, move[3]],
            [0, 0, 1],
        ]
    )


def _slow(rest: Floats) -> Floats:
    """Sums of 3 x 3 px over three: white noise keeps its variance, noise that was resampled or compressed has up to three times as much.

    It is noise of low frequency that makes blurred characters look like others.
    """
    sums = np.pad(rest, 1)
    sums = sums[:-2] + sums[1:-1] + sums[2:]
    return np.asarray((sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]) / 3, np.float32)


def _result(search: _Search) -> Result:
    assert search.beliefs is not None
    best, probability = search.beliefs.best, search.beliefs.probability
    unexplained, inked = search.unexplained(), (best > 0) | search.strong()
    lines = [(text, bool(mark)) for text, mark in zip(search.words.lines(best), search.marked, strict=True)]
    sure = (probability >= SURE) & ~unexplained & (best > 0)
    count = max(1, int(inked.sum()))
    return Result(lines, float((sure & inked).sum()) / count, float(unexplained.sum()) / count, search.fit())
