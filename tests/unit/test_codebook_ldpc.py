"""The codebook's LDPC code and what surrounds it: the graph, the decoder, and the ratios of bits that go to and fro."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ctxbench_codebook import ldpc, ldpc_page, soft
from ctxbench_codebook.classify import palette
from ctxbench_codebook.layout import Layout
from ctxbench_codebook.ldpc import Code, Decoder

SIZES = [(512, 60), (2_001, 60), (16_384, 64), (40_000, 20)]


def checks_of(code: Code) -> list[list[int]]:
    """The checks that each message bit enters."""
    entered: list[list[int]] = [[] for _ in range(code.groups * code.lift)]
    for one, some in enumerate(ldpc.graph(code)):
        for group, turn in some:
            for bit in range(code.lift):
                entered[group * code.lift + bit].append((bit + turn) % code.lift * code.classes + one)
    return entered[: code.message]


@pytest.mark.parametrize(("size", "parity"), SIZES)
def test_each_bit_enters_three_checks_and_no_two_share_two(size, parity):
    """Two bits in the same two checks (a cycle of four) tell each other what they said themselves; so do two checks that are neighbours."""
    code = Code(size, parity)
    entered = checks_of(code)
    assert code.message + code.checks == size
    assert {len(set(checks)) for checks in entered} == {3}
    pairs = [pair for checks in entered for pair in itertools.combinations(sorted(checks), 2)]
    assert len(pairs) == len(set(pairs)) or size == 512
    assert not any(second - first == 1 for first, second in pairs) or size == 512
    load = [len(some) for some in ldpc.graph(code)]
    assert max(load) - min(load) <= 1


@pytest.mark.parametrize(("size", "parity"), SIZES)
def test_code_words_satisfy_all_checks(size, parity):
    """Each check is the sum of its message bits, its own bit and the check bit before it."""
    code = Code(size, parity)
    message = np.random.default_rng(3).integers(0, 2, code.message, np.uint8)
    word = ldpc.encode(message, code)
    assert np.array_equal(word[: code.message], message)
    sums = np.zeros(code.checks, np.uint8)
    for bit, checks in zip(message, checks_of(code), strict=True):
        sums[checks] ^= bit
    before = np.concatenate([[np.uint8(0)], word[code.message : -1]])
    assert not (sums ^ word[code.message :] ^ before).any()
    assert ldpc.satisfies(word, code)
    word[[5, code.message + 7]] ^= 1
    assert not ldpc.satisfies(word, code)


def test_small_codes_have_more_checks_and_unused_sizes_no_message():
    """Chance weighs more where bits are few; below and above the sizes that are used a page holds nothing."""
    assert [Code(size, 64).checks / size for size in (1_024, 16_384, 262_144)] == pytest.approx([0.3125, 0.265625, 0.25390625])
    assert Code(511, 64).message == 0 == Code(ldpc.LARGEST + 1, 64).message
    assert Code(512, 64).message > 0 < Code(ldpc.LARGEST, 64).message


def noisy(word: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """Ratios of the bits sent as +1 and -1 through Gaussian noise."""
    seen = 1 - 2.0 * word + sigma * np.random.default_rng(seed).standard_normal(len(word))
    return (2 * seen / sigma**2).astype(np.float32)


def test_noise_close_to_capacity_is_corrected():
    """6 % of the bits are wrong, where no code of this rate (0.67) could correct 7.6 % (capacity 0.671 at sigma 0.70 against 0.725)."""
    code = Code(16_384, 80)
    word = ldpc.encode(np.random.default_rng(1).integers(0, 2, code.message, np.uint8), code)
    ratios = noisy(word, 0.64, 2)
    assert np.count_nonzero((ratios < 0) != word) > 900
    decoder = Decoder(code)
    decoder.see(ratios)
    left = [decoder.step() for _ in range(30)]
    assert left[0] > 1000
    assert left[-1] == 0
    assert decoder.solved
    assert np.array_equal(decoder.ratios < 0, word)


def test_the_decoder_goes_on_with_new_ratios():
    """What is believed is always what was seen last and what the checks tell; nothing of what was seen before stays."""
    code = Code(4_096, 64)
    word = ldpc.encode(np.random.default_rng(1).integers(0, 2, code.message, np.uint8), code)
    wrong, right = noisy(word, 0.9, 4), noisy(word, 0.5, 5)
    decoder = Decoder(code)
    for _ in range(3):
        decoder.see(-20 * np.sign(right))
        decoder.step()
    decoder.see(wrong)
    told = decoder.ratios - wrong
    decoder.see(right)
    assert np.allclose(decoder.ratios - right, told, atol=1e-3)
    for _ in range(40):
        decoder.step()
    assert np.array_equal(decoder.ratios < 0, word)


def test_what_a_page_does_not_hold_helps_to_read_it():
    """The bits beyond a page's bytes are known: a page that is half empty is read where a full one is not."""
    code = Code(8_192, 40)
    message = ldpc_page.noise(code.message).copy()
    half = code.message // 2
    message[:half] ^= np.random.default_rng(0).integers(0, 2, half, np.uint8)
    word = ldpc.encode(message, code)
    found = []
    for used in (code.message, half):
        decoder = Decoder(code)
        decoder.see(ldpc_page.with_padding(noisy(word, 0.66, 1), used, code))
        for _ in range(40):
            decoder.step()
        found.append(bool(np.array_equal(decoder.ratios < 0, word)))
    assert found == [False, True]


