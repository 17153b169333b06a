"""The border, value by value: what passes unchanged, and what is refused with which words."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import Carrier, ImageTokens, Reading, Sample, Scores, TokenUsage
from ctxbench.engine import checks

SAMPLE = Sample("context", "question", "answer", 64)
PAGE = Image.new("RGB", (28, 56))


def cycle() -> list[object]:
    """A list that holds itself."""
    made: list[object] = []
    made.append(made)
    return made


def nested(depth: int) -> list[object]:
    """Lists within lists."""
    made: list[object] = []
    for _ in range(depth):
        made = [made]
    return made


def test_what_is_right_passes_unchanged():
    """No check changes a value, and the limits themselves are allowed."""
    assert checks.sample(SAMPLE, 64) is SAMPLE
    assert checks.sample(attrs.evolve(SAMPLE, language="zh", metadata={"a": [1, None]}), 64).language == "zh"
    carrier = Carrier("text", [PAGE, Image.new("RGB", (1, 1))], payload_bytes=0)
    assert checks.carrier(carrier) is carrier
    assert checks.carrier(Carrier(None, [PAGE])).text is None
    assert checks.verbatim(Carrier("context"), "context") is None
    assert checks.page(PAGE, "page") is PAGE
    assert checks.count(0, "n") == 0
    assert checks.seconds(0.0, "s") == 0.0
    assert checks.seconds(2, "s") == 2.0
    assert checks.seconds(None, "s") is None
    assert checks.image_tokens(ImageTokens(0, 1, 1)) == ImageTokens(0, 1, 1)
    usage = TokenUsage(10, 4, (4,), 0, "server")
    reading = Reading("\ud800 is what it said", usage=usage, prefill_seconds=0, generate_seconds=0.5, metadata={"k": 1})
    assert checks.reading(reading) is reading
    failed = Reading("", error=("OOM", "no memory"))
    assert checks.reading(failed) is failed
    assert checks.readings([1, 2], 2) == [1, 2]
    assert checks.readings((1,), 1) == [1]
    assert list(checks.answers(iter([(1, "b"), (0, "a")]), 2)) == [(1, "b"), (0, "a")]


def test_scores_become_floats():
    """Integers, booleans and numpy's numbers are scores; the extraction stays."""
    found = checks.scores(Scores({"a": 1, "b": np.float32(0.5), "c": True}, "fence"))
    assert found.values == {"a": 1.0, "b": 0.5, "c": 1.0}
    assert {type(value) for value in found.values.values()} == {float}
    assert found.extraction == "fence"
    assert checks.scores({"a": 0}).values == {"a": 0.0}


@pytest.mark.parametrize(
    ("tokens", "bucket"), [(63, 64), (65, 64), (64, 64), (512 - 5, 512), (512 + 5, 512), (1010, 1000), (990, 1000), (2, 1)]
)
def test_lengths_that_meet_their_bucket(tokens, bucket):
    """Within one token, or within 1 % where that is more."""
    checks.length(tokens, bucket)


