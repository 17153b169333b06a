"""Finding the answer in what a model said: as it is, in a code fence, or amid prose. Time is linear in the length of the text."""

from __future__ import annotations

import decimal
import functools
import heapq
import itertools
import json
import re
from collections import deque
from typing import Any, Literal, NoReturn

import attrs

from ctxbench_metrics.agreement import compare

How = Literal["raw", "fence", "prose", "none"]

MAX_NESTING = 10_000
"""Brackets remembered while looking for JSON; Python's parser gives up long before."""

MAX_CANDIDATES = 32
"""Stretches of prose that are looked at: the longest ones."""

MAX_ENCODED = 8
"""Places where JSON within a JSON string is looked for."""

_FENCE = re.compile(r"```(?:[\w+.-]*[ \t]*\r?\n)?(.*?)(?:```|\Z)", re.DOTALL)
_ONLY_FENCE = re.compile(r"```(?:[\w+.-]*[ \t]*\r?\n)?((?:(?!```).)*)(?:```)?", re.DOTALL)
_INLINE = re.compile(r"`([^`]*)`")
_MARK = re.compile(r'\\.|["\[\]{}\n]', re.DOTALL)
_ENCODED_START = re.compile(r'"\s*[\[{]')
_ENCODED = re.compile(r'"(?:[^"\\\n]|\\.)*+"')
_SHORTEST_QUESTION = 8
"""Characters of a question of one word (or of a script without spaces) below which it may occur in an answer by chance."""
_KINDS: dict[str, type] = {"{": dict, "[": list}
_LOOKS_LIKE_JSON = re.compile(r'\{\s*["}]|\[\s*(?:["\[{\]\-\d]|true|false|null)')


@attrs.frozen
class Extracted:
    """An answer and how it was found. ``value`` is the parsed JSON, with numbers as :class:`decimal.Decimal`."""

    how: How
    text: str
    value: Any = None


