"""The strict score of ``needle``: the answer that is given counts, not that it is mentioned somewhere. One table of answers."""

from __future__ import annotations

import itertools

import pytest

from ctxbench import Sample
from ctxbench_metrics.answers import Contains, HitAt1
from ctxbench_needle.task import NeedleTask
from ctxbench_needle.words import LANGUAGES

UUID = "1b4e28ba-2fa1-4d2f-883f-0016d3cca427"
QUESTIONS = {
    "en": "What is the secret number of the amber falcon? Answer with the number only. If it is not given, answer: not found",
    "zh": "琥珀猎鹰的秘密数字是什么？只回答答案。如果没有提到，请回答：未找到",
}
EN_WORDS, ZH_WORDS = LANGUAGES["en"].secrets, LANGUAGES["zh"].secrets


def sample(answers: str, language: str = "en", *, ordered: bool = False, distractors: str = "", context: str = "...") -> Sample:
    """``answers`` and ``distractors`` separated by commas; no answers: the question has none."""
    values = answers.split(",") if answers else []
    metadata = {
        "answers": values,
        "answerable": bool(values),
        "not_found": {"en": "not found", "zh": "未找到"}[language],
        "ordered": ordered,
        "distractors": distractors.split(",") if distractors else [],
    }
    return Sample(context, QUESTIONS[language], ", ".join(values) or metadata["not_found"], 64, language, metadata)


def hit(prediction: str, of: Sample) -> float:
    return HitAt1().score(prediction, of).values["hit_at_1"]


