"""Checks what plugins return, so that a wrong value becomes an error of the one trial that it belongs to.

Every function returns what it was given, or raises TypeError or ValueError with a message that says what was wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from PIL import Image

from ctxbench.records import Carrier, ImageTokens, Reading, Sample, Scores, TokenUsage

T = TypeVar("T")

LANGUAGES = ("en", "zh")
SOURCES = ("processor", "server", "formula")


def expect(value: object, wanted: type[T], what: str) -> T:
    """``value``, if it is of the type that was wanted."""
    if not isinstance(value, wanted):
        raise TypeError(f"{what} must be {wanted.__name__}, got {type(value).__name__}")
    return value


def text(value: object, what: str) -> str:
    """Text that UTF-8 can hold."""
    found = expect(value, str, what)
    try:
        found.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} holds a lone surrogate at character {error.start}, which is not text") from None
    return found


def count(value: object, what: str) -> int:
    """A whole number, zero or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be a whole number, got {_show(value)}")
    if value < 0:
        raise ValueError(f"{what} must not be negative, got {value}")
    return value


def seconds(value: object, what: str) -> float | None:
    """A time, or ``None``."""
    return _amount(value, what, "a time")


def dollars(value: object, what: str) -> float | None:
    """An amount of money, or ``None``."""
    return _amount(value, what, "an amount")


def _amount(value: object, what: str, kind: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number, got {_show(value)}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{what} must be {kind} of zero or more, got {value}")
    return float(value)


def json_mapping(value: object, what: str) -> dict[str, Any]:
    """A mapping that JSON can express."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a dict, got {type(value).__name__}")
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"{what} is not JSON: {error}") from None
    return dict(value)


def sample(value: object, bucket: int) -> Sample:
    """A sample of the bucket that was asked for."""
    found = expect(value, Sample, "what sample() returns")
    for name in ("context", "question", "answer"):
        text(getattr(found, name), f"the sample's {name}")
    if found.language not in LANGUAGES:
        raise ValueError(f"the sample's language must be one of {', '.join(LANGUAGES)}, got {_show(found.language)}")
    if found.bucket != bucket:
        raise ValueError(f"the sample says bucket {_show(found.bucket)}, but {bucket} was asked for")
    json_mapping(found.metadata, "the sample's metadata")
    return found


def length(tokens: int, bucket: int) -> None:
    """The length of a context, in reference tokens, meets its bucket within 1 % or one token."""
    if abs(tokens - bucket) > max(1, bucket / 100):
        raise ValueError(f"the context has {tokens} reference tokens, which misses the bucket of {bucket} by more than 1 %")


def page(value: object, what: str) -> Image.Image:
    """An RGB image with at least one pixel."""
    found = expect(value, Image.Image, what)
    if found.mode != "RGB":
        raise ValueError(f"{what} must be an RGB image, got mode {found.mode}")
    if min(found.size) < 1:
        raise ValueError(f"{what} has no pixels: {found.width} x {found.height}")
    return found


def carrier(value: object) -> Carrier:
    """A carrier of text, RGB pages, or both."""
    found = expect(value, Carrier, "what encode() returns")
    if found.text is not None:
        text(found.text, "the carrier's text")
    for i, image in enumerate(found.pages):
        page(image, f"page {i} of the carrier")
    if found.payload_bytes is not None:
        count(found.payload_bytes, "the carrier's payload_bytes")
    return found


def verbatim(carrier: Carrier, context: str) -> None:
    """The carrier is the context itself, as its codec says of all that it makes."""
    if carrier.pages or carrier.text != context:
        raise ValueError("the codec says that its carriers are the context itself (verbatim), and this one is not")


def image_tokens(value: object) -> ImageTokens:
    """Token counts and a size in pixels, all of them whole numbers in range."""
    found = expect(value, ImageTokens, "what the token counter's image() returns")
    count(found.tokens, "visual tokens of a page")
    for name in ("width", "height"):
        if count(getattr(found, name), f"the resized {name} of a page") < 1:
            raise ValueError(f"the resized {name} of a page must be at least 1, got 0")
    return found


def answers(value: object, wanted: int) -> Iterator[tuple[int, object]]:
    """What a model's ``read_each`` yields: an index and a reading for each prompt, each once; the readings are checked one by one."""
    seen: set[int] = set()
    if not isinstance(value, Iterable):
        raise TypeError(f"read_each() must yield readings, got {type(value).__name__}")
    for pair in value:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"read_each() must yield (index, reading), got {_show(pair)}")
        index = count(pair[0], "the index that read_each() yields")
        if index >= wanted or index in seen:
            raise ValueError(f"read_each() gave index {index} {'twice' if index in seen else f'for {wanted} prompts'}")
        seen.add(index)
        yield index, pair[1]
    if len(seen) != wanted:
        raise ValueError(f"read_each() gave {len(seen)} readings for {wanted} prompts")


def reading(value: object) -> Reading:
    """A reading with values of the right types, which the store can hold."""
    found = expect(value, Reading, "what read() returns for a prompt")
    dollars(found.cost_usd, "a reading's cost_usd")
    dollars(found.spent_usd, "a reading's spent_usd")
    if found.error is not None:
        pair = found.error
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise TypeError(f"a reading's error must be (type, message), got {_show(pair)}")
        return found
    expect(found.text, str, "a reading's text")
    expect(found.finish_reason, str, "a reading's finish_reason")
    json_mapping(found.metadata, "a reading's metadata")
    seconds(found.prefill_seconds, "a reading's prefill_seconds")
    seconds(found.generate_seconds, "a reading's generate_seconds")
    if found.usage is not None:
        _usage(found.usage)
    return found


def _usage(value: object) -> None:
    found = expect(value, TokenUsage, "a reading's usage")
    count(found.prompt, "usage.prompt")
    for field in ("visual", "completion", "markers"):
        if getattr(found, field) is not None:
            count(getattr(found, field), f"usage.{field}")
    expect(found.pages, tuple, "usage.pages")
    for tokens in found.pages:
        count(tokens, "usage.pages")
    if found.source not in SOURCES:
        raise ValueError(f"usage.source must be one of {', '.join(SOURCES)}, got {_show(found.source)}")


def readings(value: object, wanted: int) -> list[object]:
    """One reading for each prompt; what they hold is checked one by one."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"read() must return a list of readings, got {type(value).__name__}")
    if len(value) != wanted:
        raise ValueError(f"read() gave {len(value)} readings for {wanted} prompts")
    return list(value)


def scores(value: object) -> Scores:
    """Finite numbers under names."""
    if not isinstance(value, (Scores, Mapping)):
        raise TypeError(f"what score() returns must be a dict or Scores, got {type(value).__name__}")
    found = value if isinstance(value, Scores) else Scores(dict(value))
    for name, number in found.values.items():
        expect(name, str, "the name of a score")
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            number = _as_number(number, name)
        if not math.isfinite(number):
            raise ValueError(f"the score {name!r} must be finite, got {number}")
    if found.extraction is not None:
        expect(found.extraction, str, "a score's extraction")
    return attrs.evolve(found, values={name: float(number) for name, number in found.values.items()})


def _as_number(value: object, name: str) -> float:
    """Booleans and numpy's numbers are numbers; text is not."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise TypeError(f"the score {name!r} must be a number, got {_show(value)}")
    return float(value)


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
