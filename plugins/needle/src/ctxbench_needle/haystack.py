"""Prose of an exact length in reference tokens, made of sentences that do not repeat."""

from __future__ import annotations

import random
import re

import attrs

from ctxbench.tokens import count_text
from ctxbench_needle.words import LANGUAGES, Language

_SLOT = re.compile(r"\{(\w+)\}")
_POOL = 100
_RESERVE = 64  # tokens that are not filled blindly: enough for several ways to make an exact sum


@attrs.define
class Haystack:
    """Makes sentences; never the same one twice, but for short ones.

    Attributes:
        rng: where all randomness comes from.
        language: ``en`` or ``zh``.
    """

    rng: random.Random
    language: str
    pool: dict[int, list[str]] = attrs.field(factory=dict, init=False)
    _said: set[str] = attrs.field(factory=set, init=False)
    _last: str = attrs.field(default="", init=False)
    _sums: list[bool] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        for text in [*self.words.short, *(self.sentence() for _ in range(_POOL))]:
            self.pool.setdefault(self.cost(text), []).append(text)
        self._sums = [True]
        for total in range(1, _RESERVE + max(self.pool) + 1):
            self._sums.append(any(size <= total and self._sums[total - size] for size in self.pool))

    @property
    def words(self) -> Language:
        """The words of the haystack's language."""
        return LANGUAGES[self.language]

    def cost(self, sentence: str) -> int:
        """Tokens of a sentence that follows another one. They add up: a token can join a full stop to what follows, but no more."""
        words = self.words
        return count_text(words.stop + words.join + sentence) - count_text(words.stop)

    def sentence(self) -> str:
        """A new sentence, of another pattern than the last."""
        while True:
            pattern = self.rng.choice(self.words.patterns)
            text = self._filled(pattern)
            if pattern != self._last and text not in self._said:
                self._last = pattern
                self._said.add(text)
                return text

    def _filled(self, pattern: str) -> str:
        used: set[str] = set()

        def word(slot: re.Match[str]) -> str:
            name = slot[1]
            drawn = self.rng.choice([word for word in self.words.slots[name.lower()] if word not in used])
            used.add(drawn)
            return drawn[0].upper() + drawn[1:] if name[0].isupper() else drawn

        return _SLOT.sub(word, pattern)

    def can_fill(self, tokens: int) -> bool:
        """True if sentences can sum to ``tokens``."""
        return tokens >= len(self._sums) or (tokens >= 0 and self._sums[tokens])

    def fill(self, tokens: int) -> list[str]:
        """Sentences that cost ``tokens`` together; none for 0. See :meth:`can_fill`."""
        made: list[str] = []
        while tokens > _RESERVE:
            text = self.sentence()
            made.append(text)
            tokens -= self.cost(text)
        while tokens > 0:
            sizes = [size for size in self.pool if size <= tokens and self._sums[tokens - size]]
            size = self.rng.choice(sorted(sizes)[-6:])  # long ones, so that short sentences stay rare
            made.insert(self.rng.randint(0, len(made)), self._take(size))
            tokens -= size
        return made

    def _take(self, size: int) -> str:
        texts = self.pool[size]
        return texts.pop(self.rng.randrange(len(texts))) if len(texts) > 1 else texts[0]
