"""The codebook's pages: any text with any options comes back; damage gives the exact text or DecodeError, never another text."""

from __future__ import annotations

import contextlib
import itertools
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import ctxbench
from benchmarks import codebook_fuzz
from ctxbench import CapacityError, Carrier, DecodeError, EncodeError
from ctxbench_codebook import compressed as module
from ctxbench_codebook import hard_reader, header, ldpc_page, parity_page
from ctxbench_codebook.codec import PRESETS, Codebook
from ctxbench_codebook.layout import Layout, draw

TEXT = "Grüße, 世界! 👋\u200d\r\n\ttab\x00nul\n"
LONG = np.random.default_rng(5).integers(32, 127, 3000, np.uint8).tobytes().decode()
OPTIONS = st.fixed_dictionaries(
    {
        "preset": st.sampled_from(sorted(set(PRESETS) - {"aligned"})),
        "cell": st.none() | st.integers(1, 8),
        "colors": st.none() | st.sampled_from((2, 4, 8, 16, 32, 64)),
        "parity": st.none() | st.integers(2, 200),
        "page": st.integers(4, 16).map(lambda n: 28 * n),
        "compression": st.sampled_from(("auto", "raw", "zlib", "zstd", "brotli")),
        "parity_page": st.booleans(),
    }
)


def read(*pages: Image.Image | np.ndarray) -> str:
    return Codebook().decode(Carrier(pages=[page if isinstance(page, Image.Image) else Image.fromarray(page) for page in pages]))


def one_page(text: str = TEXT, **options: object) -> np.ndarray:
    (page,) = Codebook(**options).encode(text).pages
    return np.asarray(page)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=120), options=OPTIONS)
def test_any_text_with_any_options_comes_back(text, options):
    """A reader needs only the pixels: it is given none of the writer's options."""
    try:
        codec = Codebook(**options)
    except ValueError as error:
        refused = ("holds no text in cells", "cannot share a code word", "parity_page is not for")
        assert any(reason in str(error) for reason in refused)  # noqa: PT017 - the only combinations that are refused
        return
    carrier = codec.encode(text)
    assert [page.size for page in carrier.pages] == codec.page_sizes(text)
    assert all(side % 28 == 0 for page in carrier.pages for side in page.size)
    assert read(*carrier.pages) == text


@pytest.mark.parametrize(("preset", "order"), [("camera", "camera"), ("camera", "paper"), ("paper", "paper")])
def test_soft_decisions_read_what_hard_ones_do_not(preset, order):
    """A page that is scaled by 0.7, the worst that ``heavy`` draws: the same cells and parity with Reed-Solomon are not read."""
    heavy = ctxbench.load_plugins().augmenter("heavy", order=order, scale=0.7)
    text = LONG[:2000]
    for name in (preset, "robust"):
        codec = Codebook(preset=name, cell=4, parity=PRESETS[preset]["parity"], page=448, compression="raw")
        (page,) = codec.encode(text).pages
        damaged = heavy.apply(page, np.random.default_rng(11))
        if name == preset:
            assert read(damaged) == text
        else:
            with pytest.raises(DecodeError, match="too many errors"):
                read(damaged)


