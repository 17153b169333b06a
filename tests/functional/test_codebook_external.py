"""The codebook_external codec: any text byte for byte, few wasted visual tokens, and a decoder that damaged pages do not mislead."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ctxbench
from ctxbench import CapacityError, Carrier, ConfigError, DecodeError, tokens
from ctxbench_codebook_external import chunks, symbol_reader, symbols
from ctxbench_codebook_external.codec import CodebookExternal

DATA = Path(__file__).parents[1] / "data" / "codebook_external"
ODD = "Grüße, 世界! 👋\u200d\r\n\ttab\x00nul\n" * 4
NUMBERS = "".join(f"{i * 7919 % 10007} " for i in range(120))
FORMATS = ("qr", "datamatrix", "aztec")

GOLDEN = {
    "qr": ({}, ODD),
    "qr-tiled": ({"layout": "tiled", "max_version": 6, "compression": "zlib", "module": 2, "error": "M", "page": 280}, ODD + NUMBERS),
    "datamatrix": ({"format": "datamatrix"}, ODD),
    "aztec": ({"format": "aztec"}, ODD),
}


def random_text(size: int, seed: int = 1) -> str:
    return "".join(map(chr, np.random.default_rng(seed).integers(32, 127, size)))


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_pages_of_earlier_versions_still_decode(name):
    """Golden pages: a change of the chunk header would make stored pages unreadable."""
    options, text = GOLDEN[name]
    pages = [Image.open(path).convert("RGB") for path in sorted(DATA.glob(f"{name}-[0-9].png"))]
    assert pages
    assert CodebookExternal(**options).decode(Carrier(pages=pages)) == text


@pytest.mark.parametrize("name", ["qr", "qr-tiled"])
def test_pages_are_drawn_as_before(name):
    """QR codes are a standard: the same text gives the same pixels for good."""
    options, text = GOLDEN[name]
    for page, path in zip(CodebookExternal(**options).encode(text).pages, sorted(DATA.glob(f"{name}-[0-9].png")), strict=True):
        assert np.array_equal(np.asarray(page), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("kind", FORMATS)
@given(text=st.text(max_size=300))
@settings(max_examples=25, deadline=None)
def test_any_text_survives(kind, text):
    """Byte for byte, NUL and astral characters included."""
    codec = CodebookExternal(format=kind)
    assert codec.decode(codec.encode(text)) == text


@pytest.mark.parametrize("error", "LMQH")
@pytest.mark.parametrize("version", [1, 2, 9, 10, 26, 27, 40])
def test_full_qr_symbols_are_read_back(version, error):
    """At the last byte of a version's capacity; the length field grows at 10 and 27, and a v40-L of 2,947 bytes is not read."""
    size = symbols.qr_sizes(error)[version - 1]
    data = np.random.default_rng(version).bytes(size.capacity)
    drawn = np.kron(np.pad(~symbols.qr(data, size, error), 4, constant_values=True), np.ones((3, 3))).astype(np.uint8) * 255
    import zxingcpp

    assert [bytes(barcode.bytes) for barcode in zxingcpp.read_barcodes(drawn)] == [data]