NUMBER = [
    ("4821973", 1),
    ("4821973.", 1),
    (" 4821973\n", 1),
    ("４８２１９７３", 1),
    ("4,821,973", 1),
    ("4 821 973", 1),
    ("4'821'973", 1),
    ("**4821973**", 1),
    ("`4821973`", 1),
    ("```\n4821973\n```", 1),
    ('"4821973"', 1),
    ("- 4821973", 1),
    ("1. 4821973", 1),
    ("The secret number is 4821973.", 1),
    ("The secret number of the amber falcon is 4,821,973.", 1),
    ("The secret number of the amber falcon is: 4821973", 1),
    ("It's 4821973!", 1),
    ("Sure! The answer is **4821973**.", 1),
    ("According to the text, the secret number of the amber falcon is 4821973.", 1),
    ("4821973 is the secret number of the amber falcon.", 1),
    ("Answer: 4821973", 1),
    ("It is not 1234567 but 4821973.", 1),
    ("It is 4821973, not 1234567.", 1),
    ("I am not sure, but the number is 4821973.", 1),
    ("Page 2 says 4821973.", 1),
    ("<think>Is it 1234567? No, 7654321 is the otter's.</think>4821973", 1),
    (f"{QUESTIONS['en']}\n4821973", 1),
    ("There are two numbers, 1111111 and 2222222, for the others. The answer is 4821973.", 1),
    ("The secret number is not 4821973.", 0),
    ("is not 4821973", 0),
    ("It isn't 4821973.", 0),
    ("4821973 is not the secret number.", 0),
    ("Neither 4821973 nor 1234567.", 0),
    ("Is it 4821973?", 0),
    ("-4821973", 0),
    ("The number is -4821973.", 0),
    ("The number is −4821973.", 0),
    ("4821973.5", 0),
    ("0.4821973", 0),
    ("48219730", 0),
    ("482197", 0),
    ("4821973 or 4821974", 0),
    ("4821973, 1234567", 0),
    ("4821973/1234567", 0),
    ("4821970-4821973", 0),
    ("a4821973", 0),
    ("4821973_b", 0),
    (", ".join(str(4821973 + i) for i in range(-49, 50)), 0),
    ("\n".join(f"{i + 1}. {4821973 + i}" for i in range(99)), 0),
    ("The answer is 4821973. No, wait: the answer is 1234567.", 0),
    ("not found", 0),
    ("", 0),
    (QUESTIONS["en"], 0),
]
UUIDS = [
    (UUID, 1),
    (UUID.upper(), 1),
    (UUID.replace("-", ""), 1),
    (UUID.replace("-", "\u2011"), 1),
    (f"The secret UUID is {UUID}.", 1),
    (f"{{{UUID}}}", 1),
    (UUID[:-1], 0),
    (UUID[:-1] + "8", 0),
    (f"{UUID} or {UUID[:-1]}8", 0),
    (f"It is not {UUID}", 0),
]
HEX = [
    ("9f86d081884c", 1),
    ("The identifier is 9F86D081884C.", 1),
    ("9f86d081884", 0),
    ("9f86d081884d", 0),
    ("9f86d081884c0", 0),
    ("9f86d081884c, 60303ae22b99", 0),
    ("9f86 d081 884c", 0),
]
WORD = [
    ("lantern-harvest", 1),
    ("Lantern-Harvest.", 1),
    ("The secret word of the amber falcon is lantern-harvest.", 1),
    ("The secret word is “lantern-harvest”, as the text says.", 1),
    ("It is not lantern-harvest.", 0),
    ("lantern-harvest, compass-thistle", 0),
    ("harvest-lantern", 0),
    ("lantern", 0),
    (", ".join(f"{a}-{b}" for a, b in itertools.pairwise(EN_WORDS)), 0),
]
PLAIN_WORD = [
    ("harbour", 1),
    ("The harbour", 1),
    ("The secret word is 'harbour'.", 1),
    ("Harbour is the secret word.", 1),
    ("1. harbour", 1),
    ("harbours", 0),
    ("the seaharbour", 0),
    ("the harbourside", 0),
    ("harbour, anchor", 0),
    ("anchor or harbour", 0),
    ("anchor harbour pebble", 0),
    ("The word is anchor, not harbour.", 0),
    (", ".join(("harbour", *EN_WORDS[:52])), 0),
    (" ".join(("harbour", *EN_WORDS[:52])), 0),
    ("\n".join(("harbour", *EN_WORDS[:3])), 0),
]
CHINESE_NUMBER = [
    ("4821973", 1),
    ("４８２１９７３。", 1),
    ("琥珀猎鹰的秘密数字是4821973。", 1),
    ("答案是：4,821,973", 1),
    ("根据文中的内容，秘密数字是 4821973。", 1),
    ("不是1234567，而是4821973。", 1),
    ("不是4821973", 0),
    ("秘密数字不是4821973。", 0),
    ("4821973或1234567", 0),
    ("是4821973吗？", 0),
    ("秘密数字是-4821973", 0),
    ("未找到", 0),
]
CHINESE_WORD = [
    ("灯笼冰川", 1),
    ("灯笼冰川。", 1),
    ("“灯笼冰川”", 1),
    ("琥珀猎鹰的秘密词语是灯笼冰川。", 1),
    ("秘密词语：灯笼冰川", 1),
    ("不是灯笼冰川", 0),
    ("灯笼冰川、核桃镜子", 0),
    ("核桃镜子或灯笼冰川", 0),
    ("收获灯笼冰川镜子", 0),
    ("灯笼", 0),
    ("、".join(("灯笼冰川", *ZH_WORDS)), 0),
]
ABSENT = [
    ("not found", 1),
    ("Not found.", 1),
    ("It isn't given.", 1),
    ("It isn’t given in the text.", 1),
    ("There is none.", 1),
    ("There isn't any.", 1),
    ("The text does not say.", 1),
    ("The text doesn't say what it is.", 1),
    ("No secret number was mentioned.", 1),
    ("None.", 1),
    ("The number of the amber falcon is not mentioned.", 1),
    ("I looked at the whole page. The amber falcon is not mentioned.", 1),
    ("It is 4821973. The other is not mentioned.", 0),
    ("4821973. The other one isn't given.", 0),
    ("The answer is 4,821,973; nothing else was found.", 0),
    ("It is lantern-harvest. The other is not mentioned.", 0),
    ("There is one: 4821973", 0),
    ("4821973", 0),
    ("I cannot read it, maybe 4821973", 0),
    ("", 0),
]
CHINESE_ABSENT = [
    ("未找到", 1),
    ("没有。", 1),
    ("文中没有说。", 1),
    ("文中没有提到琥珀猎鹰。", 1),
    ("没有这个数字", 1),
    ("是4821973。另一个没有提到。", 0),
    ("4821973", 0),
]
TABLES = {
    "number": (NUMBER, sample("4821973")),
    "uuid": (UUIDS, sample(UUID)),
    "hex": (HEX, sample("9f86d081884c")),
    "word": (WORD, sample("lantern-harvest")),
    "plain word": (PLAIN_WORD, sample("harbour")),
    "zh number": (CHINESE_NUMBER, sample("4821973", "zh")),
    "zh word": (CHINESE_WORD, sample("灯笼冰川", "zh")),
    "absent": (ABSENT, sample("")),
    "zh absent": (CHINESE_ABSENT, sample("", "zh")),
}
CASES = [pytest.param(said, want, of, id=f"{name}-{i}") for name, (rows, of) in TABLES.items() for i, (said, want) in enumerate(rows)]


@pytest.mark.parametrize(("prediction", "right", "of"), CASES)
def test_the_answer_counts_not_its_mention(prediction, right, of):
    assert hit(prediction, of) == right


def test_there_are_many_answers_in_both_languages():
    assert len(CASES) >= 120
    assert sum(len(TABLES[name][0]) for name in TABLES if name.startswith("zh")) >= 25


