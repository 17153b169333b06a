"""Aligned pages: where codes stand, what damage they bear, and what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ctxbench import Carrier, ConfigError, DecodeError, load_plugins
from ctxbench.tokens import visual_tokens
from ctxbench_codebook import symbols
from ctxbench_codebook.aligned import header as aligned_header
from ctxbench_codebook.aligned.header import read_header
from ctxbench_codebook.aligned.layout import Modulation, shares
from ctxbench_codebook.codec import Codebook

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Aligned: Grüße, 世界! 0123456789\n" * 12
RGB = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def page_of(text: str, **options) -> np.ndarray:
    (page,) = Codebook(preset="aligned", **options).encode(text).pages
    return np.asarray(page).copy()


def decoded(*pages: np.ndarray) -> str:
    return Codebook().decode(Carrier(pages=[Image.fromarray(page) for page in pages]))


def payload_of(page: np.ndarray) -> int:
    head = read_header(page)
    assert head is not None
    return head.payload


def recolour(page: np.ndarray, cell: int, colors: np.ndarray) -> None:
    """Give cell number ``cell`` of the sequence another colour."""
    columns = page.shape[1] // 28
    square, inner = divmod(cell, 49)
    y, x = square // columns * 28 + inner // 7 * 4, square % columns * 28 + inner % 7 * 4
    old = int(np.flatnonzero((colors == page[y, x]).all(1))[0])
    page[y : y + 4, x : x + 4] = colors[(old + 1) % len(colors)]


def test_a_square_is_the_documented_one():
    """Models are trained on these pixels: 48 cells of two bits, most significant pair first, in rows of 7; the 49th is black."""
    text = "".join(map(chr, range(33, 33 + 60)))
    page = page_of(text)
    columns = page.shape[1] // 28
    for square in range(5):
        values = text.encode()[12 * square : 12 * square + 12]
        cells = [value >> shift & 3 for value in values for shift in (6, 4, 2, 0)] + [0]
        wanted = np.kron(np.array(cells, np.uint8).reshape(7, 7), np.ones((4, 4), np.uint8))
        y, x = square // columns * 28, square % columns * 28
        assert np.array_equal(page[y : y + 28, x : x + 28], RGB[wanted])


@pytest.mark.parametrize("columns", [2, 5, 8])
def test_every_page_has_the_columns_asked_for(columns):
    """So that a model that learned one geometry meets it at every length."""
    codec = Codebook(preset="aligned", colors=8, columns=columns, page=224)
    for length in (0, 1, 150, 900, 4000):
        text = "columns " * (length // 8)
        made = codec.encode(text).pages
        assert [page.size for page in made] == codec.page_sizes(text)
        assert {page.width for page in made} == {28 * columns}
        assert all(56 <= page.height <= 224 for page in made)
        assert Codebook().decode(Carrier(pages=made)) == text
    with pytest.raises(ValueError, match="columns must be at most the 8 squares of a page of 224 px, got 9"):
        Codebook(preset="aligned", columns=9, page=224)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=400),
    symbol=st.sampled_from(symbols.SYMBOLS),
    colors=st.sampled_from([2, 4, 8, 16]),
    cell=st.sampled_from([2, 4, 7]),
    parity=st.sampled_from([2, 8, 64]),
    page=st.sampled_from([196, 980]),
    columns=st.none() | st.integers(4, 7),
)
def test_any_text_round_trips(text, symbol, colors, cell, parity, page, columns):
    """Every Unicode text comes back with every kind of code, however its codes fall into squares and pages."""
    try:
        codec = Codebook(preset="aligned", symbol=symbol, colors=colors, cell=cell, parity=parity, page=page, columns=columns)
    except ValueError:
        assert Modulation(cell, colors).codes(symbols.WIDTHS[symbol]) < 1 or page == 196
        return
    carrier = codec.encode(text)
    assert [image.size for image in carrier.pages] == codec.page_sizes(text)
    assert Codebook().decode(Carrier(pages=carrier.pages[::-1])) == text


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_errors_up_to_the_capability_are_corrected(data):
    """Any wrong bytes, half as many in a block as it has parity, give the exact text."""
    page = page_of(TEXT, parity=data.draw(st.sampled_from([8, 32, 100])))
    payload = payload_of(page)
    found = shares(Modulation(4, 4), page.shape[0] * page.shape[1] // 784, payload)
    assert found is not None
    for block in range(found.blocks):
        own = range(block, found.data, found.blocks)
        for byte in data.draw(st.lists(st.sampled_from(own), min_size=found.check // 2, max_size=found.check // 2, unique=True)):
            last = min(3, payload * 49 - 1 - byte * 4)  # the payload's last byte may have fewer cells than four; parity follows
            recolour(page, byte * 4 + data.draw(st.integers(0, last)), RGB)
    assert decoded(page) == TEXT


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_errors_never_give_another_text(seed):
    """Beyond the capability the page is named in a DecodeError."""
    page = page_of(TEXT)
    payload = payload_of(page)
    rng = np.random.default_rng(seed)
    for cell in rng.choice(payload * 49, payload * 10, replace=False):
        recolour(page, int(cell), RGB)
    with pytest.raises(DecodeError, match="page 1 of 1"):
        decoded(page)


def test_the_header_bears_three_wrong_bytes_and_no_more():
    """Its six parity bytes correct three; then the page is not recognised, and not guessed at."""
    page = page_of(TEXT)
    cells = page.shape[0] * page.shape[1] // 16
    for byte in (0, 7, 20):
        recolour(page, cells - 96 + 4 * byte, RGB)
    assert decoded(page) == TEXT
    recolour(page, cells - 96 + 4 * 12, RGB)
    with pytest.raises(DecodeError):
        decoded(page)


def test_a_header_that_names_too_many_codes_is_refused():
    """A header moved to a smaller page names codes that it has no room for."""
    large, small = page_of(TEXT), page_of("x")
    small[-28:, -56:] = large[-28:, -56:]
    with pytest.raises(DecodeError, match="more codes"):
        decoded(small)


def test_pages_of_two_documents_and_lost_pages_are_named():
    """Neither mixtures nor gaps are joined."""
    codec = Codebook(preset="aligned", page=196)
    one, two = (codec.encode(letter * 1200).pages for letter in "ab")
    assert len(one) == len(two) > 2
    with pytest.raises(DecodeError, match="2 different documents"):
        codec.decode(Carrier(pages=[one[0], two[1], *one[2:]]))
    with pytest.raises(DecodeError, match=f"page 2 of {len(one)} could not"):
        codec.decode(Carrier(pages=[one[0], *one[2:]]))


def test_pages_after_jpeg_are_read():
    """Cells are decided by their mean colour, so that mild noise does not matter."""
    import io

    (page,) = Codebook(preset="aligned").encode(TEXT).pages
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=92, subsampling=0)
    assert Codebook().decode(Carrier(pages=[Image.open(buffer).convert("RGB")])) == TEXT


@pytest.mark.parametrize("colors", [2, 4])
def test_pages_after_light_augmentation_are_read(colors):
    """A page that was scaled, turned a little, blurred and compressed is found on its white canvas by a codec of the preset."""
    registry = load_plugins()
    augmenter, codec = registry.augmenter("light"), Codebook(preset="aligned", colors=colors, parity=64)
    for seed in range(6):
        pages = [augmenter.apply(page, np.random.default_rng(seed)) for page in codec.encode(TEXT).pages]
        assert codec.decode(Carrier(pages=pages)) == TEXT


@pytest.mark.parametrize("symbol", symbols.SYMBOLS)
def test_published_pages_are_read_for_ever(symbol):
    """Pages of version 1 that were kept as files: both the reader and the drawing must stay as they are."""
    folder = ROOT / "tests" / "data" / "codebook_aligned"
    text = (folder / "text.txt").read_text("utf-8")
    page = Image.open(folder / f"version-1-{symbol}.png").convert("RGB")
    assert Codebook().decode(Carrier(pages=[page])) == text
    (drawn,) = Codebook(preset="aligned", symbol=symbol).encode(text).pages
    assert np.array_equal(np.asarray(drawn), np.asarray(page))


@pytest.mark.parametrize(("name", "value"), [("VERSION", 2), ("MAGIC", 0xA0)])
def test_a_page_of_another_format_is_not_read(monkeypatch, name, value):
    """A later version means something else by the same bytes, so its pages are no pages to this one."""
    with monkeypatch.context() as other:
        other.setattr(aligned_header, name, value)
        page = page_of(TEXT)
        assert read_header(page) is not None
    assert read_header(page) is None


def test_a_symbol_that_is_not_known_yet_is_refused(monkeypatch):
    """A page of a later dictionary is not read with another one's entries: to a reader of three symbols this one's fourth is unknown."""
    page = page_of(TEXT, symbol="dictionary2")
    monkeypatch.setattr(aligned_header, "SYMBOLS", symbols.SYMBOLS[:3])
    assert read_header(page) is None
    with pytest.raises(DecodeError):
        decoded(page)


def test_what_the_tokenizer_would_change_is_carried_as_bytes():
    """Qwen's tokenizer normalises to NFC; such a text still comes back exactly."""
    codec = Codebook(preset="aligned", symbol="bpe")
    carrier = codec.encode("e\u0301")
    assert codec.decode(carrier) == "e\u0301"
    head = read_header(np.asarray(carrier.pages[0]))
    assert head is not None
    assert head.symbol == "byte"


