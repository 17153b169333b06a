"""Strings to learn reading from: random characters, JSON and sentences. Everything comes from the generator that is passed in."""

from __future__ import annotations

import json
import random
import re
import string

PRINTABLE = "".join(chr(i) for i in range(32, 127))
KEYS = (
    "name id value count price status type category description timestamp location author title content email phone user order total "
    "active enabled config items data list size color city country date level score version region owner tags label path code"
).split()
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all "
    "her she there would their we him been has when who will no more if out so up said what its about than into them can only other "
    "time new some could these two may first then do any like my now over such our man me even most made after also did many off before "
    "must well back through years much where your way down should because long each just state those people too little good world make "
    "very year still see own work men day get here old both between life being under three never know same last another while us might "
    "great since against go came right used take morning harbour letter window garden market river stone paper engine quiet evening"
).split()


def noise(r: random.Random, n: int) -> str:
    """``n`` random printable characters."""
    return "".join(r.choices(PRINTABLE, k=n))


def _word(r: random.Random) -> str:
    return r.choice(WORDS) if r.random() < 0.8 else "".join(r.choices(string.ascii_lowercase, k=r.randint(2, 9)))


def _value(r: random.Random, depth: int) -> object:
    kind = r.random()
    if kind < 0.15 and depth:
        return {f"{r.choice(KEYS)}": _value(r, depth - 1) for _ in range(r.randint(1, 3))}
    if kind < 0.25 and depth:
        return [_value(r, depth - 1) for _ in range(r.randint(1, 4))]
    if kind < 0.45:
        return r.choice([r.randrange(10), r.randrange(10000), round(r.uniform(0, 1000), 2), -r.randrange(100)])
    if kind < 0.55:
        return r.choice([True, False, None])
    if kind < 0.75:
        return " ".join(_word(r) for _ in range(r.randint(1, 3)))
    return "".join(r.choices(string.ascii_letters + string.digits + "-_ ", k=r.randint(3, 12)))


def document(r: random.Random, n: int) -> str:
    """The first ``n`` characters of a compact JSON object."""
    fields: dict[str, object] = {}
    text = ""
    while len(text) < n:
        key = r.choice(KEYS) if r.random() < 0.7 else f"{r.choice(KEYS)}_{r.choice([*KEYS, str(r.randrange(100))])}"
        fields[key if key not in fields else f"{key}{r.randrange(1000)}"] = _value(r, 2)
        text = json.dumps(fields, separators=r.choice([(",", ":"), (", ", ": ")]))
    return text[:n]


def prose(r: random.Random, n: int) -> str:
    """``n`` characters of sentences, with a number or a name here and there."""
    out = ""
    while len(out) < n:
        words = [_word(r) for _ in range(r.randint(4, 12))]
        if r.random() < 0.2:
            words[r.randrange(len(words))] = str(r.randrange(10 ** r.randint(1, 7)))
        out += " ".join(words).capitalize() + r.choice([". ", ". ", "? ", ", "])
    return out[:n]


def of_kind(r: random.Random, kind: str, n: int) -> str:
    """``n`` characters of ``noise``, a ``document`` or ``prose``, without a break or a space at either end."""
    text = {"noise": noise, "document": document, "prose": prose}[kind](r, n)
    return text.strip().ljust(n, ".") if text != text.strip() else text


def _key(r: random.Random) -> str:
    return r.choice(["-", " ", "_"]).join(r.choice(WORDS + KEYS) for _ in range(r.randint(1, 2)))


def _fact_value(r: random.Random) -> str:
    kind = r.random()
    if kind < 0.4:
        return str(r.randrange(10 ** r.randint(3, 8)))
    if kind < 0.6:
        return "".join(r.choices("0123456789abcdef", k=8)) + "-" + "".join(r.choices("0123456789abcdef", k=4))
    if kind < 0.8:
        return "".join(r.choices(string.ascii_uppercase + string.digits, k=r.randint(4, 10)))
    return _key(r)


FACTS = (
    "One of the special magic numbers for {key} is: {value}.",
    "The special magic number for {key} is {value}.",
    "The secret code for {key} is {value}.",
    "The access code of {key} is {value}.",
    "Remember this: {key} is {value}.",
)
QUESTIONS = (
    "What is the special magic number for {key}? Answer with the value only.",
    "What is the secret code for {key}?",
    "What is the value of {key}?",
    "Find {key}.",
)


def facts(r: random.Random, n: int) -> list[tuple[str, str, str]]:
    """``n`` facts with different keys: (key, value, sentence)."""
    found: dict[str, tuple[str, str, str]] = {}
    template = r.choice(FACTS)
    while len(found) < n:
        key, value = _key(r), _fact_value(r)
        found.setdefault(key, (key, value, template.format(key=key, value=value)))
    return list(found.values())


def hide(r: random.Random, sentences: list[str], length: int) -> str:
    """Prose of about ``length`` characters with the sentences at random places."""
    filler = prose(r, max(0, length - sum(map(len, sentences)))).rstrip().split(". ")
    for sentence in sentences:
        filler.insert(r.randint(0, len(filler)), sentence.removesuffix("."))
    return ". ".join(part for part in filler if part) + "."


def ask(r: random.Random, key: str) -> str:
    """A question about a key."""
    return r.choice(QUESTIONS).format(key=key)


def solve(text: str, question: str) -> str:
    """The value that a fact in ``text`` gives for the key of a question."""
    asked = (re.fullmatch(re.escape(words).replace(r"\{key\}", "(.+)"), question) for words in QUESTIONS)
    key = re.escape(next((found.group(1) for found in asked if found), question))
    known = (re.search(re.escape(words).replace(r"\{key\}", key).replace(r"\{value\}\.", r"([^.]+)\."), text) for words in FACTS)
    return next((found.group(1) for found in known if found), "")
