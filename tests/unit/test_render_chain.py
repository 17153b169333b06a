"""Fitting blurred cells: the algebra that the decoder of damaged pages rests on."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import pytest

from ctxbench_render.chain import Channel, Couplings, infer
from ctxbench_render.codec import RenderCodec
from ctxbench_render.region import Region, blurred, overlap, psf
from ctxbench_render.repertoire import same_script
from ctxbench_render.vocabulary import Vocabulary, ascii_only

CODEC = RenderCodec()


def random_cells(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    words = ascii_only(CODEC)
    return words.inks[rng.integers(0, len(words.inks), (rows, columns))]


@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.4])
def test_the_point_spread_keeps_ink_and_spreads_it(sigma):
    """Its weights sum to one and its standard deviation is sigma, with a twelfth for the width of a pixel."""
    kernel = psf(sigma)
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1)
    assert float((kernel * x * x).sum()) == pytest.approx(sigma**2 + 1 / 12, rel=0.05)


def test_overlap_is_the_convolution_between_two_cells():
    """Ink in one cell reaches the next one through this matrix, and through its transpose the other way."""
    kernel = psf(1.5)
    ink = np.zeros(21, np.float32)
    ink[7:14] = np.arange(7)
    seen = np.convolve(ink, kernel, "same")
    assert np.allclose(overlap(kernel, 7) @ ink[7:14], seen[7:14], atol=1e-6)
    assert np.allclose(overlap(kernel, 7, 7) @ ink[7:14], seen[:7], atol=1e-6)
    assert np.allclose(overlap(kernel, 7, 7).T @ ink[7:14], seen[14:], atol=1e-6)


@pytest.mark.parametrize("linked", [True, False])
def test_interference_is_all_that_other_cells_add(linked):
    """z of a noiseless page, less the interference, is what the cell (and its neighbours, if linked) makes of itself."""
    rng = np.random.default_rng(1)
    region = Region(CODEC, 3, 9)
    cells = random_cells(rng, 3, 9)
    channel = Channel(1.4, gain=0.8)
    couplings = Couplings.of(region, channel)
    page = np.float32(0.8) * blurred(region.image(cells), psf(1.4))
    matched = region.cells(np.float32(0.8) * blurred(page, psf(1.4)))
    rest = matched - couplings.interference(cells, linked)
    own = couplings.apply(cells, couplings.own)
    if linked:
        own[:, :-1] += couplings.apply(cells[:, 1:], couplings.following)
        own[:, 1:] += couplings.apply(cells[:, :-1], couplings.following.T)
    assert np.abs(rest - own).max() < 2e-3 * np.abs(matched).max()


def test_a_line_is_decided_as_a_whole():
    """The best sequence of a line is the one that a search of all sequences finds, where each cell alone would be wrong."""
    rng = np.random.default_rng(3)
    full = ascii_only(CODEC)
    chosen = [full.characters.index(c) for c in " ilo"]
    words = Vocabulary(tuple(full.characters[i] for i in chosen), full.inks[chosen], np.zeros(4, np.float32))
    region = Region(CODEC, 1, 5)
    channel = attrs.evolve(Channel(2.6), variance=0.002)
    couplings = Couplings.of(region, channel)
    nothing = np.zeros((1, 5, CODEC.pitch * CODEC.cell), np.float32)
    differs = 0
    for _ in range(30):
        truth = rng.integers(0, 4, (1, 5))
        page = blurred(region.image(words.inks[truth]), psf(2.6)) + rng.normal(0, 0.045, region.shape).astype(np.float32)
        matched = region.cells(blurred(page, psf(2.6)))
        found = infer(matched, words, channel, couplings, nothing).best[0]

        def score(states, matched=matched):
            cells = words.inks[list(states)][None]
            near = couplings.apply(cells, couplings.own)
            between = 2 * (cells[:, :-1] * couplings.apply(cells[:, 1:], couplings.following)).sum()
            return float((matched * cells).sum() - 0.5 * ((cells * near).sum() + between))

        best = max(itertools.product(range(4), repeat=5), key=score)
        assert score(tuple(found)) == pytest.approx(score(best), abs=1e-3)
        own = (words.inks * couplings.apply(words.inks, couplings.own)).sum(1)
        alone = (matched[0] @ words.inks.T - 0.5 * own).argmax(1)
        differs += tuple(alone) != best
    assert differs > 10


@pytest.mark.parametrize(
    ("read", "text"),
    [
        ("Пpивeт, миp", "Привет, мир"),
        ("Kαλημέρα", "Καλημέρα"),
        ("naïve Aпельсин", "naïve Апельсин"),
        ("O и", "О и"),
        ("plain ASCII", "plain ASCII"),
    ],
)
def test_look_alike_letters_take_the_script_of_their_word(read, text):
    """A word of letters that all look alike takes the script of its line, if that has one."""
    assert same_script(read, CODEC) == text
