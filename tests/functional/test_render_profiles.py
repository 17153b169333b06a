"""Pages as other projects print them, pages of a ratio, and how they are read back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

import ctxbench
from ctxbench import Carrier, ConfigError, DecodeError, EncodeError, load_plugins, tokens
from ctxbench.testing import CodecContract
from ctxbench.testing.checking import Subject
from ctxbench.testing.component_rules import the_config_hides_no_option
from ctxbench_render import faces
from ctxbench_render.codec import RenderCodec
from ctxbench_render.print_reader import joined

PROSE = "The clock tower was empty early that week. They waited after the rain; it was bright and damp near the archive. "
CODE = 'def f(x_y):\n    if x_y:\n        return {"a": [1, 2.5]}  # |~^`@\n\n\n    # nothing'
WORDS = "A café in Zürich — “naïve”, œuvre, 17 €.\n"


def codec(profile: str, **options):
    return load_plugins().codec("render", profile=profile, **options)


def error_rate(found: str, text: str) -> float:
    return Levenshtein.distance(found, text) / len(text)


@pytest.mark.long
class TestGlyph(CodecContract):
    max_error_rate = 0.05

    @pytest.fixture
    def codec(self):
        return codec("glyph")

    def too_much(self, codec):
        return "x\n" * (1024 * 82 + 1)


@pytest.mark.parametrize("profile", ["glyph", "vtcbench", "pxpipe"])
def test_options_of_other_profiles_are_refused_and_so_not_hidden(profile):
    """A config lacks them, and no two codecs can differ in them: the contract's rule tells that from an option that is hidden."""
    held = the_config_hides_no_option(Subject("codec", codec(profile)), None)
    assert "margin" in held or profile == "pxpipe"
    assert "target_ratio" not in held


def test_without_a_profile_it_is_the_same_codec():
    """Options, config and pages of the monospace codec are what they were: stored trials keep their ids."""
    made = load_plugins().codec("render")
    assert type(made) is RenderCodec
    assert made.config == RenderCodec().config
    assert "profile" not in made.config
    assert "target_ratio" not in made.config


@pytest.mark.parametrize(
    ("profile", "lines", "size"),
    [("glyph", 82, (595, 842)), ("vtcbench", 47, (896, 896)), ("pxpipe", 90, (1568, 728))],
)
def test_pages_have_the_size_and_the_lines_that_are_published(profile, lines, size):
    """A page full of long lines is as large, and holds as many lines, as the projects' own configurations give."""
    made = codec(profile)
    text = " ".join(["word"] * 6000)
    assert made.lines_on_a_page == lines
    sizes = made.page_sizes(text)
    assert sizes[0][1] == size[1]
    assert sizes[0][0] == pytest.approx(size[0], abs=25 if profile == "glyph" else 0)  # cropped after the longest line
    assert [page.size for page in made.encode(text).pages] == sizes


def test_pxpipe_has_cells_of_5_by_8_px_and_flows():
    """312 cells in a line, newlines as a sign in a cell, so that two short lines share one."""
    made = codec("pxpipe")
    assert (made.cell, made.pitch, made.limit) == (5, 8, 312)
    assert made.page_sizes("a\nb\nc") == made.page_sizes("a b c")
    grey = np.asarray(made.encode("|_|").pages[0].convert("L"))
    assert (grey[4:12, 4:9] < 255).any()
    assert (grey[4:12, 9:14] < 255).any()  # the underscore is not cut off


def test_vtcbench_pages_were_saved_as_jpeg():
    """Paper around letters is not quite white, as after JPEG; without it, it is."""
    (lossy,), (clean,) = (codec("vtcbench", jpeg=quality).encode(PROSE).pages for quality in (85, None))
    grey = np.asarray(lossy.convert("L"))
    assert len(np.unique(grey)) > len(np.unique(np.asarray(clean.convert("L"))))
    assert ((grey > 235) & (grey < 255)).mean() > 0.001


@pytest.mark.parametrize("profile", ["glyph", "vtcbench", "pxpipe"])
def test_clean_pages_come_back(profile):
    """Prose, code with its indentation, accents and typographic marks: the reader finds the known glyphs, JPEG or not."""
    made = codec(profile)
    for text in ((PROSE * 3).strip(), CODE, WORDS + CODE):
        assert made.decode(made.encode(text)) == text


@pytest.mark.long
def test_clean_chinese_comes_back():
    """Characters that the face lacks come from the font that has them, and are read."""
    text = "深夜的钟楼很安静，他们等到雨停。" * 6
    made = codec("glyph")
    assert made.decode(made.encode(text)) == text


