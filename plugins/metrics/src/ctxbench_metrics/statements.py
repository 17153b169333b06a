"""What a plain answer says: which values it gives, and whether it says anything else in their place.

A value is *given* if a clause asserts it; one that is denied ("it is not 17"), asked about or merely listed is not. The rules are those of
:class:`ctxbench_metrics.answers.HitAt1`. Words are normalised as SQuAD's evaluation does it (Rajpurkar et al., 2016: lower case; articles,
punctuation and extra white space removed), identifiers as RULER's (Hsieh et al., 2024: lower case), so that all their characters count.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Iterable

import attrs

MAX_WORDS = 30
"""Words that an answer may say besides its values and the words of the question; a Chinese character counts as half a word."""

ECHO = 4
"""Words (Chinese: twice as many characters) from which on a sentence that is also in the context is an echo of it."""

_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
_LETTER = rf"(?:(?![{_CJK}])[^\W_])"
_GROUPED = r"\d{1,3}(?:[, ']\d{3})+(?![\d])"
_JOINED = rf"{_LETTER}+(?:[-_]{_LETTER}+|(?<=\d)\.(?=\d){_LETTER}+)*"
_TOKEN = re.compile(_JOINED)
_TOKEN_GROUPED = re.compile(rf"(?<![\d.,]){_GROUPED}|{_JOINED}")
_HAN = re.compile(rf"[{_CJK}]")
_NUMBER = re.compile(r"-?\d+(?:[-.]\d+)*")
_SENTENCE = re.compile(r"(?<=[?？])|[.!](?=\s|$)|[。！；;\n]")
_CLAUSE = re.compile(r",(?!\d{3}(?!\d))|[，、：()（）]|:\s|\s[-–—]+\s|—|\b(?:but|though|however|while|instead)\b|但是?|而是|不过")
_DENIED = re.compile(
    r"\b(?:not|never|neither|nor|cannot|wrong|incorrect|false|rather than|instead of|other than|except)\b|n't\b"
    r"|不是|不为|不等于|并非|而非|绝非|没有|不对|错误|除了|无关"
)
_SEPARATOR = re.compile(r"[,，、;；/|\n]|\b(?:or|and)\b|或者?|和|以及")
_BULLET = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•])[ \t]+(?=\S)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MARKUP = str.maketrans(dict.fromkeys('*`"“”„«»「」『』《》【】', " ") | {"’": "'", "‘": "'", "\u2010": "-", "\u2011": "-", "−": "-"})
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "。，、！？：；（）", " "))
_FRAME = frozenset(
    "the a an is are was were it its it's that this these those which they them be as of in on to by for at from with i i'm found find see "
    "answer answers word words secret value values name called said says reads given stated text context document passage page image based "
    "according here there's yes sure okay ok certainly correct final both respectively hidden would should has have my following".split()
)
_FRAME_HAN = frozenset("是为的叫在文中据答案好即以下这该其它")


@attrs.frozen
class Expected:
    """The values that make an answer right.

    Attributes:
        values: what must be said.
        ordered: in this order.
        others: values that are wrong in their place, if known.
        question: what was asked; its words may be repeated.
        context: what it was asked about; its other sentences may not.
    """

    values: tuple[str, ...]
    ordered: bool = False
    others: tuple[str, ...] = ()
    question: str = ""
    context: str = ""


def gives(text: str, expected: Expected) -> bool:
    """True if ``text`` answers with the expected values and with no other."""
    if len(text) > 4000 + 8 * len(expected.question) + 8 * sum(map(len, expected.values)):
        return False
    plain = fold(text)
    if plain.strip() == fold(", ".join(expected.values)).strip():
        return True
    asserted = "\n".join(_asserted(_BULLET.sub("", plain)))
    return not _echoes(plain, expected) and any(_matches(asserted, expected, token) for token in (_TOKEN_GROUPED, _TOKEN))


@functools.lru_cache(maxsize=64)
def fold(text: str) -> str:
    """NFKC, lower case, plain apostrophes and hyphens, no quotation marks, emphasis or control characters, single blanks in a line."""
    plain = _CONTROL.sub("\n", unicodedata.normalize("NFKC", text).translate(_MARKUP).casefold())
    return "\n".join(" ".join(line.split()) for line in plain.splitlines())


def words_of(text: str) -> str:
    """SQuAD's normalisation: lower case; no articles, no punctuation, single blanks."""
    return " ".join(_ARTICLE.sub(" ", fold(text).translate(_PUNCTUATION)).split())


def _echoes(plain: str, expected: Expected) -> bool:
    """True if a sentence of some length without a value stands in the context word by word."""
    values = [fold(value).strip() for value in expected.values]
    sentences = [part.strip() for part in _SENTENCE.split(plain) if len(part.split()) + len(_HAN.findall(part)) / 2 >= ECHO]
    foreign = [sentence for sentence in sentences if not any(value in sentence for value in values)]
    context = fold(expected.context) if foreign else ""
    return any(sentence in context for sentence in foreign)