@pytest.mark.parametrize(
    ("prediction", "in_order", "in_any_order"),
    [
        ("1234567, 7654321", 1, 1),
        ("1234567 and 7654321", 1, 1),
        ("1. 1234567\n2. 7654321", 1, 1),
        ("The secret numbers are 1,234,567 and 7,654,321.", 1, 1),
        ("The amber falcon's is 1234567. The jade otter's is 7654321.", 1, 1),
        ("7654321, 1234567", 0, 1),
        ("7654321 and 1234567", 0, 1),
        ("1234567", 0, 0),
        ("1234567, 7654322", 0, 0),
        ("1234567, 7654321, 1111111", 0, 0),
        ("not 1234567, 7654321", 0, 0),
    ],
)
def test_the_order_matters_where_the_question_asks_for_it(prediction, in_order, in_any_order):
    """``multi_query`` asks "in this order"; ``multi_value`` asks for all values."""
    assert hit(prediction, sample("1234567,7654321", ordered=True)) == in_order
    assert hit(prediction, sample("1234567,7654321")) == in_any_order


def test_three_digits_after_a_comma_may_be_a_second_number():
    assert hit("123,456", sample("123,456")) == 1
    assert hit("123,456", sample("123456")) == 1
    assert hit("123,456", sample("123")) == 0


def test_numbers_that_number_the_lines_or_are_in_the_question_are_no_answers():
    assert hit("1. 12", sample("12")) == 1
    assert hit("1) 12\n2) 15", sample("12,15")) == 1
    assert hit("1, 12", sample("12")) == 0
    asked = Sample("...", "What is the code of unit 1234567?", "4821973", 64, metadata={"answers": ["4821973"], "answerable": True})
    assert hit("The code of unit 1234567 is 4821973.", asked) == 1
    assert hit("The code of unit 1234568 is 4821973.", asked) == 0


def test_a_distractor_is_no_part_of_the_answer():
    """What is hidden beside the answer is wrong in its place, even a word of which the shape tells nothing."""
    both = sample("harbour", distractors="anchor")
    assert hit("The secret word is harbour.", both) == 1
    assert hit("The secret word of the falcon is harbour, the word of the otter is anchor.", both) == 0
    assert hit("The word anchor is given. The other is not mentioned.", sample("", distractors="anchor")) == 0
    assert hit("灯笼冰川。另一个没有提到。", sample("", "zh", distractors="灯笼冰川")) == 0


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("needle_type", ["word", "number", "uuid", "code", "hex"])
@pytest.mark.parametrize("variant", ["single", "multi_key", "multi_value", "multi_query"])
def test_echoes_of_real_samples(language, needle_type, variant):
    """The context, the prompt and all its statements are no answer; the answer, alone and in the sentences of the context, is."""
    task = NeedleTask(language=language, needle_type=needle_type, variant=variant, count=2)
    for seed in range(12):
        found = task.sample(160, seed)
        assert hit(found.answer, found) == 1
        assert hit(f"```\n{found.answer}\n```", found) == 1
        assert hit(found.context, found) == 0
        assert hit(f"{found.context}\n{found.question}", found) == 0
        assert Contains().score(found.context, found).values == {"contains": 1}
        assert hit(f"{found.question}\n{found.answer}", found) == 1
        if variant != "multi_key":
            continue
        both = ", ".join([*found.metadata["answers"], *found.metadata["distractors"]])
        assert hit(both, found) == 0
        assert hit(found.metadata["distractors"][0], found) == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shortest_context_echoed_is_no_answer(language):
    """Sixty-four tokens are about fifty words, of which a needle's statement repeats the question."""
    for seed in range(40):
        found = NeedleTask(language=language).sample(64, seed)
        assert hit(found.context, found) == 0, found.context


def test_an_answer_is_short():
    """Thirty words besides the value and the question's; more are a text in which the value occurs."""
    story = "we went along some narrow streets until evening came then everyone sat down"
    assert hit(f"The secret number is 4821973, {story}.", sample("4821973")) == 1
    assert hit(f"The secret number is 4821973, {story}, {story}, {story}.", sample("4821973")) == 0
    assert hit(f"{story}, {story}, {story}. The answer is 4821973.", sample("4821973")) == 1
    tale = "我们走过几条小巷直到傍晚来临然后坐下休息"
    assert hit(f"秘密数字是4821973，{tale}。", sample("4821973", "zh")) == 1
    assert hit(f"秘密数字是4821973，{tale * 4}。", sample("4821973", "zh")) == 0


def test_the_rule_stays_cheap_on_hostile_text():
    """A megabyte of commas, digits or words: the length alone says that it is no answer."""
    for text in ("4821973," * 200_000, "not " * 300_000, "灯" * 500_000, "1" * 1_000_000, "answer is " * 100_000):
        assert hit(text, sample("4821973")) == 0