@pytest.mark.parametrize(("tokens", "bucket"), [(62, 64), (66, 64), (512 - 6, 512), (512 + 6, 512), (1011, 1000), (989, 1000), (3, 1)])
def test_lengths_that_miss_it(tokens, bucket):
    """One token beyond the tolerance is a miss."""
    with pytest.raises(ValueError, match=rf"has {tokens} reference tokens, which misses the bucket of {bucket} by more than 1 %"):
        checks.length(tokens, bucket)


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: checks.sample(attrs.evolve(SAMPLE, question=7), 64), TypeError, "the sample's question must be str, got int"),
        (lambda: checks.sample(attrs.evolve(SAMPLE, answer="\ud800"), 64), ValueError, "the sample's answer holds a lone surrogate"),
        (lambda: checks.sample(attrs.evolve(SAMPLE, context="a\udfff"), 64), ValueError, "lone surrogate at character 1"),
        (lambda: checks.sample(attrs.evolve(SAMPLE, language=None), 64), ValueError, "language must be one of en, zh, got None"),
        (lambda: checks.sample(SAMPLE, 65), ValueError, "the sample says bucket 64, but 65 was asked for"),
        (lambda: checks.carrier(Carrier("a\ud800")), ValueError, "the carrier's text holds a lone surrogate"),
        (lambda: checks.carrier(Carrier("a", payload_bytes=True)), TypeError, "payload_bytes must be a whole number, got True"),
        (
            lambda: checks.carrier(Carrier(None, [PAGE, PAGE.convert("RGBA")])),
            ValueError,
            "page 1 of the carrier must be an RGB image, got mode RGBA",
        ),
        (lambda: checks.verbatim(Carrier("context "), "context"), ValueError, "its carriers are the context itself .* and this one is not"),
        (lambda: checks.verbatim(Carrier("context", [PAGE]), "context"), ValueError, "and this one is not"),
        (lambda: checks.page(Image.new("RGB", (0, 5)), "page 3"), ValueError, "page 3 has no pixels: 0 x 5"),
        (lambda: checks.count(-1, "n"), ValueError, "n must not be negative, got -1"),
        (lambda: checks.count(1.0, "n"), TypeError, "n must be a whole number, got 1.0"),
        (lambda: checks.count(False, "n"), TypeError, "n must be a whole number, got False"),
        (lambda: checks.seconds(-0.1, "s"), ValueError, "s must be a time of zero or more, got -0.1"),
        (lambda: checks.seconds(float("nan"), "s"), ValueError, "s must be a time of zero or more, got nan"),
        (lambda: checks.seconds(float("inf"), "s"), ValueError, "s must be a time"),
        (lambda: checks.seconds("1", "s"), TypeError, "s must be a number, got '1'"),
        (lambda: checks.seconds(True, "s"), TypeError, "s must be a number, got True"),
        (lambda: checks.json_mapping([1], "m"), TypeError, "m must be a dict, got list"),
        (lambda: checks.json_mapping({"a": {1}}, "m"), TypeError, "m is not JSON"),
        (lambda: checks.json_mapping({"a": cycle()}, "m"), ValueError, "m is not JSON"),
        (lambda: checks.json_mapping({"a": nested(100_000)}, "m"), RecursionError, "m is not JSON"),
        (lambda: checks.image_tokens(ImageTokens(1, 0, 1)), ValueError, "the resized width of a page must be at least 1, got 0"),
        (lambda: checks.image_tokens(ImageTokens(1, 1, 0)), ValueError, "the resized height of a page must be at least 1, got 0"),
        (lambda: checks.readings({"a": 1}, 1), TypeError, "read\\(\\) must return a list of readings, got dict"),
        (lambda: checks.readings("a", 1), TypeError, "read\\(\\) must return a list of readings, got str"),
        (lambda: checks.readings(b"a", 1), TypeError, "read\\(\\) must return a list of readings, got bytes"),
        (lambda: checks.readings([1], 2), ValueError, "read\\(\\) gave 1 readings for 2 prompts"),
        (lambda: list(checks.answers(7, 1)), TypeError, "read_each\\(\\) must yield readings, got int"),
        (lambda: list(checks.answers([[0, "a"]], 1)), TypeError, "must yield \\(index, reading\\), got \\[0, 'a'\\]"),
        (lambda: list(checks.answers([(0,)], 1)), TypeError, "must yield \\(index, reading\\), got \\(0,\\)"),
        (lambda: list(checks.answers([(0, "a", 1)], 1)), TypeError, "must yield \\(index, reading\\), got \\(0, 'a', 1\\)"),
        (lambda: list(checks.answers([("0", "a")], 1)), TypeError, "the index that read_each\\(\\) yields must be a whole number, got '0'"),
        (lambda: list(checks.answers([(-1, "a")], 1)), ValueError, "the index that read_each\\(\\) yields must not be negative, got -1"),
        (lambda: list(checks.answers([(2, "a")], 2)), ValueError, "read_each\\(\\) gave index 2 for 2 prompts"),
        (lambda: list(checks.answers([(0, "a"), (0, "b")], 2)), ValueError, "read_each\\(\\) gave index 0 twice"),
        (lambda: list(checks.answers([(1, "a")], 2)), ValueError, "read_each\\(\\) gave 1 readings for 2 prompts"),
        (lambda: checks.reading(Reading("", error="x")), TypeError, "a reading's error must be \\(type, message\\), got 'x'"),
        (lambda: checks.reading(Reading("", error=("x",))), TypeError, "a reading's error must be"),
        (lambda: checks.reading(Reading("", error=("x", 1))), TypeError, "a reading's error must be"),
        (lambda: checks.reading(Reading("", finish_reason=None)), TypeError, "a reading's finish_reason must be str, got NoneType"),
        (lambda: checks.reading(Reading("", generate_seconds=-1)), ValueError, "a reading's generate_seconds must be a time"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(-1, 1))), ValueError, "usage.prompt must not be negative, got -1"),
        (lambda: checks.reading(Reading("", cost_usd=-1.0)), ValueError, "a reading's cost_usd must be an amount of zero or more, got -1"),
        (lambda: checks.reading(Reading("", spent_usd="1", error=("A", "b"))), TypeError, "a reading's spent_usd must be a number"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(1, markers=-1))), ValueError, "usage.markers must not be negative, got -1"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(1, -1))), ValueError, "usage.visual must not be negative, got -1"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(1, 1, [1]))), TypeError, "usage.pages must be tuple, got list"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(1, 1, ("1",)))), TypeError, "usage.pages must be a whole number"),
        (lambda: checks.reading(Reading("", usage=TokenUsage(1, 1, (1,), -2))), ValueError, "usage.completion must not be negative"),
        (
            lambda: checks.reading(Reading("", usage=TokenUsage(1, source="guess"))),
            ValueError,
            "usage.source must be one of processor, server, formula, got 'guess'",
        ),
        (lambda: checks.scores({"a": float("inf")}), ValueError, "the score 'a' must be finite, got inf"),
        (lambda: checks.scores({1: 0.5}), TypeError, "the name of a score must be str, got int"),
        (lambda: checks.scores({"a": None}), TypeError, "the score 'a' must be a number, got None"),
        (lambda: checks.scores(Scores({"a": 1}, 7)), TypeError, "a score's extraction must be str, got int"),
        (lambda: checks.scores([0.5]), TypeError, "what score\\(\\) returns must be a dict or Scores, got list"),
    ],
)
def test_what_is_wrong_is_refused_in_words(check, error, message):
    """The message says what was wrong and what it was."""
    with pytest.raises(error, match=message):
        check()


def test_answers_come_through_before_a_wrong_one():
    """A model's stream that goes wrong has given what came before it: those answers are paid for and are kept."""
    stream = checks.answers([(1, "b"), (7, "a")], 2)
    assert next(stream) == (1, "b")
    with pytest.raises(ValueError, match="gave index 7 for 2 prompts"):
        next(stream)


def test_long_values_are_cut_in_messages():
    """A megabyte in the wrong place does not become a megabyte of message; sixty characters are shown as they are."""
    for length, shown in ((58, "'" + "x" * 58 + "'"), (59, "'" + "x" * 56 + "..."), (1_000_000, "'" + "x" * 56 + "...")):
        with pytest.raises(TypeError) as caught:
            checks.count("x" * length, "n")
        assert str(caught.value) == f"n must be a whole number, got {shown}"
