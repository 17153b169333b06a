"""JSON documents of an exact length in reference tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import attrs

from ctxbench import SampleError
from ctxbench_json_restore import values

Count = Callable[[str], int]


@attrs.frozen
class Shape:
    """What a document looks like. ``fields`` counts the top level and is as many as fit if ``None``; ``indent`` ``None`` is compact."""

    fields: int | None
    depth: int
    entropy: str
    language: str
    indent: int | None


def dumps(value: Any, indent: int | None) -> str:
    """JSON text: compact, or indented; characters beyond ASCII as they are."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def make(rng: random.Random, tokens: int, shape: Shape, count: Count) -> str:
    """A document of ``tokens`` reference tokens, within 1 % or one token where that is more.

    Fields are added while they fit; the last field is a text that takes up the rest.

    Raises:
        SampleError: ``tokens`` is too small for the fields asked for.
    """
    document = _fields(rng, tokens, shape, count)
    tail = values.key(rng, shape.language, set(document))
    return _fit(rng, document, tail, tokens, shape, count)


def _fields(rng: random.Random, tokens: int, shape: Shape, count: Count) -> dict[str, Any]:
    """Fields that leave room for the closing text."""
    room = tokens - 12
    document: dict[str, Any] = {}
    used = 2
    wanted = None if shape.fields is None else shape.fields - 1
    misses = 0
    while wanted is None or len(document) < wanted:
        share = room if wanted is None else max(10, (room - used) // max(1, wanted - len(document)))
        name = values.key(rng, shape.language, set(document))
        value = _value(rng, shape, shape.depth - 1, min(share, room - used))
        size = count(dumps({name: value}, shape.indent)) - 1  # in the document a comma stands for the opening brace, none for the closing
        if used + size > room:
            if wanted is not None:
                raise SampleError(f"{shape.fields} fields need more than {tokens} tokens; ask for a longer context or fewer fields")
            misses += 1  # a smaller field may still fit: the closing text should stay short
            if misses > 20:
                break
            continue
        document[name] = value
        used += size
    return document


def _value(rng: random.Random, shape: Shape, levels: int, room: int) -> Any:
    """A scalar, or a small object or array if levels and room are left."""
    if levels <= 0 or room < 40 or rng.random() < 0.6:
        return values.scalar(rng, shape.entropy, shape.language)
    size = rng.randint(2, 4)
    if rng.random() < 0.5:
        return [_value(rng, shape, levels - 1, room // size) for _ in range(size)]
    made: dict[str, Any] = {}
    for _ in range(size):
        made[values.key(rng, shape.language, set(made))] = _value(rng, shape, levels - 1, room // size)
    return made


def _fit(rng: random.Random, document: dict[str, Any], tail: str, tokens: int, shape: Shape, count: Count) -> str:
    """The document with a closing text under ``tail`` that makes its length exact."""
    unit = _units(rng, shape)
    words: list[str] = []

    def text(n: int) -> str:
        while len(words) < n:
            words.append(next(unit))
        return dumps({**document, tail: "".join(words[:n]).strip()}, shape.indent)

    low, high = 0, 1
    while shape.fields is None and document and count(text(0)) > tokens:  # the estimate was a token or two short
        document.popitem()
    if count(text(0)) > tokens + _slack(tokens):
        raise SampleError(f"a JSON document of this shape needs more than {tokens} tokens; ask for a longer context or fewer fields")
    while count(text(high)) < tokens:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text(middle)) < tokens else (low, middle)
    found = min((text(n) for n in (low, high)), key=lambda made: abs(count(made) - tokens))
    if abs(count(found) - tokens) > _slack(tokens):
        raise SampleError(f"no closing text makes this document {tokens} tokens long; this is a defect, please report it")
    return found


def _slack(tokens: int) -> int:
    return max(1, tokens // 100)


def _units(rng: random.Random, shape: Shape) -> Any:
    """Endless pieces of about one token each, of the document's own entropy."""
    words = values.WORDS[shape.language]
    while True:
        if shape.entropy == "random":
            yield rng.choice("0123456789abcdef")
        else:
            yield words.join + rng.choice(words.common)
