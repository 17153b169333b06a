"""What the render codec's decoder reads exactly, how well it reads damaged pages, and what it refuses to read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

import ctxbench
from ctxbench import Carrier, DecodeError
from ctxbench_render import damaged, ocr, reader, recognise
from ctxbench_render.codec import RenderCodec

PROSE = "The clock tower was empty early that week. They waited after the rain; it was bright and damp near the archive. "


@pytest.fixture
def no_recognition(monkeypatch):
    """A page that would be given to OCR fails the test."""

    def read_page(*_):
        raise AssertionError("recognition was asked")

    monkeypatch.setattr(ocr, "read_page", read_page)


def error_rate(found: str, text: str) -> float:
    return Levenshtein.distance(found, text) / len(text)


def damaged_page(text: str, level: str, seed: int) -> Carrier:
    (page,) = RenderCodec().encode(text).pages
    return Carrier(pages=[ctxbench.load_plugins().augmenter(level).apply(page, np.random.default_rng(seed))])


# ---- undamaged pages


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"font_size": 8},
        {"font_size": 31},
        {"antialias": False},
        {"columns": 23},
        {"line_spacing": 2.0},
        {"wrap": "word"},
        {"margin": 1},
    ],
    ids=str,
)
def test_undamaged_pages_are_read_exactly(options, no_recognition):
    """Not one character differs, whatever the layout, since each cell is compared with the very pixels of its glyph."""
    codec = RenderCodec(**options)
    for task in ("needle", "json_restore"):
        text = ctxbench.load_plugins().task(task).sample(512, 11).context
        assert codec.decode(codec.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "上下文压缩的代价是多少？\n第二行 abc 结束，【引用】、“引号”",
        "naïve café — “quoted” … 5 €, x ≤ y → z",
        "Привет, мир! Он не сон.",
        "Καλημέρα κόσμε. ΑΒΓ",
        "한국어 カタカナ",
        "│ box ═ ░▒▓ ✓",
        "l1I|O0o'`\",.;:",
    ],
)
def test_any_script_is_read_exactly(text, no_recognition):
    """Letters that look alike in several alphabets come back in that of their word, wide characters as one."""
    codec = RenderCodec()
    assert codec.decode(codec.encode(text)) == text


def test_one_changed_pixel_is_not_taken_for_certain(no_recognition):
    """A page that the codec did not draw like this is fitted instead, and still read."""
    codec = RenderCodec()
    (page,) = codec.encode(PROSE * 4).pages
    page.putpixel((30, 20), (77, 77, 77))
    assert reader.read_exactly(page, codec) is None
    assert codec.decode(Carrier(pages=[page])) == (PROSE * 4).rstrip()


@pytest.mark.parametrize("decoder", ["auto", "ocr"])
def test_blank_lines_at_the_end_of_a_page_are_kept(decoder):
    """They leave no ink, but a page that is not the last has as many lines as fit."""
    codec = RenderCodec(page_height=140, decoder=decoder)
    lines = codec.lines_on_a_page
    text = "first\n" + "\n" * (lines + 2) + "last\n\nmore"
    carrier = codec.encode(text)
    assert len(carrier.pages) == 2
    assert codec.decode(carrier) == text


def test_a_newline_that_starts_a_page_of_its_own_is_kept():
    """A text of exactly one full page and a newline has a second page without ink."""
    codec = RenderCodec()
    text = "x\n" * codec.lines_on_a_page
    carrier = codec.encode(text)
    assert [page.size for page in carrier.pages] == [(56, 1120), (56, 56)]
    assert codec.decode(carrier) == text


# ---- damaged pages


@pytest.mark.parametrize("task", ["needle", "json_restore"])
@pytest.mark.parametrize("seed", range(4))
def test_lightly_damaged_pages_are_read_exactly(task, seed, no_recognition):
    """Blur of half a pixel, noise and JPEG leave each glyph nearer to itself than to any other."""
    text = ctxbench.load_plugins().task(task).sample(512, 50 + seed).context
    assert RenderCodec().decode(damaged_page(text, "light", seed)) == text


@pytest.mark.parametrize("seed", [0, 2, 5, 11])
def test_heavily_damaged_pages_are_read(seed, no_recognition):
    """Blur of a third of a cell mixes neighbours; seeds 2 and 11 are shrunk to 0.86 and 0.78. Each cell on its own is misread far more."""
    text = ctxbench.load_plugins().task("json_restore").sample(512, 1000 + seed).context
    assert error_rate(RenderCodec().decode(damaged_page(text, "heavy", seed)), text) <= 0.05


def test_accents_and_other_alphabets_join_where_ascii_does_not_fit(no_recognition):
    """A lightly damaged page of Cyrillic is not read as Latin look-alikes."""
    text = ("Привет, мир. Быстрая лиса прыгает через ленивую собаку. " * 12).strip()
    assert error_rate(RenderCodec(decoder="grid").decode(damaged_page(text, "light", 3)), text) <= 0.05


def test_damaged_chinese_goes_to_recognition():
    """No glyph of an alphabet explains it, and the wrong ones are not returned."""
    text = "钟楼在那个星期很早就空了，他们在雨后等待。" * 6
    carrier = damaged_page(text, "light", 2)
    assert error_rate(RenderCodec().decode(carrier), text) <= 0.1
    with pytest.raises(DecodeError, match="page 1 of 1"):
        RenderCodec(decoder="grid").decode(carrier)


def test_chinese_hidden_by_blur_goes_to_recognition_too(monkeypatch):
    """Blurred ideographs look enough like pairs of letters; what they leave is more than noise, and that tells."""
    text = ctxbench.load_plugins().task("json_restore", language="zh").sample(256, 4).context
    monkeypatch.setattr(ocr, "read_page", lambda *_: ocr.Reading([("recognised", False)], 1.0))
    assert RenderCodec().decode(damaged_page(text, "heavy", 4)) == "recognised"


# ---- what cannot be read


def _unreadable() -> dict[str, Image.Image]:
    rng = np.random.default_rng(5)
    registry = ctxbench.load_plugins()
    y, x = np.mgrid[0:364, 0:560]
    photo = np.clip(128 + 60 * np.sin(x / 57) + 50 * np.cos(y / 41 + x / 100) + rng.normal(0, 6, x.shape), 0, 255).astype(np.uint8)
    (print_,) = RenderCodec().encode(PROSE * 12).pages
    return {
        "blank": Image.new("RGB", (784, 364), "white"),
        "blank, grey": Image.new("RGB", (784, 364), "#cccccc"),
        "blank, damaged": registry.augmenter("heavy").apply(Image.new("RGB", (784, 364), "white"), rng),
        "black": Image.new("RGB", (784, 364)),
        "uniform noise": Image.fromarray(rng.integers(0, 256, (364, 560, 3), np.uint8)),
        "Gaussian noise": Image.fromarray(np.clip(rng.normal(128, 40, (364, 560)), 0, 255).astype(np.uint8)).convert("RGB"),
        "photo": Image.fromarray(photo).convert("RGB"),
        "QR code": registry.codec("codebook_external").encode(PROSE * 4).pages[0],
        "codebook": registry.codec("codebook").encode(PROSE * 12).pages[0],
        "aligned codebook": registry.codec("codebook", preset="aligned").encode(PROSE * 4).pages[0],
        "shrunk": print_.resize((print_.width // 4, print_.height // 4), Image.Resampling.LANCZOS),
        "upside down": print_.rotate(180),
    }


@pytest.mark.parametrize("kind", sorted(_unreadable()))
@pytest.mark.parametrize("decoder", ["auto", "grid"])
def test_a_page_that_holds_nothing_readable_is_refused(kind, decoder):
    """Neither an empty nor a garbled text: one line that says which page, and that nothing, or too little, was recognised."""
    with pytest.raises(DecodeError, match=r"page 1 of 1.*(nothing recognised|read with confidence)") as caught:
        RenderCodec(decoder=decoder).decode(Carrier(pages=[_unreadable()[kind]]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["QR code", "uniform noise", "photo", "blank"])
def test_recognition_refuses_too(kind):
    """Its own probabilities are held against the same share."""
    with pytest.raises(DecodeError, match=r"nothing recognised|read with confidence"):
        RenderCodec(decoder="ocr").decode(Carrier(pages=[_unreadable()[kind]]))


def test_recognition_gives_up_on_what_it_cannot_read(monkeypatch):
    """A few lines tell: a photograph does not cost as much as a page of text."""
    seen = []
    real = ocr.recognise
    monkeypatch.setattr(ocr, "recognise", lambda strips: (seen.extend(strips), real(strips))[1])
    with pytest.raises(DecodeError):
        RenderCodec(decoder="ocr").decode(Carrier(pages=[_unreadable()["photo"]]))
    assert len(seen) == ocr.PROBED


def test_an_unreadable_page_among_others_is_named():
    """Its text would be missing in the middle without a trace."""
    codec = RenderCodec(page_height=140)
    pages = list(codec.encode(PROSE * 24).pages)
    assert len(pages) >= 3
    for lost in (1, len(pages) - 1):
        some = list(pages)
        some[lost] = Image.new("RGB", (784, 140), "white")
        with pytest.raises(DecodeError, match=rf"page {lost + 1} of {len(pages)} \(784 x 140 px\) is blank: nothing recognised"):
            codec.decode(Carrier(pages=some))


def test_the_page_of_the_empty_text_is_empty():
    """The least page, purely white, is what the empty text is drawn as; any other blank canvas is not."""
    codec = RenderCodec()
    assert codec.decode(codec.encode("")) == ""
    for size in ((57, 56), (56, 84), (784, 56)):
        with pytest.raises(DecodeError, match="blank"):
            codec.decode(Carrier(pages=[Image.new("RGB", size, "white")]))
    with pytest.raises(DecodeError, match="blank"):
        codec.decode(Carrier(pages=[Image.new("RGB", (56, 56), "#fefefe")]))


def test_a_page_of_which_most_is_below_confidence_is_refused(monkeypatch):
    """Half is the limit, of the glyphs' confidence as of OCR's."""
    monkeypatch.setattr(recognise, "available", lambda: False)
    carrier = damaged_page(PROSE * 4, "light", 0)
    lines = [("some text", False)]
    for sure, unexplained, refused in ((0.49, 0.0, True), (0.5, 0.0, False), (0.49, 0.2, True), (0.5, 0.2, False)):
        result = damaged.Result(lines, sure, unexplained, fit=0.99)
        monkeypatch.setattr(reader, "read_damaged", lambda *_, result=result: result)
        if refused:
            with pytest.raises(DecodeError, match="only 49% of what is on it was read with confidence, at least 50% must be"):
                RenderCodec().decode(carrier)
        else:
            assert RenderCodec().decode(carrier) == "some text"


def test_the_decoder_does_not_change_the_pages():
    """The option is about reading: a model sees the same pixels."""
    texts = [RenderCodec(decoder=decoder).encode(PROSE).pages[0].tobytes() for decoder in ("auto", "grid", "ocr")]
    assert len(set(texts)) == 1
    with pytest.raises(ctxbench.ConfigError, match="decoder must be one of auto, grid, ocr, got 'tesseract'"):
        ctxbench.load_plugins().codec("render", decoder="tesseract")