def test_bytes_come_back_from_their_symbols():
    """Through noise, code and order; an empty page is no even area."""
    layout = Layout(224, 168, 4, 8)
    code = ldpc_page.code_of(layout, 60)
    data = bytes(i % 256 for i in range(ldpc_page.capacity(layout, 60) + 4))
    for some in (data, b""):
        symbols = ldpc_page.symbols_of(some, code, layout.bits)
        assert len(symbols) == layout.data_cells
        placed = (symbols[:, None] >> np.array([2, 1, 0], np.uint8) & 1).ravel()
        word = placed[ldpc_page.order(code.size)]
        assert ldpc.satisfies(word, code)
        assert ldpc_page.to_data(word, code) == some.ljust(code.message // 8, b"\0")
        assert np.bincount(symbols, minlength=8).min() > layout.data_cells / 8 * 0.6
    assert sorted(ldpc_page.order(code.size)) == list(range(code.size))


def test_two_sure_but_wrong_check_bits_in_a_row_are_corrected():
    """They share a check, which they satisfy together; each of the two checks beside it must outweigh what the colours say of one bit."""
    code = Code(4_096, 64)
    word = ldpc.encode(np.random.default_rng(1).integers(0, 2, code.message, np.uint8), code)
    ratios = (soft._MOST * (1 - 2.0 * word)).astype(np.float32)
    for start in (0, 300):
        wrong = ratios.copy()
        wrong[code.message + start : code.message + start + 2] *= -1
        decoder = Decoder(code)
        decoder.see(wrong)
        for _ in range(10):
            decoder.step()
        assert np.array_equal(decoder.ratios < 0, word)


def reference(seen, known, means, covariance, bits):
    """(ratios of bits beyond what was known, posterior of symbols), by the definition, one cell at a time."""
    inverse, ratios, likely = np.linalg.inv(covariance), [], []
    for colour, own in zip(seen, known, strict=True):
        weight = []
        for symbol, mean in enumerate(means):
            away = colour - mean
            prior = sum(-own[b] for b in range(bits) if symbol >> (bits - 1 - b) & 1)
            weight.append(np.exp(-0.5 * away @ inverse @ away + prior))
        share = np.array(weight) / sum(weight)
        one = [sum(share[s] for s in range(len(means)) if s >> (bits - 1 - b) & 1) for b in range(bits)]
        ratios.append([np.log((1 - p) / p) - own[b] for b, p in enumerate(one)])
        likely.append(share)
    return np.array(ratios), np.array(likely)


@pytest.mark.parametrize("colors", [2, 16, 32])
def test_ratios_and_expected_colours_are_bayes_rule(colors):
    """A known bit weighs the symbols of the other bits, and is taken out of its own ratio."""
    draw = np.random.default_rng(colors)
    table, bits = palette(colors), colors.bit_length() - 1
    channels = table.shape[1]
    symbols = draw.integers(0, colors, 40)
    seen = (table[symbols] + 0.3 * draw.standard_normal((40, channels))).astype(np.float32)
    known = (3 * draw.standard_normal((40, bits))).astype(np.float32)
    root = 0.3 * np.eye(channels) + 0.1 * draw.standard_normal((channels, channels))
    covariance = root @ root.T + 0.02 * np.eye(channels)
    model = soft.Model.of(table, covariance - 1e-5 * np.eye(channels))
    ratios, likely = reference(seen.astype(np.float64), known, table.astype(np.float64), covariance, bits)
    assert np.allclose(soft.bit_ratios(seen, known, model, colors), np.clip(ratios, -10, 10), atol=2e-3)
    assert np.allclose(soft.expected_colors(seen, known, model, colors), likely @ table, atol=1e-4)
    alone, _ = reference(seen.astype(np.float64), 0 * known, table.astype(np.float64), covariance, bits)
    assert np.allclose(soft.bit_ratios(seen, None, model, colors), np.clip(alone, -10, 10), atol=2e-3)


def test_the_noise_is_learnt_from_pilots_and_relearnt_from_cells():
    """Both find the image of the palette and the covariance that made the colours; the second without the symbols."""
    draw = np.random.default_rng(7)
    table = palette(8)
    image, shift = np.array([[0.6, 0.1, 0], [0.05, 0.7, 0.1], [0, 0.1, 0.5]]), np.array([0.2, 0.1, 0.15])
    covariance = np.array([[0.02, 0.01, 0], [0.01, 0.03, 0.005], [0, 0.005, 0.015]])
    symbols = draw.integers(0, 8, 20_000).astype(np.uint8)
    means = table @ image + shift
    seen = (means[symbols] + draw.multivariate_normal(np.zeros(3), covariance, 20_000)).astype(np.float32)
    truth = soft.Model.of(means.astype(np.float32), covariance)
    learnt = soft.learnt(seen[:1_500], symbols[:1_500], 8)
    start = soft.Model.of(table, 0.1 * np.eye(3))
    model = start
    for _ in range(60):
        model = soft.relearnt(seen, None, model, 8)

    def ratios(model: soft.Model) -> np.ndarray:
        return soft.bit_ratios(seen[:2_000], None, model, 8)

    wanted = ratios(truth)
    for found, most in ((learnt, 0.1), (model, 0.1)):
        assert np.abs(ratios(found) - wanted).mean() < most * np.abs(ratios(start) - wanted).mean()
