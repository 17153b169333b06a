"""Pieces of texts: of the wanted length, nothing lost between them, ended where a reader would end them."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench.tokens import count_text
from ctxbench_documents.cuts import LEAST, head, pieces

WORDS = "the harbour lights were lit before dusk and ships came in one by one while gulls cried over empty nets".split()


def prose(sentences: int, line: int) -> str:
    """Sentences of 5 to 12 words, ``line`` of them on a line."""
    rng = random.Random(5)
    made = [" ".join(rng.choices(WORDS, k=rng.randint(5, 12))).capitalize() + "." for _ in range(sentences)]
    return "\n".join(" ".join(made[i : i + line]) for i in range(0, sentences, line)) + "\n"


def test_pieces_end_at_lines():
    """With ``line`` every cut is behind a line end, and every piece holds three quarters of the bucket to all of it."""
    text = prose(300, 1)
    found = list(pieces(text, 128, "line"))
    assert all(text[piece.end - 1] == "\n" for piece in found)
    assert all(LEAST * 128 <= count_text(text[p.start : p.end]) <= 128 for p in found)
    assert [p.end for p in found[:-1]] == [p.start for p in found[1:]]
    assert count_text(text[found[-1].end :]) < LEAST * 128


def test_pieces_end_at_sentences_where_no_line_does():
    """Paragraphs longer than the bucket: the cut is at the end of a sentence, not in its middle."""
    text = prose(300, 1000)
    found = list(pieces(text, 128, "line"))
    assert len(found) > 10
    assert all(text[: piece.end].rstrip().endswith(".") for piece in found)


def test_sentences_come_first_if_asked():
    """Hard-wrapped lines end within sentences: ``cut=sentence`` looks past them."""
    text = prose(300, 1000).replace(" the ", "\nthe ")
    assert all(text[: piece.end].rstrip().endswith(".") for piece in pieces(text, 128, "sentence"))
    assert any(not text[: piece.end].rstrip().endswith(".") for piece in pieces(text, 128, "line"))


def test_a_text_without_any_place_to_cut_is_cut_anyway():
    """One line without a blank: between two characters, but not before a combining mark."""
    text = "e\u0301" * 3000
    found = list(pieces(text, 100, "line"))
    assert len(found) > 20
    assert all(text[piece.start] == "e" for piece in found)


def test_chinese_sentences():
    """A full stop in Chinese has no blank behind it."""
    text = "灯塔在港口的北边，船只在黄昏之前回来。" * 200
    assert all(text[piece.end - 1] == "。" for piece in pieces(text, 96, "sentence"))


def test_a_short_text_is_no_piece():
    """A cell of 512 tokens must not hold contexts of 50."""
    assert list(pieces("A few words.", 512, "line")) == []


@given(st.text(max_size=400), st.integers(1, 60), st.sampled_from(["line", "sentence"]))
@settings(max_examples=150)
def test_whatever_the_text(text, most, cut):
    """Pieces never overlap, never exceed the bucket, are never shorter than three quarters, and cutting always ends."""
    at = 0
    for piece in pieces(text, most, cut):
        assert at <= piece.start < piece.end
        assert LEAST * most <= count_text(text[piece.start : piece.end]) <= most
        at = piece.end
    assert count_text(head(text, most)) <= most
    assert text.startswith(head(text, most).rstrip()) or not head(text, most)
