"""Documents of an exact length in reference tokens.

Fields are added by their own cost until little is missing, and the whole is counted a few times only. The field that makes the length
exact ends in digits: Qwen2's tokenizer never merges one with anything, so each is exactly one token.
"""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import SampleError
from ctxbench.tokens import count_text
from ctxbench_json_restore.structure import Entry, Fields, Shape, keys_in
from ctxbench_json_restore.values import Source

SMALLEST = 24
"""Tokens below which braces, keys and digits make no document worth restoring."""

_DIGITS = 15  # every JSON reader keeps integers below 10**15 exact
_ATTEMPTS = 300


@attrs.define
class Builder:
    """Builds one document; use it once."""

    source: Source
    shape: Shape
    target: int
    entries: dict[str, Any] = attrs.field(factory=dict, init=False)
    kept: int = attrs.field(default=0, init=False)

    def build(self) -> str:
        """The text of a document of exactly ``target`` tokens.

        Raises:
            SampleError: the options leave no document of that length.
        """
        fewest = 3 * (self.shape.field_count or 1)  # a key, its quotes and colon, a value
        if self.target < max(SMALLEST, fewest):
            raise SampleError(f"{self._options()} needs a bucket of at least {max(SMALLEST, fewest)} tokens, got {self.target}")
        fields = Fields(self.source, self.shape)
        if self.shape.depth > 1:
            self._add(fields.deepest(self.entries))
            self.kept = 1
        if self.shape.field_count is None:
            self._fill(fields)
        else:
            self._spread(fields, self.shape.field_count)
        return self._finish()

    def _options(self) -> str:
        count = "" if self.shape.field_count is None else f", field_count {self.shape.field_count}"
        return f"json_restore with depth {self.shape.depth}{count}"

    def _add(self, entry: Entry) -> None:
        self.entries[entry[0]] = entry[1]

    def _count(self, document: dict[str, Any]) -> int:
        return count_text(self.shape.write(document))

    def _cost(self, entry: Entry) -> int:
        return self._count(dict([entry])) - 1

    def _fill(self, fields: Fields) -> None:
        """Add fields until what is missing is about one short field."""
        for _ in range(4):  # the sum of the costs drifts from the cost of the whole
            missing = self.target - self._count(self.entries)
            if missing < 60:
                break
            while missing > 40:
                entry = fields.entry(self.entries, keys=20 if missing > 400 else 6 if missing > 150 else 1)
                cost = self._cost(entry)
                if cost < missing - 12:
                    self._add(entry)
                    missing -= cost
        missing = self.target - self._count(self.entries)
        for _ in range(20):
            entry = fields.leaf(1, self.entries)
            cost = self._cost(entry)
            if cost < missing - 10:
                self._add(entry)
                missing -= cost

    def _spread(self, fields: Fields, wanted: int) -> None:
        """Add fields until all keys but one are there, each with an equal share of the tokens."""
        spent, keys = self._count(self.entries), keys_in(self.entries)
        if keys >= wanted:
            raise SampleError(f"{self._options()} is a contradiction: the depth alone takes {keys + 1} fields")
        while keys < wanted - 1:
            room = max(2, (self.target - spent) // (wanted - keys))
            entry = fields.entry(self.entries, wanted - 1 - keys, room)
            self._add(entry)
            spent += self._cost(entry)
            keys += 1 + keys_in(entry[1])

    def _finish(self) -> str:
        """Insert the field that makes the length exact."""
        at = self.source.rng.random()
        key = self.source.key(self.entries, "序号" if self.source.language == "zh" else "serial")
        for _ in range(_ATTEMPTS):
            missing = self.target - self._count(self._with(at, (key, 1)))
            if missing < 0:
                self._shrink(-missing)
                continue
            value = self._digits(missing + 1) if missing < _DIGITS else self._text(at, key, missing)
            text = self.shape.write(self._with(at, (key, value)))
            if value is not None and count_text(text) == self.target:
                return text
        raise SampleError(f"{self._options()} left no document of {self.target} tokens; ask for a larger bucket or other options")

    def _with(self, at: float, last: Entry) -> dict[str, Any]:
        items = list(self.entries.items())
        place = round(at * len(items))
        return dict([*items[:place], last, *items[place:]])

    def _digits(self, count: int) -> int:
        return self.source.rng.randrange(10 ** (count - 1), 10**count)

    def _text(self, at: float, key: str, missing: int) -> str | None:
        """A text that ends in digits and costs ``missing`` tokens more than a single digit does."""
        text = self.source.text(missing)
        while text:
            left = self.target - self._count(self._with(at, (key, text + " 1")))
            if left >= 0:
                return f"{text} {self._digits(left + 1)}" if left < 4 * _DIGITS else None
            text = text[: min(len(text) - 1, len(text) * missing // (missing - left) + 2)].rstrip()
        return None

    def _shrink(self, tokens: int) -> None:
        """Drop the last field, or where their number is fixed, shorten the longest values.

        Raises:
            SampleError: nothing is left to take away.
        """
        if self.shape.field_count is None:
            if len(self.entries) <= self.kept:
                raise SampleError(f"{self._options()} needs a bucket of about {self.target + tokens} tokens, got {self.target}")
            self.entries.popitem()
            return
        leaves = [(holder, key) for holder, key in _leaves(self.entries) if len(self.shape.write(holder[key])) > 1]
        if not leaves:
            raise SampleError(f"{self._options()} needs a bucket of about {self.target + tokens} tokens, got {self.target}")
        leaves.sort(key=lambda leaf: -len(self.shape.write(leaf[0][leaf[1]])))
        for holder, key in leaves[: max(1, tokens // 8)]:
            value = holder[key]
            if isinstance(value, str) and len(value) > 8:
                holder[key] = value[: max(len(value) // 2, len(value) - 2 * tokens)].strip()
            else:
                holder[key] = self.source.rng.randrange(10)


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of every plain value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, inner in items:
        found += _leaves(inner) if isinstance(inner, dict | list) else [(value, key)]
    return found
