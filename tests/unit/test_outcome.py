"""The one word for how a reading ended, on the cases that are easy to get wrong."""

from __future__ import annotations

import json

import pytest

from ctxbench import Sample
from ctxbench.outcome import assertions, classify, is_looping, is_refusal

NEEDLE = Sample("...", "?", "1234567", 64, metadata={"answers": ["1234567"], "answerable": True, "not_found": "not found"})
SEVERAL = Sample("...", "?", "17, 18", 64, metadata={"answers": ["17", "18"], "answerable": True, "not_found": "not found"})
ABSENT = Sample("...", "?", "not found", 64, metadata={"answers": [], "answerable": False, "not_found": "not found"})
DOCUMENT = Sample("{}", "?", '{"status": "not found", "n": [0, 0]}', 64)
LOOP = "the code is " * 40


@pytest.mark.parametrize(
    ("prediction", "finish", "correct", "extraction", "sample", "outcome"),
    [
        ("1234567", "stop", True, "raw", NEEDLE, "correct"),
        ("1234567 " * 100, "length", True, "prose", NEEDLE, "correct"),  # correct wins over everything
        ("not found", "stop", True, "raw", ABSENT, "correct"),  # rightly abstaining is correct
        ("", "stop", False, "none", NEEDLE, "abstained"),
        (" \n", "length", False, "none", NEEDLE, "abstained"),
        ("```\n```", "stop", False, "none", DOCUMENT, "abstained"),
        ("Not found.", "stop", False, "none", NEEDLE, "abstained"),
        ("I’m sorry, the image is too blurry to read.", "stop", False, "none", DOCUMENT, "abstained"),
        ("未找到", "stop", False, "none", NEEDLE, "abstained"),
        ("Not found.", "stop", False, None, NEEDLE, "abstained"),  # of a metric that does not say how it found the answer
        ("It lists some items.", "stop", False, "none", Sample("x", "?", "[1, 2]", 64), "unparsable"),
        ("17; the other one was not found", "stop", False, "none", SEVERAL, "confabulated"),
        ("7654321", "stop", False, "none", NEEDLE, "confabulated"),
        ("7654321", "length", False, "none", NEEDLE, "truncated"),
        (LOOP, "length", False, "none", NEEDLE, "looping"),
        (LOOP, "stop", False, None, NEEDLE, "looping"),
        ("not found " * 60, "length", False, "none", NEEDLE, "looping"),  # a refusal is short
        ('{"status": "not found", "n": [0, 1]}', "stop", False, "raw", DOCUMENT, "confabulated"),  # a value, not a refusal
        ('```json\n{"status": "not found"', "length", False, "none", DOCUMENT, "truncated"),  # nor here, where it is broken off
        ('{"status": "fou', "length", False, "none", DOCUMENT, "truncated"),
        ('{"status": "fou', "stop", False, "none", DOCUMENT, "unparsable"),
        ("It lists some items.", "stop", False, "none", DOCUMENT, "unparsable"),
        ("It lists some items.", "stop", False, "none", NEEDLE, "confabulated"),  # nobody asked for JSON here
        ("It lists some items.", "stop", False, "none", Sample("x", "?", "[an aside]", 64), "confabulated"),
        ("It lists some items.", "stop", False, None, DOCUMENT, "confabulated"),  # a metric that does not extract
        ("[" * 100_000, "length", False, "none", DOCUMENT, "looping"),
    ],
)
def test_classify(prediction, finish, correct, extraction, sample, outcome):
    assert classify(prediction, finish, correct, extraction, sample) == outcome


