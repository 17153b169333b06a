"""contains, exact match and character error rate on the cases where a plain `in` or `==` is wrong; hit_at_1 has a table of its own."""

from __future__ import annotations

import pytest

from ctxbench import ConfigError, Sample, load_plugins
from ctxbench_metrics.answers import CharacterErrorRate, Contains, ExactMatch, HitAt1


def needle(*answers: str, answerable: bool = True, not_found: str = "not found") -> Sample:
    metadata = {"answers": list(answers), "answerable": answerable, "not_found": not_found}
    return Sample("...", "?", ", ".join(answers) or not_found, 64, metadata=metadata)


@pytest.mark.parametrize(
    ("prediction", "answer", "how"),
    [
        ("12", "12", "raw"),
        (" 12\n", "12", "raw"),
        ("```\n12\n```", "12", "fence"),
        ("`12`", "12", "fence"),
        ("The number is 12.", "12", "prose"),
        ("**12**", "12", "prose"),
        ("代码是12。", "12", "prose"),
        ("代码是ABCD-2345吗", "ABCD-2345", "prose"),
        ("秘密词语是灯塔。", "灯塔", "prose"),
        ("灯塔", "灯塔", "raw"),
        ("abcd-2345", "ABCD-2345", "raw"),  # case does not matter
        ("１２", "12", "raw"),  # full-width digits
        ("two\n words", "two words", "raw"),
        ("12,13", "12", "prose"),
        ("1.12 and then 12", "12", "prose"),  # the second is a whole word
        ("123", "12", "none"),
        ("512", "12", "none"),
        ("3.12", "12", "none"),
        ("12.5", "12", "none"),
        ("a12", "12", "none"),
        ("harbours", "harbour", "none"),
        ("12_b", "12", "none"),
        ("1 2", "12", "none"),
        ("", "12", "none"),
        ("\ud800", "12", "none"),
    ],
)
def test_contains_means_a_whole_word(prediction, answer, how):
    score = Contains().score(prediction, needle(answer))
    assert (score.values, score.extraction) == ({"contains": float(how != "none")}, how)


@pytest.mark.parametrize("said", ["18 and 17", "It is not 17. It is not 18.", ", ".join(map(str, range(99))), "-17, -18"])
def test_contains_is_lenient(said):
    """A mention is enough, in any order; the strict score calls none of these right where one value was asked for."""
    sample = needle("17", "18")
    assert Contains().score("17, 18", sample).extraction == "raw"
    assert Contains().score(said, sample).values == {"contains": 1}
    assert HitAt1().score(said, needle("17")).values == {"hit_at_1": 0}
    assert Contains().score("17", sample).values == {"contains": 0}
    assert Contains().score("178", sample).values == {"contains": 0}


@pytest.mark.parametrize(
    ("prediction", "how"),
    [("12", "raw"), (" 12\n", "raw"), ("```\n12\n```", "fence"), ("`12`", "fence"), ("The number is 12.", "prose"), ("13", "none")],
)
def test_hit_at_1_says_how_the_answer_was_found(prediction, how):
    assert HitAt1().score(prediction, needle("12")).extraction == how


def test_absent_needle_must_be_said_to_be_absent():
    english, chinese = needle(answerable=False), needle(answerable=False, not_found="未找到")
    for said in ("not found", "Not found.", "It is not mentioned in the text.", "I don't know"):
        assert HitAt1().score(said, english).values == {"hit_at_1": 1}
        assert Contains().score(said, english).values == {"contains": 1}
    assert HitAt1().score("未找到。", chinese).values == {"hit_at_1": 1}
    assert HitAt1().score("文中没有提到", chinese).values == {"hit_at_1": 1}
    for said in ("1234567", "", "I cannot read it, but the number is 1234567", "word " * 200 + "not found"):
        assert HitAt1().score(said, english).values == {"hit_at_1": 0}
        assert Contains().score(said, english).values == {"contains": 0}
    assert HitAt1().score("not found", needle("12")).values == {"hit_at_1": 0}


@pytest.mark.parametrize(("metric", "name"), [(HitAt1(), "hit_at_1"), (Contains(), "contains")])
def test_without_metadata_the_answer_is_used_and_an_empty_one_refused(metric, name):
    assert metric.score("it is blue", Sample("", "?", "blue", 64)).values == {name: 1}
    with pytest.raises(ValueError, match=rf"{name} needs .* list of strings that are not empty, got \[''\]"):
        metric.score("x", Sample("", "?", "", 64))
    with pytest.raises(ValueError, match=r"got \[12\]"):
        metric.score("x", Sample("", "?", "12", 64, metadata={"answers": [12]}))


@pytest.mark.parametrize(
    ("prediction", "value", "how"),
    [
        ("Blue whale", 1, "raw"),
        (" Blue whale\n", 1, "raw"),
        ("```text\nBlue whale\n```", 1, "fence"),
        ("blue whale", 0, "raw"),
        ("Blue  whale", 0, "raw"),
        ("Blue whale.", 0, "raw"),
        ("```a``` Blue whale", 0, "raw"),
        ("", 0, "raw"),
    ],
)
def test_exact_match(prediction, value, how):
    score = ExactMatch().score(prediction, Sample("", "?", "Blue whale", 64))
    assert (score.values, score.extraction) == ({"exact_match": value}, how)


def test_exact_match_of_an_answer_that_is_itself_fenced():
    assert ExactMatch().score("`x`", Sample("", "?", "`x`", 64)).values == {"exact_match": 1}


@pytest.mark.parametrize(
    ("prediction", "answer", "rate"),
    [
        ("kitten", "sitting", 3 / 7),
        ("sitting", "sitting", 0),
        ("", "four", 1),
        ("12345678", "1234", 1),
        ("1234" * 4, "1234", 3),  # above 1: the common definition
        ("灯台", "灯塔", 1 / 2),
        ("", "", 0),
        ("abc", "", 3),
        ("```\nsitting\n```", "sitting", 0),
        ('Sure: {"a": 1}!', '{"a": 1}', 0),  # the JSON found, not the prose around it
        ('```json\n{"a": 2}\n```', '{"a": 1}', 1 / 8),
        ('{"a": 1', '{"a": 1}', 1 / 8),  # no JSON: the whole text
        ('{"a":1}', '{"a": 1}', 1 / 8),  # characters, not values
        ("x\ud800y", "xzy", 1 / 3),
    ],
)
def test_character_error_rate(prediction, answer, rate):
    metric = CharacterErrorRate()
    assert metric.score(prediction, Sample("", "?", answer, 64)).values == {"character_error_rate": pytest.approx(rate)}
    assert not metric.higher_is_better


def test_cap_limits_what_a_runaway_answer_adds_to_a_mean():
    assert CharacterErrorRate(cap=1.0).score("9" * 1000, Sample("", "?", "12", 64)).values == {"character_error_rate": 1.0}
    assert CharacterErrorRate(**CharacterErrorRate(cap=2).config) == CharacterErrorRate(cap=2)
    with pytest.raises(ConfigError, match="cap must be above 0, got -1"):
        load_plugins().metric("character_error_rate", cap=-1)
