"""What RULER's tasks have in common: a draft of so many units of haystack, and the search for how many fill a bucket."""

from __future__ import annotations

import abc
import itertools
import random
from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from ctxbench import Sample, SampleError, Task, derive_seed
from ctxbench.tokens import count_text
from ctxbench_ruler.templates import Template

TRIES = 32
"""Drafts, each of its own draws, before a length is given up."""


@attrs.frozen
class Draft:
    """A prompt in parts.

    Attributes:
        prompt: the wording around the body, filled.
        pieces: of the body, in order.
        joint: what stands between them.
        form: how each is written, with its number ``i`` from 1.
        answers: the strings that are expected, or accepted.
        example: what stands before the prompt.
        fillers: indices of pieces that may be drawn anew.
        asked: index of the first piece that holds an answer, if one does.
    """

    prompt: Template
    pieces: tuple[str, ...]
    answers: tuple[str, ...]
    joint: str = "\n"
    form: str = "{piece}"
    example: str = ""
    fillers: tuple[int, ...] = ()
    asked: int | None = None

    @property
    def body(self) -> str:
        """The haystack."""
        return self.joint.join(self.form.format(i=i, piece=piece) for i, piece in enumerate(self.pieces, 1))

    @property
    def whole(self) -> str:
        """The prompt as RULER writes it, without the expected answer."""
        return self.example + self.prompt.whole(self.body)

    @property
    def context(self) -> str:
        """Everything before the question."""
        return f"{self.example}{self.prompt.before}{self.body}".strip()

    @property
    def question(self) -> str:
        """The question and the beginning of its answer."""
        return (self.prompt.after + self.prompt.answer).strip()

    @property
    def tokens(self) -> int:
        """Reference tokens of the context."""
        return count_text(self.context)

    @property
    def depth(self) -> float | None:
        """Share of the body, in characters, before the piece that holds the answer."""
        if self.asked is None:
            return None
        before = sum(len(piece) + len(self.joint) for piece in self.pieces[: self.asked])
        return round(before / max(1, len(self.body) - len(self.pieces[self.asked])), 2)


class RulerTask(Task, abc.ABC):
    """A task of RULER (Hsieh et al., 2024): everything before its question is the context, few-shot example included."""

    metrics: ClassVar[tuple[str, ...]] = ("string_match_all",)
    primary_score: ClassVar[str] = "string_match_all"

    name: ClassVar[str]
    """What it is called in messages and seeds."""

    @abc.abstractmethod
    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """A prompt whose haystack has ``units`` units, for a bucket that also decides some of its frequencies."""

    @abc.abstractmethod
    def least(self, bucket: int) -> int:
        """The fewest units that a draft can have."""

    def most(self) -> int | None:
        """The most units that there are, or ``None`` for no limit."""
        return None

    def adjusted(self, draft: Draft, rng: random.Random, missing: int) -> Draft:
        """A draft that is ``missing`` tokens longer, or as near to it as can be."""
        return draft

    def facts(self, draft: Draft) -> dict[str, Any]:
        """What the metadata of a sample holds beside the answers."""
        return {} if draft.depth is None else {"depth": draft.depth}

    def answer(self, draft: Draft) -> str:
        """The reference answer."""
        return ", ".join(draft.answers)

    def sample(self, bucket: int, seed: int) -> Sample:
        """See :meth:`ctxbench.Task.sample`."""
        if isinstance(bucket, bool) or not isinstance(bucket, int) or bucket < 1:
            raise SampleError(f"a bucket must be a positive number of tokens, got {bucket!r}")
        allowed = max(1, bucket // 100)
        lengths = []
        for attempt in range(TRIES):
            found = self._attempt(bucket, derive_seed("ruler", self.name, bucket, seed, attempt))
            lengths.append(found.tokens)
            if abs(lengths[-1] - bucket) <= allowed and self.solve(found.context, found.question) == self.answer(found):
                facts = {"answers": list(found.answers), "answerable": True, **self.facts(found)}
                return Sample(found.context, found.question, self.answer(found), bucket, "en", facts)
        if min(lengths) > bucket + allowed:
            raise SampleError(f"{self.name} needs {min(lengths)} tokens or more, and the bucket has {bucket}; ask for a larger bucket")
        off = min(abs(length - bucket) for length in lengths)
        raise SampleError(
            f"{self.name} comes in whole lines or documents, and {TRIES} drafts missed {bucket} tokens by {off} or more;"
            " ask for a larger bucket"
        )

    def _attempt(self, bucket: int, seed: int) -> Draft:
        def build(units: int) -> Draft:
            return self.draft(random.Random(seed), units, bucket)

        found = longest(build, bucket, self.least(bucket), self.most())
        missing = bucket - found.tokens
        return self.adjusted(found, random.Random(derive_seed("ruler", "adjust", seed)), missing) if missing > 0 else found


def longest(build: Callable[[int], Draft], bucket: int, least: int, most: int | None) -> Draft:
    """The draft with the most units that has at most ``bucket`` tokens; the least one if none has.

    The tokens grow about linearly with the units, so that a few drafts are enough (regula falsi, with bisection where it creeps).
    """
    low, fitting = least, build(least)
    below = fitting.tokens
    if below > bucket:
        return fitting
    while True:  # until a draft is too long
        step = max(1, round(1.1 * (bucket - below) / max(1.0, below / low)))
        high = low + step if most is None else min(low + step, most)
        if high == low:
            return fitting
        draft = build(high)
        above = draft.tokens
        if above > bucket:
            break
        low, below, fitting = high, above, draft
    for turn in itertools.count():
        if high - low < 2:
            return fitting
        share = (bucket - below) / (above - below) if turn % 3 < 2 else 0.5
        middle = min(high - 1, max(low + 1, low + round(share * (high - low))))
        draft = build(middle)
        if draft.tokens <= bucket:
            low, below, fitting = middle, draft.tokens, draft
        else:
            high, above = middle, draft.tokens
    raise AssertionError("unreachable")


def noise_part(words: list[str], draft: Draft, missing: int) -> Draft:
    """The draft with the first words of ``words`` at its end, as many as fit into ``missing`` tokens."""
    best = draft
    limit = draft.tokens + missing
    for count in range(1, len(words)):
        longer = attrs.evolve(draft, pieces=(*draft.pieces, " ".join(words[:count])))
        if longer.tokens > limit:
            break
        best = longer
    return best