@pytest.mark.parametrize(
    "text",
    [
        "not found",
        "NOT FOUND!",
        "I don't know.",
        "I do not know the answer",
        "I cannot read the text in this image.",
        "Sorry, I can’t help with that.",
        "I was not able to find the code.",
        "The code could not be found in the context.",
        "The number is not mentioned in the text.",
        "There is no information about the secret word.",
        "The text does not mention a blue fox.",
        "I looked on every page but could not find it.",
        "unknown",
        "N/A",
        "None.",
        "The secret code is unreadable",
        "isn't given",
        "It isn’t given.",
        "It was never mentioned.",
        "There is none.",
        "There isn't any.",
        "The text does not say.",
        "The text doesn't tell us.",
        "No secret number of the amber falcon was mentioned.",
        "None given",
        "I looked at the whole page. It is not there, and it is not mentioned.",
        "没有。",
        "文中没有说。",
        "没提",
        "没有这个代码",
        "未找到。",
        "文中没有提到这个代码。",
        "抱歉,我无法识别图像中的文字。",
        "图片太模糊,看不清。",
        "我不知道",
        "上下文中并未给出该数字",
    ],
)
def test_refusals_in_two_languages(text):
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234567",
        "The secret word is harbour.",
        "I cannot read it well, but the code is ABCD-2345.",
        "虽然看不清,但代码是 ABCD-2345",
        "There is no doubt: the code is ABCD-2345.",
        "unknown-lake",
        "Nonesuch",
        "密码是灯塔",
        "not foundry",
        "They could not agree, and the lighthouse was found later.",
        "word " * 90 + "not found",
        "It is 4821973. The other is not mentioned.",
        "4821973. The other isn't given.",
        "The code is K7QM-2XWD; the other one was not found",
        "It is lantern-harvest. The other is not mentioned.",
        "I don't know, maybe 4821973",
        "There is one: harbour",
        "是4821973。另一个没有提到。",
    ],
)
def test_answers_are_no_refusals(text):
    assert not is_refusal(text)


def test_assertions_are_the_sentences_that_refuse_nothing():
    text = "It is 3.5 m long. The other isn't given; that one is Red.\n文中没有说。是红色。"
    assert assertions(text) == ["it is 3.5 m long", "that one is red", "是红色"]


def test_the_phrase_that_was_asked_for_is_a_refusal():
    assert is_refusal("**ABSENT**", "absent")
    assert is_refusal("Nada por aqui", "nada por aqui")
    assert is_refusal("Resposta: nada por aqui.", "nada por aqui")
    assert not is_refusal("Resposta: algo", "nada por aqui")


def test_a_refusal_has_at_most_400_characters():
    """A longer text may say it in passing."""
    assert is_refusal("not found " + "a" * 390)
    assert not is_refusal("not found " + "a" * 391)


def test_a_part_of_the_answer_is_no_abstention_however_long():
    """As long as a refusal may be, to the character."""
    said = "17; the other one was not found "
    said += "".join(chr(0x7000 + i) for i in range(400 - len(said)))
    assert is_refusal(said)
    assert classify(said, "stop", False, "none", SEVERAL) == "confabulated"


def test_an_expected_answer_that_nobody_can_parse_is_no_json():
    """Brackets without end are a text like any other, and no error of the program."""
    deep = Sample("x", "?", "[" * 100_000, 64)
    assert classify("It lists some items.", "stop", False, "none", deep) == "confabulated"


@pytest.mark.parametrize("unit", ["a", "ab", " the", "Page 1\n", "重复", '{"a": 1}, ', "0123456789" * 20])
def test_loops_are_found_whatever_came_before_and_wherever_they_were_cut(unit):
    tail = unit * (40 // len(unit) + 7)
    assert is_looping("A long and sensible beginning. " + tail)
    assert is_looping("x" + tail + unit[: len(unit) // 2])
    assert is_looping(tail + "  \n")


def test_what_is_no_loop():
    assert not is_looping("")
    assert not is_looping("ha" * 19)  # 38 characters
    assert not is_looping("a sentence of forty characters or more. " * 5)  # five times
    assert not is_looping("".join(f"item {i}, " for i in range(1000)))
    assert not is_looping(json.dumps({"zeros": [0] * 500}))  # it came to its end
    assert is_looping('{"zeros": [' + "0, " * 500)


@pytest.mark.parametrize("length", [7, 30, 682])
def test_a_loop_is_six_times(length):
    """Six times in full, and not five, nor six less a character; of a long unit as of a short one."""
    unit = "".join(chr(0x4E00 + i) for i in range(length))
    assert not is_looping("x" + unit * 5)
    assert not is_looping("x" + (unit * 6)[1:])
    assert is_looping("x" + unit * 6)
    assert is_looping(unit * 6)


def test_a_loop_has_forty_characters():
    """Six times a short unit may be a way to speak."""
    assert not is_looping("x" + "ab" * 19 + "a")
    assert is_looping("x" + "ab" * 20)
    assert not is_looping("a" * 39)
    assert is_looping("a" * 40)


def test_a_loop_fits_into_the_last_4096_characters():
    """Six times 683 characters are more than that."""
    assert not is_looping("".join(chr(0x4E00 + i) for i in range(683)) * 6)
    assert is_looping("ab" * 2048)


def test_loop_detection_looks_at_a_bounded_tail():
    """A quadratic search over all periods of 20 MB would not end."""
    assert is_looping("ab" * 10_000_000)
    assert not is_looping("a" * 20_000_000 + "b")
