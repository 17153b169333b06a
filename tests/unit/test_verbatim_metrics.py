"""Scores of how a text came back: word errors, exact identifiers, real words against garbled ones."""

from __future__ import annotations

import random

import pytest

from ctxbench import Sample, load_plugins
from ctxbench_metrics.verbatim import Identifiers, SemanticCorruption, WordErrorRate
from ctxbench_metrics.words import english, words_of


def sample(answer: str, context: str | None = None) -> Sample:
    return Sample(answer if context is None else context, "?", answer, 64)


@pytest.mark.parametrize(
    ("prediction", "answer", "rate"),
    [
        ("a b c d", "a b c d", 0),
        ("a x c d", "a b c d", 1 / 4),  # replaced
        ("a c d", "a b c d", 1 / 4),  # left out
        ("a b b c d", "a b c d", 1 / 4),  # added
        ("A b, c d", "a b c d", 2 / 4),  # case and punctuation count
        ("```\na b\nc   d\n```", "a b c d", 0),  # a fence and white space do not
        ("```\na b\n```", "```\na b\n```", 0),  # unless the text itself is fenced
        ("a b", "```\na b\n```", 2 / 4),
        ("", "a b", 1),
        ("a b c", "z", 3),  # more than expected
        ("灯塔在南边", "灯塔在北边", 1 / 5),  # each character is a word
    ],
)
def test_word_error_rate(prediction, answer, rate):
    """The least number of replaced, missing and additional words over the expected ones."""
    assert WordErrorRate().score(prediction, sample(answer)).values == {"word_error_rate": pytest.approx(rate)}


def test_a_perfect_copy_of_a_fenced_text_has_no_errors():
    """A Markdown file that begins with a code fence: the fence is part of the text, not something around the answer."""
    text = "```python\nx = 1\n```"
    assert load_plugins().metric("character_error_rate").score(text, sample(text)).values == {"character_error_rate": 0.0}


def test_kinds_of_words():
    """What has to be exact is told from prose: hashes, versions, dates, sums, paths, addresses, names."""
    text = (
        "On 2024-05-01 Anna Moreau paid -17 or 2,400 for v1.2.3 (a3f9c2d81b07). See src/main.py, snake_case, http://x.org/y or me@x.org. "
        "She said: The U.S. lost 3.5kg. I'm sure NASA, iPhone and K7QM-2XWD are well-known, e.g. here.\nThen 世界"
    )
    kinds = {kind: [word.text for word in words_of(text) if word.kind == kind] for kind in ("number", "code", "name")}
    assert kinds["number"] == ["2024-05-01", "-17", "2,400"]
    codes = ["v1.2.3", "a3f9c2d81b07", "src/main.py", "snake_case", "http://x.org/y", "me@x.org", "3.5kg", "K7QM-2XWD"]
    assert kinds["code"] == codes
    assert kinds["name"] == ["Anna", "Moreau", "U.S", "NASA", "iPhone"]
    assert [word.text for word in words_of("Then 世界")] == ["Then", "世", "界"]


def test_identifiers_apart_from_the_rest():
    """One digit of one hash is wrong and every other word right: the rest is perfect, and the identifiers say that they are not."""
    answer = "The build a3f9c2d81b07 by Moreau fixed 42 bugs."
    scores = Identifiers().score("The build a3f9c2d81b70 by Moreau fixed 42 bugs.", sample(answer)).values
    assert scores == {
        "identifier_precision": pytest.approx(2 / 3),
        "identifier_recall": pytest.approx(2 / 3),
        "rest_precision": 1,
        "rest_recall": 1,
        "number_recall": 1,
        "code_recall": 0,
        "name_recall": 1,
    }
    scores = Identifiers().score("Some build by someone fixed bugs.", sample(answer)).values
    assert (scores["identifier_precision"], scores["identifier_recall"]) == (0, 0)
    assert (scores["rest_precision"], scores["rest_recall"]) == (pytest.approx(4 / 6), pytest.approx(4 / 5))


