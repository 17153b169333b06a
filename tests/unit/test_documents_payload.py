"""Payloads that cost as much as a text and cannot be guessed."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench.tokens import count_text
from ctxbench_documents.payload import LINE, of_kind, randomised, shuffled

PROSE = "The lights were lit at 17:45. Ship Calliope came in\nwith 1,410 crates of salt, signed for by Anna Moreau.\n\n" * 4


def test_shuffled_words_are_the_same_words_in_the_same_places():
    """Lines and blanks stay; only which word stands where changes."""
    made = shuffled(PROSE)
    assert made != PROSE
    assert Counter(made.split()) == Counter(PROSE.split())
    assert [len(line.split()) for line in made.split("\n")] == [len(line.split()) for line in PROSE.split("\n")]
    assert abs(count_text(made) - count_text(PROSE)) <= 0.05 * count_text(PROSE)


def test_chinese_is_shuffled_by_characters():
    """There is no white space between its words."""
    text = "灯塔在港口的北边，船只在黄昏之前回来。"
    assert sorted(shuffled(text)) == sorted(text)
    assert shuffled(text) != text


def test_random_text_costs_the_same():
    """As many reference tokens, in short words on lines; nothing of the text is left in it."""
    made = randomised(PROSE)
    assert count_text(made) == count_text(PROSE)
    assert re.fullmatch(r"[A-Za-z0-9]+(?:[ \n][A-Za-z0-9]+)*", made)
    assert max(map(len, made.split("\n"))) <= LINE
    assert len(made) < len(PROSE)
    assert not set(made.split()) & set(PROSE.split())


def test_a_text_decides_its_own():
    """The same trial asks the same on every machine, and two texts are not given the same letters."""
    assert of_kind(PROSE, "natural") == PROSE
    assert randomised("one two three four") == "GkY8"
    assert shuffled("one two three four five") == "three four five two one"
    assert randomised(PROSE)[:20] != randomised(PROSE + "x")[:20]


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_whatever_the_text(text):
    """Neither is longer than the text in tokens by much, nor loses characters that are no white space."""
    assert sorted("".join(shuffled(text).split())) == sorted("".join(text.split()))
    assert 0 <= count_text(text) - count_text(randomised(text)) <= 1
