"""Documents of an exact length in reference tokens.

Fields are drawn in batches of about the length that is missing, and counted as they are added (see :mod:`ctxbench_json_restore.draft`).
The field that makes the length exact ends in digits: Qwen2's tokenizer never merges one with anything, so each is exactly one token.
"""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import SampleError
from ctxbench_json_restore.draft import Draft
from ctxbench_json_restore.structure import Entry, Fields, Shape, keys_in
from ctxbench_json_restore.values import Source

SMALLEST = 24
"""Tokens below which braces, keys and digits make no document worth restoring."""

_DIGITS = 15  # every JSON reader keeps integers below 10**15 exact
_ATTEMPTS = 300
_ROOM = 40  # tokens below which fields are tried one by one
_LEFT = 10  # tokens that are left to the field that makes the length exact
_ATTEMPTS_AT_SHORT = 8


@attrs.define
class Builder:
    """Builds one document; use it once."""

    source: Source
    shape: Shape
    target: int
    draft: Draft = attrs.field(init=False)
    kept: int = attrs.field(default=0, init=False)

    def build(self) -> tuple[str, dict[str, Any]]:
        """A document of exactly ``target`` tokens: its text, and what it says.

        Raises:
            SampleError: the options leave no document of that length.
        """
        fewest = 3 * (self.shape.field_count or 1)  # a key, its quotes and colon, a value
        if self.target < max(SMALLEST, fewest):
            raise SampleError(f"{self._options()} needs a bucket of at least {max(SMALLEST, fewest)} tokens, got {self.target}")
        self.draft = Draft(self.shape)
        fields = Fields(self.source, self.shape)
        if self.shape.depth > 1:
            self.draft.add([fields.deepest(self.draft.entries)])
            self.kept = 1
        if self.shape.field_count is None:
            self._fill(fields)
        else:
            self._spread(fields, self.shape.field_count)
        return self._finish(), self.draft.entries

    def _options(self) -> str:
        count = "" if self.shape.field_count is None else f", field_count {self.shape.field_count}"
        return f"json_restore with depth {self.shape.depth}{count}"

    @property
    def missing(self) -> int:
        """Tokens that are still to come; below 0, tokens too many."""
        return self.target - self.draft.tokens

    def _fill(self, fields: Fields) -> None:
        """Add fields until what is missing is about one short field."""
        rate = 0.6 if self.source.language == "zh" else 0.45  # tokens a character, until it is measured
        while self.missing > _ROOM:
            entries, texts = self._batch(fields, rate)
            before = self.draft.tokens
            self.draft.add(entries, texts)
            rate = max(0.2, (self.draft.tokens - before) / sum(len(text) + 1 for text in texts))
            while self.missing < _LEFT:
                self.draft.pop()
        for _ in range(_ATTEMPTS_AT_SHORT):
            if self.missing <= 2 * _LEFT:
                return
            key, value = fields.leaf(1, self.draft.entries)
            if self.draft.cost(len(self.draft.entries), key, value) <= self.missing - _LEFT:
                self.draft.add([(key, value)])

    def _batch(self, fields: Fields, rate: float) -> tuple[list[Entry], list[str]]:
        """New fields that may cost about what is missing, one at least, and their texts."""
        room, taken = float(self.missing - _LEFT), set(self.draft.entries)
        entries: list[Entry] = []
        texts: list[str] = []
        while room > _ROOM / 2 or not entries:
            keys = 20 if room > 400 else 6 if room > 150 else 1
            entry = fields.entry(taken, keys)
            text = self.shape.write_field(*entry)
            cost = (len(text) + 1) * rate
            if cost <= room or keys == 1:
                entries.append(entry)
                texts.append(text)
                taken.add(entry[0])
                room -= cost
        return entries, texts

    def _spread(self, fields: Fields, wanted: int) -> None:
        """Add fields until all keys but one are there, each with an equal share of the tokens."""
        keys = keys_in(self.draft.entries)
        if keys >= wanted:
            raise SampleError(f"{self._options()} is a contradiction: the depth alone takes {keys + 1} fields")
        while keys < wanted - 1:
            room = max(2, self.missing // (wanted - keys))
            entry = fields.entry(self.draft.entries, wanted - 1 - keys, room)
            self.draft.add([entry])
            keys += 1 + keys_in(entry[1])

    def _finish(self) -> str:
        """Insert the field that makes the length exact."""
        at = self.source.rng.random()
        key = self.source.key(self.draft.entries, "序号" if self.source.language == "zh" else "serial")
        for _ in range(_ATTEMPTS):
            place = round(at * len(self.draft.entries))
            missing = self.missing - self.draft.cost(place, key, 1)
            if missing < 0:
                self._shrink(-missing)
                continue
            value = self._digits(missing + 1) if missing < _DIGITS else self._text(place, key, missing)
            if value is not None and self.draft.cost(place, key, value) == self.missing:
                return self.draft.insert(place, key, value)
        raise SampleError(f"{self._options()} left no document of {self.target} tokens; ask for a larger bucket or other options")

    def _digits(self, count: int) -> int:
        return self.source.rng.randrange(10 ** (count - 1), 10**count)

    def _text(self, place: int, key: str, missing: int) -> str | None:
        """A text that ends in digits and costs ``missing`` tokens more than a single digit does."""
        text = self.source.text(missing)
        while text:
            left = self.missing - self.draft.cost(place, key, text + " 1")
            if left >= 0:
                return f"{text} {self._digits(left + 1)}" if left < 4 * _DIGITS else None
            text = text[: min(len(text) - 1, len(text) * missing // (missing - left) + 2)].rstrip()
        return None

    def _shrink(self, tokens: int) -> None:
        """Drop the last field, or where their number is fixed, shorten the longest values.

        Raises:
            SampleError: nothing is left to take away.
        """
        entries = self.draft.entries
        if self.shape.field_count is None:
            if len(entries) <= self.kept:
                raise SampleError(f"{self._options()} needs a bucket of about {self.target + tokens} tokens, got {self.target}")
            self.draft.pop()
            return
        leaves = [(holder, key) for holder, key in _leaves(entries) if len(self.shape.write(holder[key])) > 1]
        if not leaves:
            raise SampleError(f"{self._options()} needs a bucket of about {self.target + tokens} tokens, got {self.target}")
        leaves.sort(key=lambda leaf: -len(self.shape.write(leaf[0][leaf[1]])))
        for holder, key in leaves[: max(1, tokens // 8)]:
            value = holder[key]
            if isinstance(value, str) and len(value) > 8:
                holder[key] = value[: max(len(value) // 2, len(value) - 2 * tokens)].strip()
            else:
                holder[key] = self.source.rng.randrange(10)
        self.draft.rewrite()


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of every plain value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, inner in items:
        found += _leaves(inner) if isinstance(inner, dict | list) else [(value, key)]
    return found
