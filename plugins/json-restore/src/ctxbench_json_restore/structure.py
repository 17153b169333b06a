"""The shape of a document: how deep, how many fields, and how it is written; fields that fit that shape."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Container
from json.encoder import encode_basestring
from typing import Any

import attrs

from ctxbench_json_restore.values import Source

Entry = tuple[str, Any]

_BARE = 7  # tokens of a field below which its value can only be a short one
_LONG = 28  # ... above which only a text fills it


def keys_in(value: Any) -> int:
    """Number of keys on all levels."""
    if isinstance(value, dict):
        return len(value) + sum([keys_in(inner) for inner in value.values() if isinstance(inner, dict | list)])
    return sum(map(keys_in, value)) if isinstance(value, list) else 0


def depth_of(value: Any) -> int:
    """Nesting of objects and arrays; 0 for a plain value."""
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max([depth_of(part) for part in inner if isinstance(part, dict | list)], default=0)


@functools.lru_cache(maxsize=32)
def _encoder(indent: int | None) -> json.JSONEncoder:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)


# How json writes plain values; floats here are never NaN or infinite.
_WRITERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: int.__repr__,
    float: float.__repr__,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
}


@attrs.frozen
class Shape:
    """What a document looks like.

    Attributes:
        depth: nesting of objects and arrays, reached exactly; 1 is an object of plain values.
        field_count: number of keys on all levels, or ``None`` for as many as fit.
        indent: spaces a level, or ``None`` for the compact form.
    """

    depth: int
    field_count: int | None
    indent: int | None

    @property
    def close(self) -> str:
        """What ends the text of an object at the top."""
        return "}" if self.indent is None else "\n}"

    def write(self, document: Any) -> str:
        """The JSON text."""
        return _encoder(self.indent).encode(document)

    def write_field(self, key: str, value: Any) -> str:
        """The text of a field at the top, without braces and commas around it."""
        if self.indent is None and (plain := _WRITERS.get(type(value))):  # most fields: several times as fast
            return f"{encode_basestring(key)}:{plain(value)}"
        return self.write({key: value})[1 : -len(self.close)]


@attrs.frozen
class Fields:
    """Makes fields. ``room`` is about how many tokens one should cost, or ``None`` for whatever comes."""

    source: Source
    shape: Shape

    def deepest(self, taken: Container[str]) -> Entry:
        """A short field that reaches the depth exactly (which is at least 2)."""
        value: Any = dict([self.leaf(self.shape.depth, {}, _BARE - 1)])
        for _ in range(self.shape.depth - 2):
            value = {self.source.container_key({}): value}
        return self.source.container_key(taken), value

    def leaf(self, level: int, taken: Container[str], room: int | None = None) -> Entry:
        """A plain value, or an array of them if the object at this ``level`` (1 is the top) is not at the bottom."""
        kind = self.source.kind()
        while kind == "array" and (level >= self.shape.depth or room is not None):
            kind = self.source.kind()
        if room is not None and room > _LONG:
            kind = "string"
        elif room is not None and room < _BARE:
            kind = "boolean"
        wanted, value = self.source.field(kind)
        if room is not None and kind == "string" and room > _LONG:
            value = self.source.text(room - 5)
        return self.source.key(taken, wanted), value

    def entry(self, taken: Container[str], keys: int, room: int | None = None) -> Entry:
        """A field of the top level with at most ``keys`` keys, itself included."""
        rng, depth = self.source.rng, self.shape.depth
        chance = rng.random()
        if depth >= 2 and keys >= 3 and chance < 0.25:
            return self.source.container_key(taken), self._object(2, rng.randint(2, min(keys - 1, 6)), room)
        if depth >= 3 and keys >= 5 and chance < 0.4:
            each = rng.randint(2, min(5, (keys - 1) // 2))
            rows = rng.randint(2, min(4, (keys - 1) // each))
            return self.source.container_key(taken, many=True), [self._object(3, each, room) for _ in range(rows)]
        return self.leaf(1, taken, room)

    def _object(self, level: int, keys: int, room: int | None) -> dict[str, Any]:
        """An object of ``keys`` keys, those of its own objects included, ``level`` levels from the top."""
        made: dict[str, Any] = {}
        while keys > 0:
            if keys >= 3 and level < self.shape.depth and self.source.rng.random() < 0.2:
                inside = self.source.rng.randint(1, keys - 1)
                made[self.source.container_key(made)] = self._object(level + 1, inside, room)
                keys -= inside + 1
            else:
                key, value = self.leaf(level, made, room)
                made[key] = value
                keys -= 1
        return made
