"""A document as it grows, with its exact length in reference tokens.

The length is a sum over stretches of the text that are tokenised one by one. They are cut behind a letter or a digit that neither a
letter nor a digit follows (the last one of each field). Qwen2 cuts text into pieces before it merges bytes, and no token crosses the edge
of a piece: a letter ends its piece if no other letter follows, and a digit is a piece of its own. So each cut is such an edge, whatever
stands around it, and the counts add up.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any

import attrs

from ctxbench.tokens import count_text
from ctxbench_json_restore.structure import Entry, Shape

_FIRST_CUT = re.compile(r"[^\W_](?![^\W_])")


@functools.lru_cache(maxsize=4096)
def _count(stretch: str) -> int:
    return count_text(stretch)


def _split(text: str) -> tuple[str, str]:
    """A field's text up to its last letter or digit, and the quotes and brackets after it. A key has at least one letter or digit."""
    end = len(text)
    while not text[end - 1].isalnum():
        end -= 1
    return text[:end], text[end:]


@attrs.define
class Draft:
    """An object whose fields are added one after the other.

    Attributes:
        shape: how it is written.
        entries: its fields.
        tokens: reference tokens of its text.
    """

    shape: Shape
    entries: dict[str, Any] = attrs.field(factory=dict, init=False)
    tokens: int = attrs.field(default=0, init=False)
    _texts: list[tuple[str, str]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = _count("{" + self.shape.close)

    def add(self, entries: Sequence[Entry], texts: Sequence[str] = ()) -> None:
        """Append fields, whose keys are new; ``texts`` are those of :meth:`Shape.write_field`, if they are there already."""
        before = self._end()
        parts = [self._texts[-1][1] if self._texts else ""]
        for (key, value), text in zip(entries, texts or itertools.starmap(self.shape.write_field, entries), strict=True):
            head, tail = _split(text)
            parts += ["," if self._texts else "{", head, tail]
            self.entries[key] = value
            self._texts.append((head, tail))
        parts.pop()
        self.tokens += count_text("".join(parts)) + self._end() - before

    def pop(self) -> None:
        """Take the last field away."""
        before = self._end()
        head, _ = self._texts.pop()
        self.entries.popitem()
        start = self._texts[-1][1] + "," if self._texts else "{"
        self.tokens += self._end() - before - count_text(start + head)

    def rewrite(self) -> None:
        """Take over changes that were made within the values of :attr:`entries`."""
        entries = list(self.entries.items())
        self.entries, self._texts, self.tokens = {}, [], _count("{" + self.shape.close)
        self.add(entries)

    def cost(self, place: int, key: str, value: Any) -> int:
        """Tokens that one more field would add before the field with number ``place``, or at the end."""
        head, tail = _split(self.shape.write_field(key, value))
        first, last = place == 0, place == len(self._texts)
        left = "{" if first else self._texts[place - 1][1]
        right = self.shape.close if last else _beginning(self._texts[place][0])
        apart = _count(left + ("" if first else ",") + head) + _count(tail + ("" if last else ",") + right)
        return apart - _count(left + ("" if first or last else ",") + right)

    def insert(self, place: int, key: str, value: Any) -> str:
        """The text with one more field before the field with number ``place``; it also becomes one of :attr:`entries`."""
        items = list(self.entries.items())
        self.entries = dict([*items[:place], (key, value), *items[place:]])
        texts = [head + tail for head, tail in self._texts]
        texts.insert(place, self.shape.write_field(key, value))
        return "{" + ",".join(texts) + self.shape.close

    def _end(self) -> int:
        """Tokens from the last cut on."""
        return _count((self._texts[-1][1] if self._texts else "{") + self.shape.close)


def _beginning(head: str) -> str:
    """A field's text up to the first place where it may be cut."""
    match = _FIRST_CUT.search(head)
    return head[: match.end()] if match else head
