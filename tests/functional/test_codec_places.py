"""Where codecs say that characters stand, against the ink on the pages that they draw."""

from __future__ import annotations

import numpy as np
import pytest

from ctxbench import load_plugins

TEXT = "".join(chr(33 + i % 94) for i in range(1700)) + "\nend of it\n\nx"
CODECS = [
    ("render", {}),
    ("render", {"font_size": 8, "page_height": 140, "wrap": "word"}),
    ("render", {"profile": "pxpipe"}),
    ("half_resolution", {"render": {"font_size": 20}}),
]


@pytest.mark.parametrize(("name", "options"), CODECS)
def test_a_character_that_changes_changes_the_page_where_it_is_said_to_stand(name, options):
    """Every 97th character is replaced by a block of ink: the pages differ around its place and nowhere else."""
    codec = load_plugins().codec(name, **options)
    places, pages = codec.places(TEXT), codec.encode(TEXT).pages
    assert len(places) == len(TEXT)
    for at in range(0, len(TEXT), 97):
        if TEXT[at].isspace():
            continue
        changed = codec.encode(f"{TEXT[:at]}{'M' if TEXT[at] != 'M' else '.'}{TEXT[at + 1 :]}").pages
        page, x, y = places[at]
        assert [i for i, (a, b) in enumerate(zip(pages, changed, strict=True)) if a.tobytes() != b.tobytes()] == [page]
        ink = np.abs(np.asarray(pages[page], int)[..., 0] - np.asarray(changed[page], int)[..., 0]) > 48
        rows, columns = np.nonzero(ink)
        height, width = ink.shape
        assert columns.min() - 2 <= x * width <= columns.max() + 2
        assert rows.min() - 6 <= y * height <= rows.max() + 6
        assert max(np.ptp(columns), np.ptp(rows)) < 30


def test_fitted_type_says_where_its_fit_stands():
    """The size that the text's own fit has, not the smallest or the default."""
    codec = load_plugins().codec("render", target_ratio=1.2)
    assert codec.places(TEXT) == codec.fit(TEXT).codec.places(TEXT)


def test_what_has_no_ink_has_no_place():
    """Spaces and newlines, and a mark stands where its letter does; wide characters in the middle of two cells."""
    codec = load_plugins().codec("render", columns=10)
    places = codec.places("a \ne\u0301漢b")
    width, _ = codec.page_sizes("a \ne\u0301漢b")[0]
    cells = [None if place is None else round((place[1] * width - codec.margin) / codec.cell, 6) for place in places]
    assert cells == [0.5, None, None, 0.5, 0.5, 2.0, 3.5]
    assert places[0][2] < places[3][2]


@pytest.mark.parametrize(("name", "options"), [("text", {}), ("codebook", {}), ("render", {"undrawable": "escape"})])
def test_codecs_that_cannot_say_do_not(name, options):
    """Text has no page, a codebook compresses first, and an escaped character is drawn as several."""
    assert load_plugins().codec(name, **options).places("a\u200db") is None
