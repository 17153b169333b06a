"""The render codec: what is on its pages, what it refuses, and how well they are read back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rapidfuzz.distance import Levenshtein

import ctxbench
from ctxbench import Carrier, ConfigError, DecodeError, EncodeError, tokens
from ctxbench_render import fonts, recognise, registration
from ctxbench_render.codec import RenderCodec

PROSE = "The clock tower was empty early that week. They waited after the rain; it was bright and damp near the archive. "
CODE = 'def f(x):\n    if x:\n        return {"a": [1, 2.5]}\n\n\n    # nothing\n'


def error_rate(found: str, text: str) -> float:
    return Levenshtein.distance(found, text) / len(text)


def ink_of(page: Image.Image, codec: RenderCodec, row: int, cell: int) -> np.ndarray:
    """The ink of one cell, 255 where black."""
    top, left = codec.margin + row * codec.pitch, codec.margin + cell * codec.cell
    return 255 - np.asarray(page.convert("L"))[top : top + codec.pitch, left : left + codec.cell]


@given(length=st.integers(0, 30_000), newlines=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_no_default_page_is_rescaled(length, newlines):
    """Sides are whole visual tokens and the area is within Qwen2-VL's budget: what is drawn is what the model sees."""
    codec = RenderCodec()
    text = "".join("\n" if i % newlines == 0 else "x" for i in range(length))
    for width, height in codec.page_sizes(text):
        assert width % 28 == height % 28 == 0
        image = tokens.image_tokens(width, height)
        assert (image.width, image.height, image.budget_scaled) == (width, height, False)


def test_the_last_page_ends_with_its_lines():
    """150 lines are two pages: 78 lines on the first, 72 on the second, which is cut to them."""
    codec = RenderCodec(columns=108)
    assert codec.page_sizes("x\n" * 149 + "x") == [(784, 1120), (784, 1036)]


def test_a_short_text_gets_a_small_page():
    """Two letters cost four visual tokens, the least there is; fixed columns keep their width."""
    assert RenderCodec().page_sizes("hi") == [(56, 56)]
    assert RenderCodec(columns=108).page_sizes("hi") == [(784, 56)]


def test_characters_stand_in_their_cells():
    """Indentation, a blank line and a tab are blank cells at known places."""
    codec = RenderCodec()
    (page,) = codec.encode("  a\n\n\tb").pages
    inked = [[bool(ink_of(page, codec, row, cell).any()) for cell in range(5)] for row in range(3)]
    assert inked == [[False, False, True, False, False], [False] * 5, [False] * 4 + [True]]


def test_every_printable_ascii_character_is_drawn_differently():
    """A missing glyph would be the same box twice; l, 1 and I are told apart."""
    codec = RenderCodec()
    text = "".join(map(chr, range(33, 127)))
    (page,) = codec.encode(text).pages
    assert len({ink_of(page, codec, 0, i).tobytes() for i in range(len(text))}) == 94


def test_no_ink_is_cut_at_the_edge_of_a_line():
    """Brackets, descenders and accents fit the default line pitch: as much ink as with twice the pitch."""
    for character in "|[{gjpqyÅÉ_":
        tight, loose = RenderCodec().ink(character), RenderCodec(line_spacing=2.4).ink(character)
        assert int(tight.astype(int).sum()) == int(loose.astype(int).sum()), character


def test_chinese_is_drawn_in_two_cells():
    """Both cells of a wide character hold ink, and it is not the box of a missing glyph."""
    codec = RenderCodec()
    (page,) = codec.encode("中国a").pages
    assert ink_of(page, codec, 0, 0).any()
    assert ink_of(page, codec, 0, 1).any()
    assert ink_of(page, codec, 0, 4).any()
    assert codec.ink("中").shape[1] == 2 * codec.cell
    assert not np.array_equal(codec.ink("中"), codec.ink("国"))


