"""The codebook's parts: Reed-Solomon against reedsolo, header, packing of bits, palette, compression with bounds."""

from __future__ import annotations

import itertools
import zlib

import attrs
import brotli
import numpy as np
import pytest
import reedsolo
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench import CapacityError, DecodeError
from ctxbench_codebook import correct, document, hard_reader, header, palette, reed_solomon, symbol_bits
from ctxbench_codebook.correct import Blocks
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import Layout, pilots

HEADER = Header(4, 2, 32, 3, 258, 4096, 0x010203, 0xDEADBEEF, 35)


@settings(max_examples=40, deadline=None)
@given(total=st.integers(40, 2000), parity=st.integers(2, 200), seed=st.integers(0, 2**32))
def test_reed_solomon_is_that_of_reedsolo(total, parity, seed):
    """Code words equal an independent implementation's, byte for byte, interleaved as specified."""
    blocks = Blocks(total, parity)
    if blocks.capacity < 1:
        return
    data = np.random.default_rng(seed).integers(0, 256, blocks.capacity, np.uint8).tobytes()
    coded = correct.encode(data, blocks)
    coder = reedsolo.RSCodec(blocks.check, fcr=0, prim=0x11D, generator=2)
    k = blocks.size - blocks.check
    for b in range(blocks.count):
        assert coded[b :: blocks.count].tobytes() == bytes(coder.encode(data[b * k : (b + 1) * k]))