def test_tokens_without_the_tokenizer(monkeypatch):
    """The optional package is asked for by name, when encoding and when decoding."""
    carrier = Codebook(preset="aligned", symbol="bpe").encode("abc")
    monkeypatch.setattr(symbols, "_qwen", lambda: None)
    with pytest.raises(ConfigError, match="ctxbench-qwen-tokens"):
        Codebook(preset="aligned", symbol="bpe").encode("abc")
    with pytest.raises(DecodeError, match="ctxbench-qwen-tokens"):
        Codebook().decode(carrier)


@pytest.mark.parametrize(
    ("symbol", "published"),
    [
        ("dictionary", "84b533d9ef5838ecbb83de1dfe6b34de9ce0b6dec832b8a64f6b43d7cb3127d3"),
        ("dictionary2", "bbd2833115aed4c079803e30081db9e448bb062002a75f112bb7791753a79096"),
    ],
)
def test_the_dictionaries_are_complete_and_published(symbol, published):
    """4,096 different entries, all bytes among them; old pages need these very files."""
    import hashlib

    table = symbols.entries(symbol)
    assert len(set(table)) == len(table) == 4096
    assert table[:256] == tuple(bytes([i]) for i in range(256))
    assert hashlib.sha256(b"\n".join(entry.hex().encode() for entry in table)).hexdigest() == published


