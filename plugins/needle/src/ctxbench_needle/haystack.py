"""Sentences of plain prose, made from templates, and paragraphs of an exact length in reference tokens."""

from __future__ import annotations

import random
from collections.abc import Callable

from ctxbench import SampleError
from ctxbench_needle.words import VOCABULARIES, Vocabulary

Template = Callable[[random.Random, Vocabulary], str]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


EN_TEMPLATES: tuple[Template, ...] = (
    lambda r, v: f"{_upper(r.choice(v.times))}, {r.choice(v.people)} {r.choice(v.actions)} {r.choice(v.things)}.",
    lambda r, v: f"{_upper(r.choice(v.places))} was {r.choice(v.qualities)} {r.choice(v.times)}.",
    lambda r, v: f"Nobody at {r.choice(v.places)} noticed that {r.choice(v.people)} {r.choice(v.actions)} {r.choice(v.things)}.",
    lambda r, v: f"{_upper(r.choice(v.people))} went from {r.choice(v.places)} to {r.choice(v.places)} with {r.choice(v.things)}.",
    lambda r, v: f"It was {r.choice(v.qualities)} and {r.choice(v.qualities)} near {r.choice(v.places)}.",
    lambda r, v: f"{_upper(r.choice(v.things))} stayed at {r.choice(v.places)}.",
    lambda r, v: (
        f"{_upper(r.choice(v.people))} {r.choice(v.actions)} {r.choice(v.things)}, and {r.choice(v.people)} {r.choice(v.actions)} it again "
        f"{r.choice(v.times)}."
    ),
    lambda r, v: f"{_upper(r.choice(v.times))} it grew {r.choice(v.qualities)}.",
    lambda r, v: f"Why {r.choice(v.people)} {r.choice(v.actions)} {r.choice(v.things)} was never explained.",
    lambda r, v: f"They waited {r.choice(v.times)}.",
)

ZH_TEMPLATES: tuple[Template, ...] = (
    lambda r, v: f"{r.choice(v.times)},{r.choice(v.people)}{r.choice(v.actions)}{r.choice(v.things)}。",
    lambda r, v: f"{r.choice(v.places)}{r.choice(v.times)}显得很{r.choice(v.qualities)}。",
    lambda r, v: f"{r.choice(v.places)}里没有人注意到{r.choice(v.people)}{r.choice(v.actions)}{r.choice(v.things)}。",
    lambda r, v: f"{r.choice(v.people)}带着{r.choice(v.things)}从{r.choice(v.places)}走到{r.choice(v.places)}。",
    lambda r, v: f"{r.choice(v.places)}附近又{r.choice(v.qualities)}又{r.choice(v.qualities)}。",
    lambda r, v: f"{r.choice(v.things)}一直放在{r.choice(v.places)}。",
    lambda r, v: f"谁也说不清为什么{r.choice(v.people)}{r.choice(v.actions)}{r.choice(v.things)}。",
    lambda r, v: f"他们等到{r.choice(v.times)}。",
    lambda r, v: f"{r.choice(v.times)},天色变得{r.choice(v.qualities)}。",
)

TEMPLATES = {"en": EN_TEMPLATES, "zh": ZH_TEMPLATES}
JOIN = {"en": " ", "zh": ""}
TRIES = 300
KEPT_FOR_THE_END = 90  # tokens; longer than any sentence, and enough for several ways to make an exact sum


def sentence(rng: random.Random, language: str) -> str:
    """One sentence."""
    return rng.choice(TEMPLATES[language])(rng, VOCABULARIES[language])


def sentences(rng: random.Random, language: str, tokens: int, count: Callable[[str], int]) -> list[tuple[str, int]]:
    """Sentences, each with its joining space and its token count, whose counts sum to ``tokens`` as nearly as sentences allow.

    The sum is exact for a joined text because a token never spans the end of a sentence and the space that follows.

    Raises:
        SampleError: ``tokens`` is too small for a sentence.
    """
    if tokens < 0:
        raise SampleError(
            f"the needles alone are {-tokens} tokens longer than the context may be; ask for a longer context or fewer needles"
        )
    join = JOIN[language]
    made: list[tuple[str, int]] = []
    left = tokens
    while left > KEPT_FOR_THE_END:
        text = join + sentence(rng, language)
        size = count(text)
        made.append((text, size))
        left -= size
    return [*made, *_fill(rng, language, left, count)]


def _fill(rng: random.Random, language: str, left: int, count: Callable[[str], int]) -> list[tuple[str, int]]:
    """Sentences that sum to ``left``, or to one less or more, drawn until a sum fits."""
    pool: dict[int, list[str]] = {}
    for _ in range(TRIES):
        text = JOIN[language] + sentence(rng, language)
        pool.setdefault(count(text), []).append(text)
    for goal in (left, left - 1, left + 1):
        for _ in range(TRIES):
            sizes = _draw_sum(rng, sorted(pool), goal)
            if sizes is not None:
                return [(rng.choice(pool[size]), size) for size in sizes]
    raise SampleError(f"no sentences of {left} tokens could be made; ask for a longer context")


def _draw_sum(rng: random.Random, sizes: list[int], goal: int) -> list[int] | None:
    """Random ``sizes`` that sum to ``goal``; ``None`` if this draw came to no such sum."""
    drawn: list[int] = []
    rest = goal
    while rest > 0:
        if rest in sizes and (rest <= sizes[-1] // 2 or rng.random() < 0.5):
            return [*drawn, rest]
        smaller = [size for size in sizes if size < rest]
        if not smaller:
            return [*drawn, rest] if rest in sizes else None
        drawn.append(rng.choice(smaller))
        rest -= drawn[-1]
    return drawn if rest == 0 else None
