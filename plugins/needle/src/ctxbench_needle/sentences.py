"""Every sentence of a language with its exact cost in reference tokens, without tokenising it.

A sentence is a row of *units*: stretches of a pattern, each with a few hundred texts at most that are tokenised once. Costs of units add
up, because no token reaches across the edge of a unit:

- Qwen2 cuts text into pieces before it merges bytes, and no token crosses the edge of a piece. Every unit of an English pattern begins
  with a space before a letter, or with punctuation after a letter, which are such edges.
- Chinese words follow each other within one piece. There the edge is safe if the last token of the one text and the first of the other
  stay as they are when they are encoded together: byte-pair encoding joins neighbours only, so that a row of tokens is the encoding of
  its text if that holds for every two neighbours. Where it does not hold, the pattern has brackets around the stretch, which makes it
  one unit. The tests try all pairs.

``cost`` is what a sentence adds behind another one: the separator and the sentence, less the full stop that both end in.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections.abc import Iterable
from typing import NamedTuple

import attrs

from ctxbench.tokens import count_text
from ctxbench_needle.words import LANGUAGES, Language

_SLOT = re.compile(r"\{(\w+)\}")
_UNIT = re.compile(r"\[[^\]]*\]| ?\{\w+\}|(?:(?! ?\{)[^\[])+")


class Option(NamedTuple):
    """One text of a unit: how many tokens it is, and the words that fill its slots."""

    text: str
    cost: int
    words: tuple[str, ...]


FEW = 8
"""Tokens below which there are a handful of sentences of each cost, and from which on there are thousands."""


@attrs.frozen(eq=False)
class Pattern:
    """A sentence pattern with all its texts.

    Attributes:
        literal: tokens of the units that have one text only.
        frame: the sentence with a ``%s`` for each other unit.
        units: the texts of those.
        left: for each unit, a bit mask of the sums that it and the units after it can make, and at the end ``1``, for none.
        repeats: a slot occurs twice, and its two words must differ.
        opens: as the first sentence of a text it costs as much as behind another one.
    """

    literal: int
    frame: str
    units: tuple[tuple[Option, ...], ...]
    left: tuple[int, ...]
    repeats: bool
    opens: bool

    @property
    def plain(self) -> bool:
        """It has slots; else it is one of the short sentences."""
        return bool(self.units)

    def can_cost(self, tokens: int) -> bool:
        """True if a sentence of this pattern costs exactly ``tokens``."""
        return tokens >= self.literal and bool(self.left[0] >> (tokens - self.literal) & 1)


class Grammar:
    """The sentences of one language. Made once a process: see :func:`grammar`."""

    def __init__(self, words: Language) -> None:
        self.words = words
        parsed = [_parse(words, text) for text in (*words.patterns, *words.short)]
        self.patterns = [pattern for pattern in parsed if pattern.plain]
        self.openers = [pattern for pattern in self.patterns if pattern.opens]
        self.longest = max(pattern.literal + pattern.left[0].bit_length() - 1 for pattern in parsed)
        sizes = range(self.longest + 1)
        self._parsed = parsed
        self._with_cost = {first: [self._choices(size, first) for size in sizes] for first in (False, True)}
        self._options: dict[tuple[int, int, int], tuple[Option, ...]] = {}

    def _choices(self, size: int, first: bool) -> list[Pattern]:
        """Patterns for a sentence of that cost; short sentences only among sizes of which there are few others."""
        found = [pattern for pattern in self._parsed if pattern.can_cost(size) and (pattern.opens or not first)]
        return found if size < FEW else [pattern for pattern in found if pattern.plain]

    def with_cost(self, tokens: int, *, first: bool) -> list[Pattern]:
        """Patterns that have a sentence of exactly that cost, ``first`` in its text or not."""
        return self._with_cost[first][tokens] if 0 <= tokens <= self.longest else []

    def options(self, pattern: Pattern, unit: int, tokens: int) -> tuple[Option, ...]:
        """The texts of a unit that leave the rest of the pattern able to make ``tokens`` exact."""
        key = (id(pattern), unit, tokens)
        found = self._options.get(key)
        if found is None:
            after = pattern.left[unit + 1]
            found = tuple(o for o in pattern.units[unit] if o.cost <= tokens and after >> (tokens - o.cost) & 1)
            self._options[key] = found
        return found


@functools.lru_cache(maxsize=4)
def grammar(language: str) -> Grammar:
    """The grammar of a language of :data:`~ctxbench_needle.words.LANGUAGES`; the first call tokenises about a thousand texts."""
    return Grammar(LANGUAGES[language])


def cost(words: Language, text: str) -> int:
    """Tokens that a text of one or more sentences adds behind another sentence; see the module's text."""
    return count_text(words.stop + words.join + text) - count_text(words.stop)