def test_a_code_word_with_another_checksum_is_no_text():
    """All checks of the LDPC code are right, and the bytes are not those that were written."""
    text = LONG[:300]
    (page,) = Codebook(preset="camera", compression="raw").encode(text).pages
    layout = Layout(*page.size, 4, 16)
    head = header.Header(4, 4, 74, 0, 0, 1, 300, zlib.crc32(text.encode()), page.height // 28, header.LDPC)
    for data, right in ((text.encode() + zlib.crc32(text.encode()).to_bytes(4, "big"), True), (text.encode() + bytes(4), False)):
        symbols = ldpc_page.symbols_of(data, ldpc_page.code_of(layout, 74), layout.bits)
        drawn = Image.fromarray(draw(layout, header.to_bits(head), symbols))
        if right:
            assert np.array_equal(drawn, page)
            assert read(drawn) == text
        else:
            with pytest.raises(DecodeError, match="the checksum differs"):
                read(drawn)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", range(4))
def test_turned_and_mirrored(turn, mirrored):
    """Every one of the eight ways up, of a page that is not square."""
    page = np.rot90(one_page(LONG[:330]), turn)
    assert page.shape[0] != page.shape[1]
    assert read(np.ascontiguousarray(page[:, ::-1] if mirrored else page)) == LONG[:330]


def test_pages_in_any_order_and_twice():
    """Pages say where they belong."""
    pages = Codebook(page=224, compression="raw").encode(LONG[:1000]).pages
    assert len(pages) >= 3
    for order in itertools.islice(itertools.permutations(pages), 6):
        assert read(*order, order[0]) == LONG[:1000]


def test_a_lost_page_is_named():
    """And so is what became of a page that cannot be read."""
    pages = Codebook(page=224, compression="raw").encode(LONG[:1000]).pages
    with pytest.raises(DecodeError, match=f"^page 2 of {len(pages)} could not be read$"):
        read(*pages[:1], *pages[2:])
    with pytest.raises(DecodeError, match=r"page 2 of \d+ could not be read \(picture 2: no frame of a codebook page"):
        read(pages[0], Image.new("RGB", (200, 200), "white"), *pages[2:])


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=1500), page=st.sampled_from([168, 224, 252]), data=st.data())
def test_a_parity_page_restores_any_one_page(text, page, data):
    """The last page, which is shorter, and the parity page itself, too."""
    codec = Codebook(page=page, parity_page=True)
    made = codec.encode(text).pages
    assert [page.size for page in made] == codec.page_sizes(text)
    lost = data.draw(st.integers(0, len(made) - 1))
    rest = data.draw(st.permutations(made[:lost] + made[lost + 1 :]))
    assert read(*made) == read(*rest) == text


def test_a_parity_page_restores_no_two_pages():
    """And says so."""
    pages = Codebook(page=224, compression="raw", parity_page=True).encode(LONG[:1000]).pages
    with pytest.raises(DecodeError, match=r"^page 1, 3 of \d+ could not be read; the parity page restores only one$"):
        read(pages[1], *pages[3:])


def test_a_parity_page_of_another_document_is_refused():
    """Its id differs; one that claims the id gives an error, too."""
    first, second = (Codebook(page=224, compression="raw", parity_page=True).encode(LONG[i : i + 1000]).pages for i in (0, 1000))
    with pytest.raises(DecodeError, match="different documents"):
        read(*first[1:-1], second[-1])
    with pytest.raises(DecodeError, match="does not belong"):
        parity_page.restore(b"\xff" * 40, [b"abc"])
    with pytest.raises(DecodeError, match="shorter than a page"):
        parity_page.restore(b"", [b"abc"])


def test_a_parity_page_is_padded_with_zeros():
    """Its bytes are the exclusive or of all records, each filled with zeros to the end of the longest, wherever that one stands."""
    assert parity_page.make([b"ab", b"abcde", b""]) == bytes([0, 0, 2 ^ 5 ^ 0]) + b"\0\0cde"
    pages = [b"abc", b"abcdefgh", b"z"]
    parity = parity_page.make(pages)
    assert len(parity) == 3 + 8
    for lost in range(3):
        assert parity_page.restore(parity, pages[:lost] + pages[lost + 1 :]) == pages[lost]
    # The length that comes out fits, and behind it is something: these pages were never protected by this one.
    with pytest.raises(DecodeError, match="does not belong to the other pages"):
        parity_page.restore(parity[:-1] + bytes([parity[-1] ^ 1]), [b"abc", b"abcdefgh"])


def test_pages_of_two_documents_are_refused():
    """Even if both are whole, or both have as many pages."""
    first, second = (Codebook(page=224, compression="raw").encode(LONG[i : i + 1000]).pages for i in (0, 1000))
    for mixed in ([first[0], *second[1:]], [*first, *second]):
        with pytest.raises(DecodeError, match="2 different documents"):
            read(*mixed)