def _asserted(plain: str) -> list[str]:
    """The clauses that state something: no questions, nothing that is denied."""
    found = []
    for sentence in _SENTENCE.split(plain):
        if not sentence.rstrip().endswith(("?", "？")):
            found += [clause for clause in _CLAUSE.split(sentence) if not _DENIED.search(clause)]
    return found


def _matches(asserted: str, expected: Expected, token: re.Pattern[str]) -> bool:
    phrases = [value for value in expected.values if not _is_token(value)]
    said: list[tuple[int, str]] = []
    rest = asserted
    for value in sorted({*phrases, *(other for other in expected.others if not _is_token(other))}, key=len, reverse=True):
        places = _places(rest, value)
        said += [(start, value) for start, _ in places]
        for start, end in places:
            rest = rest[:start] + "\x00" * (end - start) + rest[end:]
    asked = {match[0] for match in token.finditer(fold(expected.question))}
    known = {_key(value): value for value in (*expected.others, *expected.values) if _is_token(value)}
    shapes = [_key(value) for value in expected.values if _is_token(value)]
    left: list[str] = []
    for match in token.finditer(rest):
        key = _key(_signed(rest, match))
        if key in known:
            said.append((match.start(), known[key]))
        elif match[0] not in asked:
            if any(_rivals(key, match[0], shape, value) for shape, value in zip(shapes, filter(_is_token, expected.values), strict=True)):
                return False
            left.append(match[0])
    han = [c for c in _HAN.findall(rest) if c not in expected.question]
    if len(left) + len(han) / 2 > MAX_WORDS or (phrases and _is_list(rest, asked, expected.question)):
        return False
    order = list(dict.fromkeys(value for _, value in sorted(said)))
    return order == list(dict.fromkeys(expected.values)) if expected.ordered else set(order) == set(expected.values)


@functools.lru_cache(maxsize=256)
def _is_token(value: str) -> bool:
    """An identifier: one token with a digit or a hyphen in it, of which each character counts."""
    folded = fold(value).strip()
    match = _TOKEN_GROUPED.fullmatch(folded.removeprefix("-"))
    return bool(match) and bool(re.search(r"[\d\-_]", folded))


def _signed(text: str, match: re.Match[str]) -> str:
    """The token with a minus sign, where it is a number and one stands directly before it."""
    start = match.start()
    joined = start > 1 and re.match(_LETTER, text[start - 2])  # a hyphen within a word
    minus = start > 0 and text[start - 1] in "-–" and not joined and match[0][0].isdigit()
    return "-" + match[0] if minus else match[0]


@functools.lru_cache(maxsize=256)
def _key(token: str) -> str:
    """An identifier without what groups its characters: 4,821,973 is 4821973, and a UUID needs no hyphens."""
    folded = fold(token).strip()
    sign, digits = ("-", folded[1:]) if folded.startswith("-") else ("", folded)
    return sign + re.sub(r"[-_, ']", "", digits)


def _rivals(key: str, token: str, shape: str, value: str) -> bool:
    """True if a token could be taken for an answer of the shape of an expected identifier."""
    long_enough = 2 * len(key.lstrip("-")) >= len(shape)
    if shape.isdecimal():
        return long_enough and bool(_NUMBER.fullmatch(key))
    if any(character.isdigit() for character in key):
        return long_enough
    parts, wanted = token.split("-"), fold(value).split("-")
    if any(character.isdigit() for character in shape):
        return len(parts) > 1 and list(map(len, parts)) == list(map(len, wanted))
    return len(parts) == len(wanted) > 1 and min(map(len, parts)) > 2


def _places(text: str, phrase: str) -> list[tuple[int, int]]:
    """Where a phrase stands as whole words; punctuation and articles within it may differ."""
    words = words_of(phrase).split() or fold(phrase).split()
    gap = r"(?:[^\w]|\b(?:a|an|the)\b)*"
    pattern = gap.join(map(re.escape, words))
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, words[0]) else ""
    after = rf"(?!{_LETTER})" if re.match(_LETTER, words[-1][-1]) else ""
    return [match.span() for match in re.finditer(before + pattern + after, text)]


def _is_list(rest: str, asked: Iterable[str], question: str) -> bool:
    """True if words stand beside the value as other candidates do: bare items of a list, or words around it that make no sentence."""
    frame = _FRAME.union(asked)
    for segment in _SEPARATOR.split(rest):
        tokens = [match[0] for match in _TOKEN.finditer(segment)]
        han = _HAN.findall(segment)
        explained = any(token in frame for token in tokens) or any(c in _FRAME_HAN or c in question for c in han)
        bare = 0 < len(tokens) <= 3 or 0 < len(han) <= 6
        if not explained and (bare or ("\x00" in segment and (tokens or han))):
            return True
    return False