def split_units(words: Language, pattern: str) -> list[str]:
    """The units of a pattern, in order, from the separator before it to the full stop that ends it (for Chinese, the one before it)."""
    return _UNIT.findall(words.join + pattern if words.join else words.stop + pattern.removesuffix(words.stop))


@functools.lru_cache(maxsize=1024)
def texts_of(language: str, unit: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every text of a unit, and the words in its slots."""
    slots, inner = _SLOT.findall(unit), unit.strip("[]")
    made = []
    for words in itertools.product(*(LANGUAGES[language].slots[slot.lower()] for slot in slots)):
        fill = iter(word[0].upper() + word[1:] if slot[0].isupper() else word for slot, word in zip(slots, words, strict=True))
        made.append((_SLOT.sub(lambda _, fill=fill: next(fill), inner), words))  # type: ignore[misc]
    return tuple(made)


@functools.lru_cache(maxsize=1024)
def _options(language: str, unit: str) -> tuple[Option, ...]:
    return tuple(Option(text.lstrip(), count_text(text), words) for text, words in texts_of(language, unit))


def _parse(words: Language, text: str) -> Pattern:
    language = next(name for name, known in LANGUAGES.items() if known is words)
    parts = split_units(words, text)
    varied = [_options(language, part) for part in parts if "{" in part]
    literal = sum(count_text(part) for part in parts if "{" not in part)
    left = [1]
    for options in reversed(varied):
        left.insert(0, functools.reduce(lambda mask, size: mask | left[0] << size, {option.cost for option in options}, 0))
    names = [name.lower() for name in _SLOT.findall(text)]
    return Pattern(
        literal=literal,
        frame=re.sub(r"\[[^\]]*\{[^\]]*\]|\{\w+\}", "%s", text),
        units=tuple(varied),
        left=tuple(left),
        repeats=len(set(names)) < len(names),
        opens=_opens(words, language, parts),
    )


def _opens(words: Language, language: str, parts: Iterable[str]) -> bool:
    """True if the first unit costs nothing more or less where no sentence stands before it."""
    first = next(part for part in parts if part != words.stop)
    return all(count_text(text.lstrip()) == count_text(text) for text, _ in texts_of(language, first))


def draw(pattern: Pattern, rng: random.Random) -> tuple[str, int]:
    """Any sentence of a pattern, and its cost."""
    number = rng.random
    while True:
        total, texts = pattern.literal, []
        used: tuple[str, ...] = ()
        for options in pattern.units:  # most of a sample's time is spent here
            text, size, words = options[int(number() * len(options))]
            texts.append(text)
            total += size
            used += words
        if not pattern.repeats or len(set(used)) == len(used):
            return pattern.frame % tuple(texts), total


def draw_exact(made: Grammar, pattern: Pattern, tokens: int, rng: random.Random) -> str | None:
    """A sentence of a pattern that costs ``tokens``, which the pattern must be able to; ``None`` if it would say a word twice."""
    missing, chosen = tokens - pattern.literal, []
    for unit in range(len(pattern.units)):
        options = made.options(pattern, unit, missing)
        chosen.append(options[int(rng.random() * len(options))])
        missing -= chosen[-1].cost
    used = [word for option in chosen for word in option.words]
    return pattern.frame % tuple([option.text for option in chosen]) if len(set(used)) == len(used) else None
