"""Contexts of a given length: a record's own, among the contexts of other records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs

from ctxbench.tokens import count_text
from ctxbench_documents.cuts import head
from ctxbench_documents.records import Record

BETWEEN = "\n\n"
_JOINT = 2
"""Tokens that a joint of two contexts takes at most."""


@attrs.frozen
class Filled:
    """A context made of several.

    Attributes:
        text: all of it.
        depth: share of its reference tokens that stand before the record's own context.
        others: how many other contexts it holds, the last of them perhaps cut.
    """

    text: str
    depth: float
    others: int


@attrs.frozen
class Filler:
    """Fills contexts from those of all records.

    Attributes:
        contexts: different ones, with their reference tokens.
        asked: for each question, the contexts that it is asked about: none of them may stand beside another one's answer.
    """

    contexts: tuple[tuple[str, int], ...]
    asked: dict[str, frozenset[str]]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Filler:
        """Of all different contexts of some records, in their order."""
        contexts = dict.fromkeys(record.context for record in records)
        asked: dict[str, set[str]] = {}
        for record in records:
            asked.setdefault(record.question, set()).add(record.context)
        counted = tuple((context, count_text(context)) for context in contexts)
        return cls(counted, {question: frozenset(found) for question, found in asked.items()})

    def others(self) -> dict[str, int]:
        """For each question, reference tokens of all contexts that may stand beside one that it is asked about."""
        lengths = dict(self.contexts)
        total = sum(lengths.values())
        return {question: total - sum(lengths[context] for context in found) for question, found in self.asked.items()}

    def fill(self, record: Record, own: int, bucket: int, seed: int) -> Filled:
        """``record.context`` (of ``own`` tokens) among others, at most ``bucket`` tokens in all.

        The others come in an order that ``seed`` decides, whole; of the first one that no longer fits the beginning is taken, up to the end
        of a sentence. The record's own stands at a place among them that ``seed`` decides as well.
        """
        kept: list[str] = []
        left = bucket - own
        for context, tokens in _shuffled(self.contexts, seed):
            if context in self.asked[record.question]:
                continue
            if tokens + _JOINT <= left:
                kept.append(context)
                left -= tokens + _JOINT
                continue
            if part := head(context, left - _JOINT):
                kept.append(part)
            break
        place = _number(seed, "place") % (len(kept) + 1)
        before = BETWEEN.join(kept[:place])
        text = BETWEEN.join([*kept[:place], record.context, *kept[place:]])
        return Filled(text, round(count_text(before) / max(1, count_text(text)), 4) if before else 0.0, len(kept))


def _number(seed: int, what: object) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {what}".encode()).digest()[:8], "big")


def _shuffled(contexts: Sequence[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    numbers = sorted(range(len(contexts)), key=lambda number: _number(seed, number))
    return [contexts[number] for number in numbers]
