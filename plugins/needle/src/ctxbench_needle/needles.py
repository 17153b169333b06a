"""Needles, the questions about them, and finding them again as a perfect reader would."""

from __future__ import annotations

import random
import re
import uuid

import attrs

from ctxbench_needle.words import VOCABULARIES

NOT_FOUND = {"en": "not found", "zh": "未找到"}

_NOUNS = {
    "en": {"word": "word", "number": "number", "uuid": "UUID", "code": "code"},
    "zh": {"word": "词语", "number": "数字", "uuid": "UUID", "code": "代码"},
}
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no letter that looks like a digit


@attrs.frozen
class Needle:
    """One hidden fact: the secret of ``key`` is ``value``."""

    key: str
    value: str


def draw_keys(rng: random.Random, language: str, count: int) -> list[str]:
    """Different keys, two words each."""
    words = VOCABULARIES[language]
    space = " " if language == "en" else ""
    pairs = [f"{color}{space}{animal}" for color in words.colors for animal in words.animals]
    return rng.sample(pairs, count)


def draw_value(rng: random.Random, language: str, kind: str) -> str:
    """A value of a kind: ``word``, ``number``, ``uuid`` or ``code``."""
    if kind == "word":
        return rng.choice(VOCABULARIES[language].secret_words)
    if kind == "number":
        return str(rng.randrange(1_000_000, 10_000_000))
    if kind == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return "-".join("".join(rng.choice(_CODE_LETTERS) for _ in range(4)) for _ in range(2))


def statement(needle: Needle, kind: str, language: str) -> str:
    """The sentence that hides a needle."""
    noun = _NOUNS[language][kind]
    if language == "zh":
        return f"{needle.key}的秘密{noun}是{needle.value}。"
    return f"The secret {noun} of the {needle.key} is {needle.value}."


def question(keys: list[str], kind: str, language: str, several_values: bool) -> str:
    """The question about one or more keys, which also says how to answer."""
    noun = _NOUNS[language][kind]
    missing = NOT_FOUND[language]
    if language == "zh":
        whose = "和".join(keys)
        every = "所有" if several_values else ""
        how = "只回答答案,用逗号加空格分隔" if several_values or len(keys) > 1 else "只回答答案"
        return f"{whose}的{every}秘密{noun}是什么?{how}。如果没有提到,请回答:{missing}"
    whose = " and ".join(f"the {key}" for key in keys)
    if several_values:
        ask, how = f"What are all the secret {noun}s of {whose}?", "Answer with them only, separated by commas"
    elif len(keys) > 1:
        ask, how = f"What are the secret {noun}s of {whose}?", "Answer with them only, in this order, separated by commas"
    else:
        ask, how = f"What is the secret {noun} of {whose}?", f"Answer with the {noun} only"
    return f"{ask} {how}. If it is not given, answer: {missing}"


_KEY_IN_QUESTION = {
    "en": re.compile(r"the (\w+ \w+?)(?= and the |\?)"),
    "zh": re.compile(r"^(.*?)的(?:所有)?秘密"),
}
_STATEMENT = {
    "en": r"The secret \w+ of the {key} is ([\w-]+)\.",
    "zh": r"{key}的秘密(?:词语|数字|UUID|代码)是([\w-]+)。",
}


def solve(context: str, asked: str) -> str:
    """What a perfect reader of ``context`` answers: the values in the order of the question and, for one key, of the context."""
    language = "en" if asked.isascii() else "zh"
    found: list[str] = []
    for key in _asked_keys(asked, language):
        found += re.findall(_STATEMENT[language].format(key=re.escape(key)), context)
    return ", ".join(dict.fromkeys(found)) or NOT_FOUND[language]


def _asked_keys(asked: str, language: str) -> list[str]:
    if language == "en":
        head = asked.partition("?")[0] + "?"
        return _KEY_IN_QUESTION["en"].findall(head.partition(" of ")[2])
    match = _KEY_IN_QUESTION["zh"].match(asked)
    return match[1].split("和") if match else []