def test_chinese_without_its_font_names_the_extra(monkeypatch):
    """The error says which character, where, and what to install."""
    monkeypatch.setattr(
        fonts, "font_files", lambda font: (fonts._package_file("matplotlib", "mpl-data", "fonts", "ttf", "DejaVuSansMono.ttf"),)
    )
    real = fonts._package_file
    monkeypatch.setattr(fonts, "_package_file", lambda package, *parts: None if "noto" in package else real(package, *parts))
    with pytest.raises(EncodeError, match=r"U\+4E2D .*at character 2; .*pip install 'ctxbench-render\[cjk\]'"):
        RenderCodec().encode("ab中")


@pytest.mark.parametrize(
    ("text", "named"),
    [("a\x00b", "U+0000"), ("x👍", "U+1F44D"), ("\ufeffx", "U+FEFF"), ("a\u200db", "U+200D"), ("a\u2028b", "U+2028"), ("\x7f", "U+007F")],
)
def test_what_leaves_no_ink_is_refused_or_drawn_as_its_code(text, named):
    """Nothing is dropped in silence."""
    with pytest.raises(EncodeError) as caught:
        RenderCodec().encode(text)
    assert named in str(caught.value)
    assert f"character {text.index(chr(int(named[2:], 16)))}" in str(caught.value)
    plain = text.replace(chr(int(named[2:], 16)), f"<{named}>")
    assert RenderCodec(undrawable="escape").encode(text).pages[0].tobytes() == RenderCodec().encode(plain).pages[0].tobytes()


def test_without_antialiasing_pages_are_black_and_white():
    """The option does something."""
    for antialias, levels in ((False, {0, 255}), (True, None)):
        (page,) = RenderCodec(antialias=antialias).encode(PROSE).pages
        seen = {int(v) for v in np.unique(np.asarray(page))}
        assert seen == levels if levels else len(seen) > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"font_size": 4}, "font_size must be from 5 to 200, got 4"),
        ({"columns": 1}, "columns must be from 2 to 500, got 1"),
        ({"wrap": "line"}, "wrap must be one of char, word, got 'line'"),
        ({"font": "/no/such.ttf"}, "no file"),
        ({"font": __file__}, "cannot be read"),
        ({"font_size": 100, "columns": 100}, "wider than 3584 px"),
        ({"page_height": 56, "font_size": 40}, "holds no line"),
        ({"antialias": 1}, "antialias"),
    ],
)
def test_bad_options_quote_value_and_range(options, message):
    """One line that says what is allowed."""
    with pytest.raises(ConfigError, match=message):
        ctxbench.load_plugins().codec("render", **options).encode("x")


# ---- reading back


@pytest.mark.parametrize(
    "text", [PROSE * 8, CODE.strip(), "a\n\n\nb", "one  two   three    four", PROSE.strip()], ids=["prose", "code", "blank", "gaps", "one"]
)
def test_clean_pages_are_read_nearly_exactly(text):
    """Line breaks, indentation, blank lines and runs of spaces come from the grid; wrapped lines are joined."""
    codec = RenderCodec()
    text = text.strip()
    found = codec.decode(codec.encode(text))
    assert error_rate(found, text) <= 0.01
    assert [len(line) - len(line.lstrip()) for line in found.split("\n")] == [len(line) - len(line.lstrip()) for line in text.split("\n")]


def test_several_pages_and_words_kept_whole():
    """A line that goes on over a page break is joined too, whichever way lines are broken."""
    text = (PROSE * 12).strip()
    for wrap in ("char", "word"):
        codec = RenderCodec(page_height=140, wrap=wrap)
        carrier = codec.encode(text)
        assert len(carrier.pages) >= 2
        assert error_rate(codec.decode(carrier), text) <= 0.01


@pytest.mark.parametrize(
    "text",
    [
        "上下文压缩的代价是多少？\n第二行 abc 结束",
        '{"地址":{"数量":392,"价格":763.64},"备注":"客户要求退款。"}',
        "他说：“你好，世界，再见！”（笑）价格 12 元，数量 3 个，地址：北京。",
    ],
)
def test_chinese_is_read(text):
    """Wide characters come back without spaces between them, narrow punctuation beside them as what it is."""
    codec = RenderCodec()
    assert error_rate(codec.decode(codec.encode(text)), text) <= 0.05