def test_identifiers_count_each_time():
    """A number that is said once where it stands twice is half recalled; one that is made up costs precision alone."""
    scores = Identifiers().score("rooms 12 and 99", sample("rooms 12 and 12")).values
    assert (scores["identifier_precision"], scores["identifier_recall"]) == (0.5, 0.5)
    scores = Identifiers().score("rooms 12 12 99", sample("rooms 12 and 12")).values
    assert (scores["identifier_precision"], scores["identifier_recall"]) == (pytest.approx(2 / 3), 1)


def test_a_score_is_there_only_if_its_kind_is_expected():
    """A text without numbers has no recall of numbers, which would otherwise count as perfect in a mean."""
    assert Identifiers().score("only words", sample("only words")).values == {"rest_precision": 1, "rest_recall": 1}
    assert Identifiers().score("?!", sample("?!")).values == {"rest_precision": 1, "rest_recall": 1}
    assert Identifiers().score("", sample("17")).values == {"identifier_precision": 0, "identifier_recall": 0, "number_recall": 0}


@pytest.mark.parametrize(
    ("prediction", "real", "garbled", "omitted", "added"),
    [
        ("the quick dog paid 42 coins to zzyx", 0, 0, 0, 0),
        ("The QUICK dog, paid 42 coins to zzyx!", 0, 0, 0, 0),  # case and punctuation are not words
        ("the quick dog said 42 coins to zzyx", 1, 0, 0, 0),  # an English word
        ("the quick dog pqid 42 coins to zzyx", 0, 1, 0, 0),  # none
        ("the quick zzyx paid 42 coins to zzyx", 1, 0, 0, 0),  # no English word, but one of the context
        ("the quick dog paid 47 coins to zzyx", 1, 0, 0, 0),  # another number: nothing shows that it is wrong
        ("the quick dog paid 4Z coins to zzyx", 0, 1, 0, 0),  # no number
        ("the dog paid 42 coins to zzyx", 0, 0, 1, 0),
        ("the quick quick dog paid 42 coins to zzyx", 0, 0, 0, 1),
    ],
)
def test_semantic_corruption(prediction, real, garbled, omitted, added):
    """Each kind of change, one at a time, as a share of the eight expected words."""
    scores = SemanticCorruption().score(prediction, sample("the quick dog paid 42 coins to zzyx")).values
    assert scores == {
        "semantic_corruption": real / 8,
        "garbled_words": garbled / 8,
        "omitted_words": omitted / 8,
        "added_words": added / 8,
    }


def test_the_context_is_vocabulary_too():
    """Names that only the context knows are real words: replacing one by another is not to be noticed."""
    answer, context = "ask Qorvath", "Qorvath and Zelmira lived there"
    assert SemanticCorruption().score("ask Zelmira", sample(answer, context)).values["semantic_corruption"] == 0.5
    assert SemanticCorruption().score("ask Zelmira", sample(answer)).values["garbled_words"] == 0.5
    assert SemanticCorruption().score("灯塔在南", sample("灯塔在北")).values["semantic_corruption"] == 0.25


def test_the_word_list_knows_words_and_no_others():
    """Inflected forms are words, garbled ones are not; another list is another version of the scores."""
    assert {"walked", "houses", "children", "don't"} <= english()
    assert not {"pqid", "tbe", "wasn7t", "houcse"} & english()
    assert SemanticCorruption().fingerprint.startswith("pyspellchecker ")


def test_long_texts_are_aligned():
    """20,000 words, one in ten replaced: the alignment finds exactly those, without a table of all pairs."""
    rng = random.Random(1)
    words = rng.choices(["harbour", "light", "ship", "net", "gull", "empty"], k=20_000)
    said = [word if i % 10 else "xqzz" for i, word in enumerate(words)]
    scores = SemanticCorruption().score(" ".join(said), sample(" ".join(words))).values
    assert scores["garbled_words"] == 0.1
