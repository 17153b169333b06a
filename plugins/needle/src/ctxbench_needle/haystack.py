"""Prose of an exact length in reference tokens, made of sentences that do not repeat."""

from __future__ import annotations

import random

import attrs

from ctxbench_needle.sentences import FEW, Grammar, Pattern, draw, draw_exact, grammar

_LAST = range(FEW, 21)  # with so many tokens missing, one more sentence ends the prose
_TRIES = 1000


@attrs.define
class Haystack:
    """Makes the sentences of one text; never the same one twice.

    Attributes:
        rng: where all randomness comes from.
        language: ``en`` or ``zh``.
    """

    rng: random.Random
    language: str
    grammar: Grammar = attrs.field(init=False)
    _said: set[str] = attrs.field(factory=set, init=False)
    _last: Pattern | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.grammar = grammar(self.language)

    def sentence(self, *, first: bool = False) -> tuple[str, int]:
        """A new sentence, of another pattern than the last, and its cost; ``first``: no sentence stands before it."""
        patterns = self.grammar.openers if first else self.grammar.patterns
        while True:
            pattern = patterns[int(self.rng.random() * len(patterns))]
            if pattern is self._last:
                continue
            text, cost = draw(pattern, self.rng)
            if text not in self._said:
                self._said.add(text)
                self._last = pattern
                return text, cost

    def can_fill(self, tokens: int) -> bool:
        """True if sentences can sum to ``tokens``: one sentence can have any cost from the smallest to the largest."""
        return tokens == 0 or tokens > _LAST[-1] or bool(self.grammar.with_cost(tokens, first=True))

    def fill(self, tokens: int, *, first: bool = False) -> list[str]:
        """Sentences that cost ``tokens`` together, none for 0; see :meth:`can_fill`. ``first``: they begin the text."""
        made: list[str] = []
        while tokens > _LAST[-1]:
            text, cost = self.sentence(first=first and not made)
            if tokens - cost >= _LAST[0]:
                made.append(text)
                tokens -= cost
        if tokens:
            made.append(self._exact(tokens, first=first and not made))
        return made

    def _exact(self, tokens: int, *, first: bool) -> str:
        patterns = self.grammar.with_cost(tokens, first=first)
        for _ in range(_TRIES):
            pattern = patterns[int(self.rng.random() * len(patterns))]
            text = draw_exact(self.grammar, pattern, tokens, self.rng)
            if text is not None and text not in self._said:
                self._said.add(text)
                self._last = pattern
                return text
        raise AssertionError(f"{len(patterns)} patterns made no new sentence of {tokens} tokens")  # the tests try every cost