@pytest.mark.parametrize(("kind", "limit"), [("datamatrix", symbols.DATAMATRIX_BYTES), ("aztec", symbols.AZTEC_BYTES)])
def test_full_symbols_of_the_other_formats_are_read_back(kind, limit):
    """Text of bytes above 127 takes the most room in both."""
    codec = CodebookExternal(format=kind)
    for text in ("é" * ((limit - chunks.HEADER.size) // 2), "\x00" * (limit - chunks.HEADER.size), random_text(limit - chunks.HEADER.size)):
        carrier = codec.encode(text)
        assert len(carrier.pages) == 1
        assert codec.decode(carrier) == text


@pytest.mark.parametrize(
    "options", [{}, {"layout": "tiled", "max_version": 12}, {"error": "H", "module": 3, "border": 2}, {"compression": "zlib"}]
)
@pytest.mark.parametrize("length", [0, 1, 700, 2946, 12_000])
def test_sizes_are_whole_visual_tokens_within_the_budget(options, length):
    """No page is rescaled, and the sizes that cost is computed from are the real ones."""
    codec = CodebookExternal(**options)
    text = random_text(length)
    pages = codec.encode(text).pages
    assert codec.page_sizes(text) == [page.size for page in pages]
    for page in pages:
        image = tokens.image_tokens(*page.size)
        assert (image.width, image.height, image.budget_scaled) == (*page.size, False)


def test_a_short_text_gets_a_small_page():
    """One character does not cost a v40 symbol."""
    assert CodebookExternal().page_sizes("x") == [(140, 140)]
    assert CodebookExternal(module=2).page_sizes("x") == [(84, 84)]


def test_long_texts_use_sizes_that_waste_little():
    """At least 3.9 bytes a visual token at 4 px a module (a full v40-L, border and all, holds 4.05)."""
    text = random_text(20_000)
    cost = sum(tokens.visual_tokens(*size) for size in CodebookExternal().page_sizes(text))
    assert 20_000 / cost > 3.9


@pytest.mark.parametrize("options", [{"max_version": 10}, {"layout": "tiled", "max_version": 10, "page": 560}])
def test_pages_may_come_in_any_order_turned_and_twice(options):
    """Every symbol knows its place."""
    codec = CodebookExternal(**options)
    text = random_text(3000)
    pages = list(codec.encode(text).pages)
    assert len(pages) >= 2
    turned = [page.transpose(Image.Transpose.ROTATE_90) for page in reversed(pages)]
    assert codec.decode(Carrier(pages=[*turned, pages[0]])) == text


def test_missing_symbols_are_named():
    """Counted from one, as a user counts pages."""
    codec = CodebookExternal(max_version=10)
    pages = codec.encode(random_text(1500)).pages
    assert len(pages) == 7
    with pytest.raises(DecodeError, match=r"^2 of 7 symbols could not be read: 2, 5$"):
        codec.decode(Carrier(pages=[page for i, page in enumerate(pages) if i not in (1, 4)]))


def test_symbols_of_another_document_are_not_mixed_in():
    """Two documents of equal length: the first's page in the second's place is an error, never a mixed text."""
    codec = CodebookExternal(max_version=10)
    first, second = codec.encode(random_text(600, 1)).pages, codec.encode(random_text(600, 2)).pages
    with pytest.raises(DecodeError, match="2 different documents"):
        codec.decode(Carrier(pages=[first[0], *second[1:]]))


def test_a_foreign_qr_code_is_no_text_of_ours():
    """A symbol without the header is not decoded as if it had one."""
    size = symbols.qr_sizes("L")[4]
    page = Image.fromarray(np.where(symbols.qr(b"https://example.org/", size, "L"), 0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1))
    padded = Image.new("RGB", (280, 280), "white")
    padded.paste(page.convert("RGB"), (40, 40))
    with pytest.raises(DecodeError, match="no symbol of this codec"):
        CodebookExternal().decode(Carrier(pages=[padded]))


def test_a_compressed_bomb_is_refused():
    """A symbol that unpacks to more than the limit is an error before memory runs out."""
    bomb = zlib.compress(b"\0" * (chunks.MAX_TEXT + 1), 9)
    parts = [chunks.Chunk(chunks.ZLIB, 0, 1, zlib.crc32(bomb), bomb)]
    with pytest.raises(DecodeError, match="unpacks to more than"):
        chunks.join(parts)


def test_chunks_with_a_wrong_checksum_are_refused():
    """Symbols that read well and do not belong together."""
    with pytest.raises(DecodeError, match="checksum"):
        chunks.join([chunks.Chunk(0, 0, 1, 12345, b"text")])


def test_too_much_says_how_much():
    """The limit is met before anything is drawn."""
    with pytest.raises(CapacityError, match=r"needs 1,\d\d\d pages, and 1,024 is the most"):
        CodebookExternal().encode("x" * (1024 * 2946))
    with pytest.raises(CapacityError, match="does not fit a page of 280 px"):
        CodebookExternal(layout="tiled", page=280, module=8).encode("x" * 5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "code128"}, "format must be one of qr, datamatrix, aztec, got 'code128'"),
        ({"error": "l"}, "error must be one of L, M, Q, H, got 'l'"),
        ({"module": 0}, "module must be from 1 to 32, got 0"),
        ({"max_version": 41}, "max_version must be from 1 to 40, got 41"),
        ({"border": True}, "border must be a whole number, got True"),
    ],
)
def test_bad_options_quote_value_and_range(options, message):
    """One line that says what is allowed."""
    with pytest.raises(ConfigError, match=message):
        ctxbench.load_plugins().codec("codebook_external", **options)


@pytest.mark.parametrize("level", ["light", "heavy"])
@pytest.mark.parametrize("options", [{}, {"layout": "tiled", "max_version": 15}, {"format": "datamatrix"}, {"format": "aztec"}], ids=str)
def test_damaged_pages_are_read_exactly(level, options):
    """Both levels at the default 4 px a module; the retry ladder is what reads the heavy ones."""
    codec, augmenter = CodebookExternal(**options), ctxbench.load_plugins().augmenter(level)
    text = random_text(2500)
    for seed in range(4):
        pages = [augmenter.apply(page, np.random.default_rng([seed, i])) for i, page in enumerate(codec.encode(text).pages)]
        assert codec.decode(Carrier(pages=pages)) == text


def test_the_ladder_reads_what_one_look_does_not():
    """Without the retries a share of heavy pages at 3 px a module fails that the ladder reads."""
    codec, augmenter = CodebookExternal(module=3), ctxbench.load_plugins().augmenter("heavy")
    text = random_text(900)
    (page,) = codec.encode(text).pages
    damaged = [augmenter.apply(page, np.random.default_rng(seed)) for seed in range(12)]
    plain = sum(bool(symbol_reader.read_symbols(np.asarray(image.convert("L")), "qr")) for image in damaged)
    ladder = 0
    for image in damaged:
        with contextlib.suppress(DecodeError):
            ladder += codec.decode(Carrier(pages=[image])) == text
    assert ladder > plain
