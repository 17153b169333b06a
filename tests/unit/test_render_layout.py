"""Breaking a text into lines of cells: nothing is lost, and a break of the layout is told from a newline."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench_render.fonts import width
from ctxbench_render.layout import break_lines, cells, clusters

TEXT = st.text(alphabet=st.sampled_from("ab \n中é\u0301,x"), max_size=80)


def rejoined(text: str, columns: int, words: bool) -> str:
    """The text as its lines say it: characters in order, a newline wherever a line does not go on."""
    lines = break_lines(text, columns, 4, words)
    return "".join("".join(c for _, c in line.clusters) + ("" if line.continued else "\n") for line in lines).removesuffix("\n")


@given(text=TEXT, columns=st.integers(2, 12), words=st.booleans())
@settings(max_examples=300, deadline=None)
def test_wrapping_loses_nothing(text, columns, words):
    """Every character is on some line, in order, and only newlines end a line for good."""
    assert rejoined(text, columns, words) == text


@given(text=TEXT, columns=st.integers(4, 12), words=st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_line_is_wider_than_the_page(text, columns, words):
    """A character in a cell past the last would be drawn into the margin, over the mark of a continued line."""
    for line in break_lines(text, columns, 4, words):
        taken = 0
        for cell, cluster in line.clusters:
            assert cell == taken
            taken += max(1, width(cluster[0]))
        assert taken <= columns


def test_a_full_line_before_a_newline_does_not_go_on():
    """Exactly as many characters as columns fit: no empty line, no mark."""
    lines = break_lines("abcd\nefgh", 4, 4)
    assert [line.continued for line in lines] == [False, False]
    assert [line.continued for line in break_lines("abcde", 4, 4)] == [True, False]


def test_wide_characters_take_two_cells_and_marks_none():
    """A Chinese character that does not fit in the last cell moves to the next line; an accent stays on its letter."""
    assert cells("a中e\u0301") == 4
    first, second = break_lines("abc中", 4, 4)
    assert [c for _, c in first.clusters] == ["a", "b", "c"]
    assert [c for _, c in second.clusters] == ["中"]
    assert list(clusters("e\u0301x")) == ["e\u0301", "x"]


@pytest.mark.parametrize(("text", "start"), [("\tx", 4), ("a\tx", 4), ("abc\tx", 4), ("abcd\tx", 8)])
def test_tabs_move_to_the_next_stop(text, start):
    """A tab is not a fixed number of spaces."""
    (line,) = break_lines(text, 20, 4)
    assert line.clusters[-1] == (start, "x")


def test_words_are_kept_whole_where_a_space_is_near():
    """The space goes to the start of the next line, so that the break can be undone; a long word is broken where the line is full."""
    first, second = break_lines("hello big world", 12, 4, words=True)
    assert "".join(c for _, c in first.clusters) == "hello big"
    assert "".join(c for _, c in second.clusters) == " world"
    assert [len(line.clusters) for line in break_lines("a bcdefghijklmnop", 10, 4, words=True)] == [10, 7]