def parse_json(text: str) -> Any:
    """The value of a JSON text, strictly (RFC 8259): NaN and infinities are refused.

    Numbers become :class:`decimal.Decimal`, so none is too large and none is rounded. A key that occurs again in one object is kept
    as ``(key, n)``, which no key of a proper document equals.

    Raises:
        ValueError: it is not JSON, or is nested too deeply to be parsed.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    except decimal.DecimalException as error:
        raise ValueError(f"a number beyond all bounds: {type(error).__name__}") from None


@functools.lru_cache(maxsize=4)  # a task's metrics ask one after the other about the same prediction
def extract_json(prediction: str, answer: str, question: str = "") -> Extracted:
    """The JSON value that a prediction gives as its answer.

    - What a prediction repeats of its prompt is no answer: if the question occurs in it, only what follows the last time is looked at.
    - If that is JSON as a whole, it is the answer (``raw``).
    - Else the candidates are the contents of code fences (``fence``) and, outside of these, the stretches between matching brackets
      (``prose``) that are JSON of the kind that is expected, object or array. One within another is a part of it, and one within a
      stretch that is broken or never closed is a fragment: neither is a candidate.
    - Of several, the one whose *structure* is nearest to the expected document's counts: the highest F1 of the paths of its leaves. Of
      equally near ones the last counts. Values are not looked at, so that nothing is won by giving several answers.
    - JSON in a JSON string (``"{\\"a\\": 1}"``) is taken out of the string, wherever the string may stand.

    Args:
        prediction: what the model said.
        answer: the expected document.
        question: what was asked.
    """
    text = after_question(prediction, question).strip().removeprefix("\ufeff").strip()
    opening = answer.lstrip()[:1]
    candidates = _candidates(text, opening)
    if not candidates:
        return Extracted("none", text)
    if len(candidates) == 1:
        return candidates[0]
    try:
        expected = parse_json(answer)
    except ValueError:
        return candidates[-1]
    return max(enumerate(candidates), key=lambda found: (compare(found[1].value, expected).key_f1, found[0]))[1]


def after_question(prediction: str, question: str) -> str:
    """What follows the last repetition of the question, or the whole prediction if it does not repeat it. White space may differ."""
    words = question.split()
    if len(words) < 2 and len(question) < _SHORTEST_QUESTION:
        return prediction
    if words[0] not in prediction:
        return prediction
    ends = [match.end() for match in re.finditer(r"\s+".join(map(re.escape, words)), prediction)]
    return prediction[ends[-1] :] if ends else prediction


def extract_text(prediction: str) -> Extracted:
    """A plain answer: what stands in the fence (or backticks) if that is all there is, else the stripped text."""
    text = prediction.strip()
    for pattern in (_ONLY_FENCE, _INLINE):
        if text.startswith("`") and (match := pattern.fullmatch(text)):
            return Extracted("fence", match[1].strip())
    return Extracted("raw", text)


def _candidates(text: str, opening: str) -> list[Extracted]:
    """What could be the answer, in the order of the text."""
    whole = _parsed("raw", text, opening)
    if whole:
        return [whole]
    found = [_parsed("fence", match[1].strip(), opening) for match in _FENCE.finditer(text)] if "```" in text else []
    prose = _FENCE.sub("\n", text) if any(found) else text
    stretches = sorted(heapq.nlargest(MAX_CANDIDATES, _stretches(prose, opening), key=lambda part: part[1] - part[0]))
    found += [_parsed("prose", prose[start:end], opening) for start, end in stretches]
    if not any(found):
        starts = itertools.islice(_ENCODED_START.finditer(text), MAX_ENCODED)
        strings = (_ENCODED.match(text, start.start()) for start in starts)
        found = [_parsed("prose", string[0], opening) for string in strings if string]
    return [candidate for candidate in found if candidate]


def _parsed(how: How, text: str, opening: str) -> Extracted | None:
    """A candidate, if it is JSON; amid other text, only if it is of the kind that is expected."""
    for _ in range(2):
        try:
            value = parse_json(text)
        except ValueError:
            return None
        if isinstance(value, str) and opening in _KINDS and value.lstrip()[:1] == opening:
            text = value.strip()
            continue
        if how == "raw" or opening not in _KINDS or isinstance(value, _KINDS[opening]):
            return Extracted(how, text, value)
        return None
    return None


def _stretches(text: str, opening: str) -> list[tuple[int, int]]:
    """Start and end of every outermost stretch that begins with ``opening`` as JSON does.

    One that is never closed, or that breaks, counts up to where it breaks: it holds whatever lies in it.
    """
    closing = {"{": "}", "[": "]"}.get(opening)
    if closing is None or opening not in text:
        return []
    found: list[tuple[int, int]] = []
    stack: deque[int] = deque(maxlen=MAX_NESTING)
    quoted = False

    def offer(start: int, end: int) -> None:
        if text[start] == opening and _LOOKS_LIKE_JSON.match(text, start):
            while found and found[-1][0] > start:
                found.pop()
            if not found or found[-1][1] <= start:
                found.append((start, end))

    def give_up(end: int) -> None:
        for start in stack:
            offer(start, end)
        stack.clear()

    for match in _MARK.finditer(text):
        mark, at = match[0], match.start()
        if quoted:
            if mark == '"':
                quoted = False
            elif mark == "\n":  # no JSON string holds a line break: whatever is open is broken
                quoted = False
                give_up(at)
            continue
        mark, at = mark[-1], match.end() - 1  # outside a string a backslash means nothing
        if mark in "[{":
            stack.append(at)
        elif mark in "]}" and stack:
            if (text[stack[-1]] == "{") == (mark == "}"):
                offer(stack.pop(), at + 1)
            else:
                give_up(at)
        elif mark == '"' and stack:
            quoted = True
    give_up(len(text))
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        made[(key, len(made)) if key in made else key] = value
    return made


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=decimal.Decimal, parse_int=decimal.Decimal, parse_constant=_refuse)