@settings(max_examples=25, deadline=None)
@given(total=st.integers(100, 1500), parity=st.integers(8, 100), seed=st.integers(0, 2**32))
def test_as_many_errors_as_half_the_parity_are_corrected(total, parity, seed):
    """Exactly t errors in every block are corrected; far more are refused or change the data, never crash."""
    blocks, rng = Blocks(total, parity), np.random.default_rng(seed)
    if blocks.capacity < 1:
        return
    data = rng.integers(0, 256, blocks.capacity, np.uint8).tobytes()
    coded = correct.encode(data, blocks)
    for b in range(blocks.count):
        places = rng.choice(blocks.size, blocks.check // 2, replace=False) * blocks.count + b
        coded[places] ^= rng.integers(1, 256, len(places), np.uint8)
    assert correct.decode(coded, blocks) == data


def test_too_many_errors_are_refused():
    """Random bytes are no code words."""
    with pytest.raises(DecodeError, match="too many errors for 32 parity bytes"):
        correct.decode(np.random.default_rng(0).integers(0, 256, 510, np.uint8), Blocks(510, 32))


@settings(max_examples=40, deadline=None)
@given(size=st.integers(12, 255), check=st.integers(2, 64), errors=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_repair_agrees_with_reedsolo_on_words_right_and_wrong(size, check, errors, seed):
    """The same words are corrected, to the same bytes, and the others are refused and left as they were."""
    check = min(check, size - 1)
    rng = np.random.default_rng(seed)
    words = reed_solomon.with_parity(rng.integers(0, 256, (6, size - check), np.uint8), check)
    for word in words[1:]:
        places = rng.choice(size, min(errors, size), replace=False)
        word[places] ^= rng.integers(1, 256, len(places), np.uint8)
    sent = words.copy()
    good = reed_solomon.repair(words, check)
    coder = reedsolo.RSCodec(check, fcr=0, prim=0x11D, generator=2)
    for before, after, right in zip(sent, words, good, strict=True):
        try:
            theirs = bytes(coder.decode(before.tobytes())[1])
        except reedsolo.ReedSolomonError:
            theirs = None
        assert (after.tobytes() if right else None) == theirs
        assert right or np.array_equal(before, after)


def test_certain_symbols_are_those_of_corrected_blocks():
    """A cell counts as certain only if all its bits are in blocks that were corrected."""
    layout = Layout(224, 224, 4, 8)
    blocks = Blocks(layout.raw_bytes, 32)
    data = np.random.default_rng(1).integers(0, 256, blocks.capacity, np.uint8).tobytes()
    coded = correct.encode(data, blocks)
    payload = ~pilots(layout)[0].ravel()
    sent = symbol_bits.to_symbols(coded, layout.bits, layout.data_cells)
    damaged = coded.copy()
    damaged[1 :: blocks.count] ^= 85  # the second block is beyond repair
    words, good = correct.mend(damaged, blocks)
    assert good.tolist() == [b != 1 for b in range(blocks.count)]
    symbols, known = hard_reader.certain_symbols(words, good, layout)
    assert 0 < known.sum() < payload.sum()
    assert not known[~payload].any()
    assert np.array_equal(symbols[known], sent[known[payload]])
    bits = np.flatnonzero(~np.tile(good, blocks.size))[0] * 8
    assert not known[payload][bits // 3]


def test_header_is_packed_as_specified():
    """Every field at its place, big-endian."""
    assert HEADER.pack().hex() == "cb01" + "04" + "02" + "20" + "03" + "0102" + "1000" + "010203" + "deadbeef" + "23"


def test_header_survives_seven_wrong_bytes_and_not_more():
    """14 parity bytes correct 7."""
    bits = header.to_bits(HEADER)
    assert header.from_bits(bits) == HEADER
    damaged = bits.copy()
    damaged[: 7 * 8] ^= 1
    assert header.from_bits(damaged) == HEADER
    damaged[: 8 * 8] = bits[: 8 * 8] ^ 1
    assert header.from_bits(damaged) is None


@pytest.mark.parametrize(("magic", "version"), [(0xCB, 0), (0xCB, 4), (0xCA, 1), (0xCA, 2)])
def test_a_header_of_another_format_is_none(monkeypatch, magic, version):
    """A page of a later version means something else by the same bytes, so it is not read as if it were of this one."""
    with monkeypatch.context() as other:
        other.setattr(header, "MAGIC", magic)
        other.setattr(header, "VERSIONS", (version,))
        later = attrs.evolve(HEADER, version=version)
        bits = header.to_bits(later)
        assert header.from_bits(bits) == later
    assert header.from_bits(bits) is None


@pytest.mark.parametrize(
    "change",
    [
        {"cell": 0},
        {"cell": 29},
        {"bits": 0},
        {"bits": 7},
        {"parity": 1},
        {"parity": 201},
        {"compression": 4},
        {"squares": 3},
        {"page": 4097},
    ],
    ids=str,
)
def test_a_header_with_an_impossible_value_is_none(change):
    """Otherwise a page could ask for a layout that does not exist."""
    import attrs

    assert header.from_bits(header.to_bits(attrs.evolve(HEADER, **change))) is None


@settings(max_examples=50, deadline=None)
@given(bits=st.integers(1, 6), data=st.binary(max_size=200), more=st.integers(0, 30))
def test_bytes_to_symbols_and_back(bits, data, more):
    """Whatever does not fill a byte is filler and is not read."""
    cells = -(-len(data) * 8 // bits) + more
    symbols = symbol_bits.to_symbols(np.frombuffer(data, np.uint8), bits, cells)
    assert len(symbols) == cells
    assert (symbols < 1 << bits).all()
    assert symbol_bits.to_bytes(symbols, bits).tobytes()[: len(data)] == data


@pytest.mark.parametrize("colors", palette.COLORS)
def test_neighbouring_levels_differ_in_one_bit(colors):
    """Gray code: from 8 colours on, the nearest other colour differs in one bit; all colours differ."""
    table = palette.levels(colors)
    assert len({tuple(row) for row in table.tolist()}) == colors
    if colors >= 8:
        for a, b in itertools.combinations(range(colors), 2):
            differing = np.flatnonzero(np.abs(table[a] - table[b]) > 0.01)
            if len(differing) == 1 and np.abs(table[a] - table[b]).max() < 0.34:
                assert (a ^ b).bit_count() == 1


def test_pilots_use_all_colours_evenly():
    """Otherwise some colours' channel would be learnt from too few cells."""
    mask, values = pilots(Layout(980, 980, 4, 16))
    counts = np.bincount(values[mask], minlength=16)
    assert counts.min() > 0.7 * counts.mean()
    assert mask.mean() == pytest.approx(0.04, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=200), how=st.sampled_from(("auto", *document.COMPRESSIONS)))
def test_text_survives_each_compression(text, how):
    """Empty texts too."""
    try:
        payload, number = document.compress(text, how)
    except UnicodeEncodeError:
        assert any(0xD800 <= ord(c) <= 0xDFFF for c in text)
        return
    assert document.unpack(payload, number) == text


def test_auto_is_the_smallest():
    """``auto`` never costs more than any one of them."""
    for text in ("a", "abc" * 500, "".join(map(chr, np.random.default_rng(0).integers(32, 127, 400)))):
        assert len(document.compress(text, "auto")[0]) == min(len(document.compress(text, how)[0]) for how in document.COMPRESSIONS)


BOMB = b"a" * 2_000_000
BOMBS = {1: zlib.compress(BOMB, 9), 2: zstandard.ZstdCompressor().compress(BOMB), 3: brotli.compress(BOMB)}


@pytest.mark.parametrize("compression", BOMBS)
def test_a_bomb_is_refused(compression, monkeypatch):
    """A few bytes on a page must not fill the memory, in any compression; a text of exactly the limit is read."""
    payload = BOMBS[compression]
    assert len(payload) < 3000
    monkeypatch.setattr(document, "MAX_TEXT", len(BOMB))
    assert document.unpack(payload, compression) == BOMB.decode()
    monkeypatch.setattr(document, "MAX_TEXT", len(BOMB) - 1)
    with pytest.raises(DecodeError, match="unpack to more than 1,999,999 bytes"):
        document.unpack(payload, compression)


@pytest.mark.parametrize("compression", BOMBS)
def test_a_cut_or_wrong_stream_is_refused(compression):
    """Half a stream would be half a text."""
    payload = BOMBS[compression]
    for wrong in (payload[:-3], payload[: len(payload) // 2], b"", b"\xff" * 50):
        with pytest.raises(DecodeError, match="the pages were read, but"):
            document.unpack(wrong, compression)


def test_zstd_that_hides_its_size_is_bounded(monkeypatch):
    """A frame without a content size, or with a wrong one, is not of this codec."""
    monkeypatch.setattr(document, "MAX_TEXT", 1000)
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(BOMB)
    with pytest.raises(DecodeError):
        document.unpack(hidden, 2)


@pytest.mark.parametrize(
    ("log", "message"), [(23, "unpack to more than 1,000 bytes"), (24, "unpack to more than 1,000 bytes"), (25, "too much memory")]
)
def test_a_zstd_frame_may_ask_for_16_mib_and_no_more(monkeypatch, log, message):
    """What does not fit what is read needs a window as large as the frame's header asks for: 16 MiB, twice what the encoder asks for."""
    monkeypatch.setattr(document, "MAX_TEXT", 1000)
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=log, write_content_size=True)
    payload = zstandard.ZstdCompressor(compression_params=parameters).compress(b"a" * (2**log + 1))
    assert zstandard.get_frame_parameters(payload).window_size == 2**log
    with pytest.raises(DecodeError, match=message):
        document.unpack(payload, 2)


def test_a_small_payload_unpacks_to_less_than_a_large_one(monkeypatch):
    """Memory follows what is on the pages; the encoder keeps to it, too: ``auto`` takes a compression whose payload is large enough."""
    monkeypatch.setattr(document, "MAX_SURE", 100_000)
    with pytest.raises(DecodeError, match="unpack to more than 100,000 bytes"):
        document.unpack(BOMBS[1], 1)
    assert document.largest(b"x" * 20_000) == 160_000
    assert document.compress(BOMB.decode(), "auto") == (BOMB, 0)
    with pytest.raises(CapacityError, match="2,000,000 bytes, too many for what brotli makes of them"):
        document.compress(BOMB.decode(), "brotli")


def test_bytes_that_are_no_text_are_refused():
    """Raw payloads must be UTF-8."""
    with pytest.raises(DecodeError, match="do not hold a text"):
        document.unpack(b"\xff\xfe", 0)


def test_a_text_too_large_to_unpack_is_not_encoded(monkeypatch):
    """Otherwise ``encode`` would make pages that ``decode`` refuses."""
    monkeypatch.setattr(document, "MAX_TEXT", 10)
    with pytest.raises(CapacityError, match="11 bytes, and 10 is the most"):
        document.compress("a" * 11, "auto")