@pytest.mark.parametrize("seed", range(3))
def test_lightly_damaged_pages_are_read(seed):
    """Turned, scaled, blurred, noisy: the grid is found again, indentation included."""
    codec = RenderCodec()
    text = (PROSE * 5 + "\n\n    indented\n        twice\nend").strip()
    (page,) = codec.encode(text).pages
    damaged = ctxbench.load_plugins().augmenter("light").apply(page, np.random.default_rng(seed))
    assert error_rate(codec.decode(Carrier(pages=[damaged])), text) <= 0.02


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.3), (-14.0, 0.8), (11.3, 1.1), (4.4, 0.9)])
@pytest.mark.parametrize(
    "text", [PROSE * 6, "钟楼在那个星期很早就空了，他们在雨后等待。" * 20, "one line of text alone"], ids=["prose", "chinese", "line"]
)
def test_the_pose_of_a_page_is_found(angle, scale, text):
    """Half a cell or half a line off at a line's end would misplace characters; a short line needs less precision, and gives less."""
    codec = RenderCodec()
    (page,) = codec.encode(text).pages
    size = [round(side * scale) for side in page.size]
    image = page.resize(size, Image.Resampling.BICUBIC).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white").convert("L")
    pose = registration.find_pose(image, codec)
    assert pose is not None
    a = np.radians(-angle)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    corner = np.array(image.size) / 2 - turn @ (np.array(size) / 2)
    cells = min(len(text), 108)
    assert abs(pose.angle - a) * cells * codec.cell < 0.2 * codec.pitch
    assert abs(pose.scale / scale - 1) * cells < 0.5
    assert np.abs(corner - [pose.x, pose.y]).max() < 2.5


@pytest.mark.parametrize("kind", ["noise", "black", "white", "one pixel", "gradient", "wide"])
def test_any_image_is_refused_if_it_holds_nothing(kind):
    """No image crashes the decoder, and none of these gives a text."""
    rng = np.random.default_rng(1)
    page = {
        "noise": Image.fromarray(rng.integers(0, 256, (300, 200, 3), np.uint8)),
        "black": Image.new("RGB", (784, 112)),
        "white": Image.new("RGB", (784, 112), "white"),
        "one pixel": Image.new("RGB", (1, 1)),
        "gradient": Image.fromarray(np.linspace(0, 255, 90_000).reshape(300, 300).astype(np.uint8)).convert("RGB"),
        "wide": Image.new("RGB", (5000, 3), "red"),
    }[kind]
    with pytest.raises(DecodeError, match="page 1 of 1"):
        RenderCodec().decode(Carrier(pages=[page]))


def test_without_the_extra_undamaged_and_fitted_pages_are_read(monkeypatch):
    """Only recognition needs it: asked for by name, the message has the command; a page that needs it says so too."""
    monkeypatch.setattr(recognise, "_model_file", lambda: None)
    recognise._session.cache_clear()
    codec = RenderCodec()
    carrier = codec.encode("abc")
    assert codec.decode(carrier) == "abc"
    (page,) = codec.encode(PROSE * 5).pages
    damaged = ctxbench.load_plugins().augmenter("light").apply(page, np.random.default_rng(1))
    assert codec.decode(Carrier(pages=[damaged])) == (PROSE * 5).rstrip()
    with pytest.raises(DecodeError, match=r"pip install 'ctxbench-render\[ocr\]'"):
        RenderCodec(decoder="ocr").decode(carrier)
    with pytest.raises(DecodeError, match=r"page 1 of 1: .*pip install 'ctxbench-render\[ocr\]'"):
        codec.decode(Carrier(pages=[page.rotate(180)]))


def test_nothing_heavy_is_imported_to_encode():
    """matplotlib's fonts are used without importing matplotlib, and OCR only to decode."""
    code = (
        "import sys, ctxbench; ctxbench.load_plugins().codec('render').encode('abc'); "
        "print([m for m in ('matplotlib', 'onnxruntime', 'rapidocr', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_decoding_prints_nothing(capfd):
    """The model's runtime must not write between a table's lines."""
    codec = RenderCodec()
    recognise._session.cache_clear()
    RenderCodec(decoder="ocr").decode(codec.encode("abc"))
    codec.decode(codec.encode("abc"))
    assert capfd.readouterr() == ("", "")
