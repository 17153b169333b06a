"""The prose of ``needle`` is counted without tokenising it: the costs that are added must be the tokens that are there."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench.tokens import count_text
from ctxbench_needle.haystack import Haystack
from ctxbench_needle.needles import Needle, statement
from ctxbench_needle.sentences import cost, draw, draw_exact, grammar, split_units, texts_of
from ctxbench_needle.words import LANGUAGES
from ctxbench_qwen_tokens import encode

BOTH = pytest.mark.parametrize("language", ["en", "zh"])


@BOTH
def test_no_token_reaches_over_the_edge_of_a_unit(language):
    """Any two neighbours in any pattern are encoded together as they are apart, for all their texts; so are the last unit and the next
    sentence. A word list or a pattern that breaks this needs brackets around the stretch."""
    words = LANGUAGES[language]
    ends, starts = set(), set()
    for pattern in (*words.patterns, *words.short):
        units = [[text for text, _ in texts_of(language, unit)] for unit in split_units(words, pattern)]
        for left, right in itertools.pairwise(units):
            _all_apart(left, right)
        ends |= set(units[-1])
        starts |= set(units[0])
    _all_apart(ends, starts)


def _all_apart(left, right):
    """Token pairs decide: one text is tried for each last token of ``left`` and each first one of ``right``."""
    last = {encode(text)[-1]: text for text in left}
    first = {encode(text)[0]: text for text in right}
    for a, b in itertools.product(last.values(), first.values()):
        assert encode(a + b) == encode(a) + encode(b), (a, b)


@BOTH
def test_a_sentence_costs_what_it_says(language):
    """Thousands of drawn sentences, each tokenised behind another one."""
    made, rng = grammar(language), random.Random(5)
    for pattern in made.patterns:
        for _ in range(150):
            text, said = draw(pattern, rng)
            assert said == cost(made.words, text), text
            assert not set(text) & set("{}[]%")


@BOTH
def test_a_sentence_of_any_cost_can_be_had(language):
    """Every cost from three tokens on, first in a text or not, twice without saying the same."""
    made = grammar(language)
    for first in (True, False):
        assert [size for size in range(made.longest + 1) if made.with_cost(size, first=first)] == list(range(3, made.longest + 1))
    for size in range(3, 21):
        found = {
            draw_exact(made, pattern, size, random.Random(seed)) for pattern in made.with_cost(size, first=False) for seed in range(20)
        }
        found -= {None}
        assert len(found) > 1
        assert all(cost(made.words, text) == size for text in found)
    for size in range(3, 21):
        hay = Haystack(random.Random(1), language)
        first, second = hay.fill(size, first=True), hay.fill(size)
        assert first != second


@BOTH
def test_the_first_sentence_costs_the_same(language):
    """Where nothing stands before it, its first word may be another token; such sentences never begin a text."""
    words = LANGUAGES[language]
    for seed in range(300):
        text, said = Haystack(random.Random(seed), language).sentence(first=True)
        assert count_text(text) == said, text
    for size in range(3, 21):
        for seed in range(60):
            (text,) = Haystack(random.Random(seed), language).fill(size, first=True)
            assert count_text(text) == size, text
    assert any(not pattern.opens for pattern in grammar("en").patterns)  # "Whoever" is two tokens at the start and one after a blank
    assert cost(words, words.short[0]) == count_text(words.short[0])


@BOTH
def test_a_statement_costs_the_same_at_the_start(language):
    """With depth 0 a needle's statement is the first sentence; no key begins with a word that is another token there."""
    words = LANGUAGES[language]
    for color in words.colors:
        line = statement(Needle(f"{color}{words.join}{words.animals[0]}", "4821973"), "number", language)
        assert count_text(line) == cost(words, line)


@BOTH
def test_no_sentence_says_a_word_twice(language):
    """Nobody goes from the harbour to the harbour."""
    words = LANGUAGES[language]
    patterns = [pattern for pattern in grammar(language).patterns if pattern.repeats]
    assert patterns
    rng = random.Random(2)
    for pattern in patterns:
        for text in [draw(pattern, rng)[0] for _ in range(200)]:
            said = [word for name in ("place", "person", "thing") for word in words.slots[name] for _ in range(text.lower().count(word))]
            assert len(set(said)) == len(said), text


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["en", "zh"]), st.integers(0, 5000), st.booleans(), st.integers(0, 2**63))
def test_prose_of_any_length_is_exact_and_never_repeats(language, tokens, first, seed):
    """Sentences joined as in a context, counted as a whole."""
    hay = Haystack(random.Random(seed), language)
    words = LANGUAGES[language]
    if not hay.can_fill(tokens):
        assert tokens in (1, 2)
        return
    made = hay.fill(tokens, first=first)
    assert len(set(made)) == len(made)
    text = words.join.join(made)
    assert (count_text(text) if first else cost(words, text) if made else 0) == tokens


@BOTH
def test_prose_is_varied(language):
    """Neighbours are of different patterns, every pattern occurs, and two texts hardly share a sentence."""
    made = Haystack(random.Random(3), language).fill(20_000)
    other = Haystack(random.Random(4), language).fill(20_000)
    assert len(set(made) & set(other)) / len(made) < 0.06
    hay = Haystack(random.Random(3), language)
    seen = []
    for _ in range(500):
        hay.sentence()
        seen.append(hay._last)
    assert all(a is not b for a, b in itertools.pairwise(seen))
    assert len(set(map(id, seen))) == len(LANGUAGES[language].patterns)