def test_no_page_and_odd_pictures():
    """The smallest pictures, and modes other than RGB."""
    with pytest.raises(DecodeError, match="holds no page"):
        Codebook().decode(Carrier())
    for size, mode in itertools.product([(1, 1), (1, 500), (500, 2), (3, 3), (112, 112)], ["RGB", "L", "RGBA", "1"]):
        with pytest.raises(DecodeError):
            read(Image.new(mode, size))
    assert read(Image.fromarray(one_page()).convert("RGBA")) == TEXT
    assert read(Image.fromarray(one_page(preset="bw4")).convert("L")) == TEXT


# ---- like a photograph


def scene(page: np.ndarray, corners: list[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """A grey table with a few things on it, and the page with its corners there."""
    table = np.full((size[1], size[0], 3), 190, np.uint8)
    cv2.circle(table, (40, 40), 25, (30, 60, 90), -1)
    cv2.putText(table, "page 1", (120, size[1] - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
    cv2.rectangle(table, (size[0] - 60, 20), (size[0] - 20, 90), (20, 20, 20), -1)
    height, width = page.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, np.array(corners, np.float32))
    cv2.warpPerspective(page, matrix, size, table, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return table


@pytest.mark.parametrize("preset", ["bw4", "color4", "robust"])
def test_somewhere_in_a_photograph(preset):
    """Other content around, slight perspective, a turn, and light that falls from 1 to 0.6 from corner to corner."""
    page = one_page(LONG[:900], preset=preset, compression="raw")
    corners = np.array([[0, 0], [1, 0.03], [0.97, 1.02], [-0.03, 0.98]]) * page.shape[1::-1] * 1.2 + (130, 110)
    picture = scene(page, corners.tolist(), (int(corners[:, 0].max()) + 140, int(corners[:, 1].max()) + 90))
    ramp = np.linspace(0, 0.2, picture.shape[0])[:, None] + np.linspace(0, 0.2, picture.shape[1])
    assert read((picture * (1 - ramp[..., None])).astype(np.uint8)) == LONG[:900]


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_perspective(share, seed):
    """The ratio of the page's sides changes by more than a square of 28 px; the header names the page's height."""
    page = Image.fromarray(one_page(LONG, compression="raw"))
    bend = ctxbench.load_plugins().augmenter("custom", perspective=share)
    assert read(bend.apply(page, np.random.default_rng(seed))) == LONG


@pytest.mark.parametrize(
    ("preset", "level", "order"),
    [(preset, "heavy", order) for preset in ("bw4", "color4", "robust") for order in ("camera", "paper")]
    + [("dense", "light", "camera"), ("dense", "light", "paper")],
)
def test_levels_of_damage(preset, level, order):
    """Each preset reads what it is made for."""
    page = Image.fromarray(one_page(LONG, preset=preset, compression="raw"))
    damage = ctxbench.load_plugins().augmenter(level, order=order)
    for seed in range(2):
        assert read(damage.apply(page, np.random.default_rng(seed))) == LONG


# ---- damage


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(codebook_fuzz.DAMAGES), preset=st.sampled_from(("bw4", "color4", "robust", "dense")), seed=st.integers(0, 2**32)
)
def test_damage_gives_the_text_or_an_error(kind, preset, seed):
    """Blocks, crops, wrong bits in the header's band, another page's cells: never a wrong text, never another exception."""
    rng = np.random.default_rng(seed)
    picture = kind(codebook_fuzz.valid(preset, 3), rng)
    legal = {codebook_fuzz.TEXT * n for n in range(1, 6)} if kind is codebook_fuzz.swap else {codebook_fuzz.TEXT * 3}
    try:
        text = read(np.ascontiguousarray(picture))
    except DecodeError:
        return
    assert text in legal


@settings(max_examples=40, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 200)), max_size=60))
def test_wrong_bits_in_the_header(flips):
    """Up to seven wrong bytes are corrected; more are noticed."""
    page = one_page(LONG[:500], compression="raw").copy()
    for row, column in flips:
        y, x = 16 + 4 * row, 12 + 4 * (column % ((page.shape[1] - 24) // 4))
        page[y : y + 4, x : x + 4] ^= 255
    try:
        assert read(page) == LONG[:500]
    except DecodeError:
        assert len(flips) > 3


def test_a_hole_in_the_payload_is_corrected():
    """Reed-Solomon, interleaved: a black square over a twentieth of the cells costs nothing."""
    page = one_page(LONG, compression="raw").copy()
    side = int((page.shape[0] * page.shape[1] * 0.04) ** 0.5)
    page[100 : 100 + side, 150 : 150 + side] = 0
    assert read(page) == LONG


@pytest.mark.parametrize("inputs", [64, pytest.param(300, marks=pytest.mark.long)])
def test_fuzz(inputs):
    """Some of the inputs that the benchmark runs 10,000 of; it raises at a wrong text or another exception."""
    decoded, refused, _ = codebook_fuzz.run(inputs, seed=2)
    assert decoded.total() + refused.total() == inputs
    assert decoded.total() >= inputs // 15
    assert refused["noise"] == -(-inputs // 8)


# ---- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "huge"}, "preset must be one of bw4, color4, robust, dense, max.*, got 'huge'"),
        ({"cell": 0}, "cell must be from 1 to 28, got 0"),
        ({"cell": True}, "cell must be a whole number, got True"),
        ({"colors": 3}, "colors must be one of 2, 4, 8, 16, 32, 64, got 3"),
        ({"parity": 1}, "parity must be from 2 to 200, got 1"),
        ({"parity_page": 1}, "parity_page must be true or false, got 1"),
        ({"parity_page": True, "preset": "aligned"}, "parity_page is not for the preset aligned"),
        ({"columns": 8}, "columns is an option of the preset aligned alone, got 8 with color4"),
        ({"page": 84}, "page must be from 112 to 3584, got 84"),
        ({"page": 113}, "page must be a multiple of 28 px, got 113"),
        ({"page": 112, "cell": 28}, "a page of 112 px holds no text in cells of 28 px; raise page or lower cell or parity"),
        (
            {"preset": "fine", "page": 3584},
            "holds no text in cells of 2 px; such pages would be too large for one code word",
        ),
        ({"compression": "gzip"}, "compression must be one of auto, raw, zlib, zstd, brotli, got 'gzip'"),
    ],
    ids=str,
)
def test_options_are_checked(options, message):
    """The message names the option, the legal values and the value."""
    with pytest.raises(ValueError, match=message):
        Codebook(**options)


@pytest.mark.parametrize("preset", PRESETS)
def test_config_makes_the_same_codec_again(preset):
    """As configs and stores need it."""
    codec = Codebook(preset=preset, parity=40)
    assert Codebook(**codec.config) == codec


def test_texts_that_cannot_be_encoded(monkeypatch):
    """A lone surrogate is no Unicode text; too long a text is refused before the first page is drawn."""
    with pytest.raises(EncodeError):
        Codebook().encode("a\ud800")
    monkeypatch.setattr(module, "MAX_PAGES", 2)
    with pytest.raises(CapacityError, match=r"3,000 bytes need .* pages, and 2 is the most; use a larger page or a denser preset"):
        Codebook(page=224, compression="raw").encode(LONG)


def test_corrected_blocks_help_to_read_the_others(monkeypatch):
    """Where the equaliser alone leaves some blocks with too many errors, what the others settled lets them be read."""
    text = np.random.default_rng(9).integers(32, 127, 4200, np.uint8).tobytes().decode()
    page = Image.fromarray(one_page(text, preset="robust", parity=16, page=560, compression="raw"))
    damage = ctxbench.load_plugins().augmenter("heavy", order="camera", scale=[0.7, 0.701])
    damaged = [damage.apply(page, np.random.default_rng(seed)) for seed in range(4)]
    assert [read(picture) for picture in damaged] == [text] * 4
    monkeypatch.setattr(hard_reader, "certain_symbols", lambda *_: None)
    lost = 0
    for picture in damaged:
        with contextlib.suppress(DecodeError):
            assert read(picture) == text
            continue
        lost += 1
    assert lost
