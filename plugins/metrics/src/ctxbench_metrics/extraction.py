"""Finding the answer in what a model said: as it is, in a code fence, or amid prose. Time is linear in the length of the text."""

from __future__ import annotations

import decimal
import functools
import json
import re
from collections import deque
from typing import Any, Literal, NoReturn

import attrs

How = Literal["raw", "fence", "prose", "none"]

MAX_NESTING = 10_000
"""Brackets remembered while looking for JSON; Python's parser gives up long before."""

_FENCE = re.compile(r"```(?:[\w+.-]*[ \t]*\r?\n)?(.*?)(?:```|\Z)", re.DOTALL)
_ONLY_FENCE = re.compile(r"```(?:[\w+.-]*[ \t]*\r?\n)?((?:(?!```).)*)(?:```)?", re.DOTALL)
_INLINE = re.compile(r"`([^`]*)`")
_MARK = re.compile(r'\\.|["\[\]{}\n]', re.DOTALL)
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
def extract_json(prediction: str, opening: str) -> Extracted:
    """The JSON value in a prediction.

    The whole text if it parses (``raw``); else the longest code fence that starts as JSON does (``fence``); else, amid prose, the longest
    stretch between matching brackets that starts so (``prose``). If that stretch is broken or never closed, there is no answer (``none``):
    a fragment of a broken document is not taken for the document.

    Args:
        prediction: what the model said.
        opening: ``{`` or ``[``: what the expected value starts with; prose is searched for such values alone.
    """
    text = prediction.strip().removeprefix("\ufeff").strip()
    candidates: list[tuple[How, str]] = [("raw", text)]
    if fence := _longest_fence(text):
        candidates.append(("fence", fence))
    if stretch := _longest_stretch(text, opening):
        candidates.append(("prose", stretch))
    for how, candidate in candidates:
        try:
            return Extracted(how, candidate, parse_json(candidate))
        except ValueError:
            continue
    return Extracted("none", text)


def extract_text(prediction: str) -> Extracted:
    """A plain answer: what stands in the fence (or backticks) if that is all there is, else the stripped text."""
    text = prediction.strip()
    for pattern in (_ONLY_FENCE, _INLINE):
        if text.startswith("`") and (match := pattern.fullmatch(text)):
            return Extracted("fence", match[1].strip())
    return Extracted("raw", text)


def _longest_fence(text: str) -> str | None:
    if "```" not in text:
        return None
    contents = (match[1].strip() for match in _FENCE.finditer(text))
    return max((content for content in contents if _LOOKS_LIKE_JSON.match(content)), key=len, default=None)


def _longest_stretch(text: str, opening: str) -> str | None:
    """The longest stretch that starts with ``opening`` as JSON does; one that is never closed counts to where it breaks."""
    closing = {"{": "}", "[": "]"}.get(opening)
    if closing is None or opening not in text:
        return None
    best = (0, 0)
    stack: deque[int] = deque(maxlen=MAX_NESTING)
    quoted = False

    def offer(start: int, end: int) -> None:
        nonlocal best
        if text[start] == opening and end - start >= best[1] - best[0] and _LOOKS_LIKE_JSON.match(text, start):
            best = (start, end)

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
    return text[best[0] : best[1]] or None


def _object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        made[(key, len(made)) if key in made else key] = value
    return made


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=decimal.Decimal, parse_int=decimal.Decimal, parse_constant=_refuse)
