"""Needles, the questions about them, and how a perfect reader finds them again.

The wording of statements and questions is stable: models are trained on it.
"""

from __future__ import annotations

import random
import re
import uuid

import attrs

from ctxbench_needle.words import LANGUAGES

NOT_FOUND = {"en": "not found", "zh": "未找到"}

NOUNS = {
    "en": {"word": "word", "number": "number", "uuid": "UUID", "code": "code", "hex": "identifier"},
    "zh": {"word": "词语", "number": "数字", "uuid": "UUID", "code": "代码", "hex": "标识符"},
}
_LONGEST = 60  # characters of a value, damaged or not
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no letter that looks like a digit


@attrs.frozen
class Needle:
    """One hidden fact: the secret of ``key`` is ``value``."""

    key: str
    value: str


def draw_keys(rng: random.Random, language: str, count: int) -> list[str]:
    """Different keys, a color and an animal each."""
    words = LANGUAGES[language]
    drawn = rng.sample(range(len(words.colors) * len(words.animals)), count)
    return [f"{words.colors[i // len(words.animals)]}{words.join}{words.animals[i % len(words.animals)]}" for i in drawn]


def draw_values(rng: random.Random, language: str, kind: str, count: int) -> list[str]:
    """Different values of a kind.

    ``word``: two words joined, one of ten thousand pairs in English and in Chinese; ``number``: seven digits; ``uuid``: version 4;
    ``code``: like ``K7QM-2XWD``; ``hex``: 12 hexadecimal digits in lower case, as an abbreviated commit hash.
    """
    values: list[str] = []
    while len(values) < count:
        value = _draw_value(rng, language, kind)
        if value not in values:
            values.append(value)
    return values


def _draw_value(rng: random.Random, language: str, kind: str) -> str:
    if kind == "word":
        return LANGUAGES[language].between.join(rng.sample(LANGUAGES[language].secrets, 2))
    if kind == "number":
        return str(rng.randrange(1_000_000, 10_000_000))
    if kind == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    if kind == "hex":
        return f"{rng.getrandbits(48):012x}"
    return "-".join("".join(rng.choice(_CODE_LETTERS) for _ in range(4)) for _ in range(2))


def statement(needle: Needle, kind: str, language: str) -> str:
    """The sentence that hides a needle."""
    noun = NOUNS[language][kind]
    if language == "zh":
        return f"{needle.key}的秘密{noun}是{needle.value}。"
    return f"The secret {noun} of the {needle.key} is {needle.value}."


def question(keys: list[str], kind: str, language: str, *, several_values: bool) -> str:
    """The question about one or more keys, which also says how to answer and what to say if it is not given."""
    noun, missing = NOUNS[language][kind], NOT_FOUND[language]
    if language == "zh":
        ask = f"{'和'.join(keys)}的{'所有' if several_values else ''}秘密{noun}是什么？"
        how = "只回答答案，用逗号加空格分隔" if several_values else "只回答答案，按顺序用逗号加空格分隔" if len(keys) > 1 else "只回答答案"
        return f"{ask}{how}。如果没有提到，请回答：{missing}"
    whose = " and ".join(f"the {key}" for key in keys)
    if several_values:
        ask, how = f"What are all the secret {noun}s of {whose}?", "Answer with them only, separated by commas"
    elif len(keys) > 1:
        ask, how = f"What are the secret {noun}s of {whose}?", "Answer with them only, in this order, separated by commas"
    else:
        ask, how = f"What is the secret {noun} of {whose}?", f"Answer with the {noun} only"
    return f"{ask} {how}. If it is not given, answer: {missing}"


_QUESTION = {
    "en": re.compile(r"What (?:is|are(?: all)?) the secret (?P<noun>\w+?)s? of the (?P<keys>[^?]+)\?"),
    "zh": re.compile(r"(?P<keys>[^？]+?)的(?:所有)?秘密(?P<noun>\w+?)是什么？"),
}
_BETWEEN_KEYS = {"en": " and the ", "zh": "和"}


def solve(context: str, asked: str) -> str:
    """What a perfect reader of ``context`` answers to a question of :func:`question`.

    The values in the order of the question and, for one key, of the context; the phrase for "not found" if there is none. White space
    may have been lost, added or turned into line breaks.
    """
    language = "en" if asked.isascii() else "zh"
    match = _QUESTION[language].search(asked)
    found: list[str] = []
    for key in match["keys"].split(_BETWEEN_KEYS[language]) if match else []:
        found += _values("".join(context.split()), key, match["noun"] if match else "", language)
    return ", ".join(dict.fromkeys(found)) or NOT_FOUND[language]


def _values(context: str, key: str, noun: str, language: str) -> list[str]:
    """What stands between each statement's beginning and its full stop, in a context without white space."""
    words = f"{key}的秘密{noun}是" if language == "zh" else f"The secret {noun} of the {key} is"
    beginning = re.escape("".join(words.split()))
    stop = LANGUAGES[language].stop
    return re.findall(rf"{beginning}([^{stop}]{{1,{_LONGEST}}}){re.escape(stop)}", context)