def test_symbols_keep_their_numbers():
    """Pages name their symbol by these numbers; a symbol that moved would make old pages another text."""
    for number, symbol in enumerate(("byte", "dictionary", "bpe", "dictionary2")):
        head = read_header(page_of(TEXT, symbol=symbol))
        assert head is not None
        assert (head.symbol, head.pack()[2]) == (symbol, number)


def test_the_longest_entry_is_taken():
    """Greedy matching, so that equal texts have equal codes everywhere."""
    table = (*(bytes([i]) for i in range(256)), b"ab", b"abcd", b"bc")
    assert symbols.greedy(b"abcabcda", *symbols.index(table)) == [256, 99, 257, 97]


def test_a_short_context_costs_a_quarter_of_its_tokens():
    """128 reference tokens of json_restore cost at most 32 visual tokens on average with four colours and byte codes, everything included;
    header and parity take three squares, and the shape of the page, which is no strip, as many as another four."""
    task, costs = load_plugins().task("json_restore"), []
    for seed in range(24):
        context = task.sample(128, seed).context
        costs.append(sum(visual_tokens(*size) for size in Codebook(preset="aligned").page_sizes(context)))
        squares = -(-len(context.encode()) // 12)
        assert squares + 3 <= costs[-1] <= squares + 7
        if squares == 29:
            assert costs[-1] == 32
    assert sum(costs) / len(costs) <= 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "aligned", "cell": 5}, "cell must be one of 2, 4, 7, 14"),
        ({"preset": "aligned", "colors": 64}, "colors one of 2, 4, 8, 16, got 4 and 64"),
        ({"preset": "aligned", "cell": 14, "colors": 2}, "holds no byte"),
        ({"preset": "aligned", "compression": "zlib"}, "got 'zlib'"),
        ({"preset": "aligned", "cell": 14, "colors": 4, "page": 112}, "raise page"),
        ({"symbol": "bpe"}, "preset aligned, got 'bpe'"),
        ({"preset": "aligned", "symbol": "word"}, "got 'word'"),
    ],
)
def test_options_that_cannot_be(options, message):
    """Impossible combinations are refused when they are written, not when a text comes."""
    with pytest.raises(ValueError, match=message):
        Codebook(**options)