@pytest.mark.parametrize(("profile", "limit"), [("glyph", 0.02), pytest.param("vtcbench", 0.03, marks=pytest.mark.long)])
def test_turned_and_scaled_pages_are_read(profile, limit):
    """Light damage turns, scales, blurs and compresses: the lines are found again and read with a few errors."""
    text = (PROSE * 12).strip()
    made = codec(profile)
    (page,) = made.encode(text).pages
    damaged = load_plugins().augmenter("light").apply(page, np.random.default_rng(2))
    assert error_rate(made.decode(Carrier(pages=[damaged])), text) <= limit


def test_what_is_not_this_type_is_refused():
    """A photograph, blank paper of another size and type that is blurred away give an error in one line, not a text."""
    made = codec("glyph")
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8).astype(np.uint8))
    for page in (noise, Image.new("RGB", (300, 300), "white")):
        with pytest.raises(DecodeError, match="page 1 of 1"):
            made.decode(Carrier(pages=[page]))
    (page,) = made.encode(PROSE * 4).pages
    heavy = load_plugins().augmenter("heavy").apply(page, np.random.default_rng(1))
    with pytest.raises(DecodeError, match="page 1 of 1"):
        made.decode(Carrier(pages=[heavy]))


def test_breaks_of_the_layout_are_told_from_newlines_by_their_width():
    """A line was broken where the next word had not fitted; else it ended. A word longer than a line has no space in it."""
    made = codec("glyph")
    lines = made.wrapped(PROSE * 2)
    assert len(lines) > 1
    assert joined(lines, made) == (PROSE * 2).rstrip() or joined(lines, made) == PROSE * 2
    assert joined(["short", "line"], made) == "short\nline"
    long = "x" * 300
    assert joined(made.wrapped(long), made) == long
    assert all(made.measure(line.rstrip()) <= made.limit for line in lines)


def test_glyphs_do_not_overlap_and_have_the_widths_of_the_face():
    """Every glyph has columns of its own, which is what makes a page readable exactly; its width is the font's, to a px."""
    face = codec("glyph").type
    font = faces._load("dejavu-sans", 0, 9)
    for character in "AVfjWiM.,@":
        assert abs(face.width(character) - font.getlength(character)) <= 1.5


def test_the_data_of_the_faces_is_part_of_the_identity():
    """Another release of Pillow's or matplotlib's font is another codec."""
    assert codec("vtcbench").fingerprint.startswith("aileron ")
    assert codec("glyph").fingerprint != codec("vtcbench").fingerprint
    assert codec("glyph").config["profile"] == "glyph"


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_a_ratio_is_met(ratio):
    """Size and spacing are chosen so that tokens of the text over tokens of its pages come within 5 %; both are told."""
    text = load_plugins().task("needle").sample(2000, 1).context
    made = load_plugins().codec("render", target_ratio=ratio)
    found = made.fit(text)
    counter = tokens.counter()
    pages = [counter.image(*page.size) for page in made.encode(text).pages]
    assert found.reached == pytest.approx(2000 / (sum(page.tokens for page in pages) + counter.overhead(pages)))
    assert found.reached == pytest.approx(ratio, rel=0.05)
    assert (found.requested, made.config["target_ratio"]) == (ratio, ratio)
    assert made.decode(made.encode(text)) == text


def test_a_larger_ratio_has_smaller_type():
    """The order of sizes follows that of ratios."""
    text = load_plugins().task("needle").sample(1000, 1).context
    sizes = [load_plugins().codec("render", target_ratio=ratio).fit(text).codec.font_size for ratio in (1, 2, 4)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "gliph"}, "glyph, pxpipe, vtcbench"),
        ({"target_ratio": 0}, "0.05 to 100"),
        ({"target_ratio": 3, "font_size": 9}, "one of the two"),
        ({"target_ratio": 3, "profile": "glyph"}, "one of the two"),
        ({"profile": "glyph", "line_height": 2}, "5 to 400"),
        ({"profile": "vtcbench", "face": "Helvetica"}, "dejavu-sans, aileron or a font file"),
        ({"profile": "pxpipe", "cell_width": 2}, "cell_width"),
        ({"colums": 85}, "'colums'.*columns"),
        ({"jpeg": 85}, "render without a profile has no option 'jpeg'"),
        ({"profile": "glyph", "reflow": True}, "profile=glyph has no option 'reflow'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    """One line says what is wrong and what there is."""
    with pytest.raises(ConfigError, match=message):
        load_plugins().codec("render", **options)


def test_what_cannot_be_drawn_is_refused():
    """The message names character and position, as of the monospace codec; ``escape`` draws its code."""
    with pytest.raises(EncodeError, match="at character 2"):
        codec("glyph").encode("ab\U0001f9ea")
    made = codec("glyph", undrawable="escape")
    assert made.decode(made.encode("ab\U0001f9ea")) == "ab<U+1F9EA>"
    assert isinstance(made, ctxbench.Codec)
