"""The task ``needle``: facts hidden in prose at known depths."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import attrs

from ctxbench import Sample, SampleError, Task, derive_seed, option
from ctxbench.options import Integer, ListOf, Number, String
from ctxbench_needle import needles
from ctxbench_needle.haystack import Haystack
from ctxbench_needle.needles import Needle
from ctxbench_needle.sentences import cost
from ctxbench_needle.words import LANGUAGES

VARIANTS = ("single", "multi_key", "multi_value", "multi_query")
NEEDLE_TYPES = ("word", "number", "uuid", "code", "hex")
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _depths(value: Any) -> Any:
    """One depth as a list of one, and all as floats; what is neither is left for the option to refuse."""
    depths = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(float(depth) if isinstance(depth, int) and not isinstance(depth, bool) else depth for depth in depths)


@attrs.frozen
class NeedleTask(Task):
    """Find one or more facts in generated prose, or say that they are not there.

    Attributes:
        language: of the text and the question, ``en`` or ``zh``.
        variant: ``single``; ``multi_key`` (one needle is asked for, others distract); ``multi_value`` (one key, several values, all asked
            for); ``multi_query`` (several keys, all asked for). The variants are those of RULER (Hsieh et al., 2024, section 3).
        needle_type: what the values are: ``word``, ``number``, ``uuid``, ``code`` or ``hex``.
        depth: where the needle that is asked for stands, as a share of the prose: 0 is before all of it, 1 after. Of several values of
            one key it is the first in the text, and the others follow at random places; of several keys it is the needle of the first
            in the question, and the others stand anywhere. One number, or a list of which each sample draws one.
        count: needles in the variants that have several.
        absent: share of samples that ask for something else than what is hidden, so that the right answer is to say so.
    """

    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[str, ...]] = ("hit_at_1", "contains", "exact_match", "character_error_rate")
    primary_score: ClassVar[str] = "hit_at_1"

    language: str = option(String(LANGUAGES), "en")
    variant: str = option(String(VARIANTS), "single")
    needle_type: str = option(String(NEEDLE_TYPES), "number")
    depth: tuple[float, ...] = option(ListOf(Number(0, 1)), DEPTHS, converter=_depths)
    count: int = option(Integer(2, 24), 4)
    absent: float = option(Number(0, 1), 0.0)

    @property
    def config(self) -> dict[str, Any]:
        """The options, with ``depth`` as a list."""
        return {**attrs.asdict(self), "depth": list(self.depth)}

    def sample(self, bucket: int, seed: int) -> Sample:
        """See :meth:`ctxbench.Task.sample`. The same bucket and seed hide the same values whatever the depths are."""
        if isinstance(bucket, bool) or not isinstance(bucket, int) or bucket < 1:
            raise SampleError(f"a bucket must be a positive number of tokens, got {bucket!r}")
        rng = random.Random(derive_seed("needle", self.language, self.variant, self.needle_type, bucket, seed))
        hidden, asked = self._draw(rng)
        answerable = rng.random() >= self.absent
        if not answerable:
            asked = needles.draw_keys(rng, self.language, len(hidden) + len(asked))
            known = {needle.key for needle in hidden}
            asked = [key for key in asked if key not in known][: 1 if self.variant != "multi_query" else self.count]
        goal = rng.choice(self.depth)
        context, depth, lines = self._hide(rng, bucket, hidden, goal)
        question = needles.question(asked, self.needle_type, self.language, several_values=self.variant == "multi_value")
        answers = _answers(lines, asked) if answerable else []
        metadata = {
            **({"depth": depth, "depth_wanted": goal} if answerable else {}),
            "variant": self.variant,
            "needle_type": self.needle_type,
            "keys": asked,
            "answers": answers,
            "ordered": self.variant == "multi_query",
            "distractors": [needle.value for needle in lines if needle.value not in answers],
            "answerable": answerable,
            "not_found": needles.NOT_FOUND[self.language],
        }
        answer = ", ".join(answers) or needles.NOT_FOUND[self.language]
        return Sample(context, question, answer, bucket, self.language, metadata)

    def solve(self, context: str, question: str) -> str:
        """The values that ``context`` states for the keys of ``question``, or the phrase for none."""
        return needles.solve(context, question)

    def _draw(self, rng: random.Random) -> tuple[list[Needle], list[str]]:
        """All needles, the one that goes to the depth first, and the keys that are asked for."""
        several = 1 if self.variant == "single" else self.count
        keys = needles.draw_keys(rng, self.language, several)
        if self.variant == "multi_value":
            keys = keys[:1] * several
        values = needles.draw_values(rng, self.language, self.needle_type, several)
        hidden = [Needle(key, value) for key, value in zip(keys, values, strict=True)]
        return hidden, keys if self.variant == "multi_query" else keys[:1]

    def _hide(self, rng: random.Random, bucket: int, hidden: list[Needle], goal: float) -> tuple[str, float, list[Needle]]:
        """The context, the share of its prose (in tokens, to two places) before the first needle of ``hidden``, the needles in order."""
        hay = Haystack(rng, self.language)
        words = LANGUAGES[self.language]
        lines = {needles.statement(needle, self.needle_type, self.language): needle for needle in hidden}
        first = next(iter(lines))
        prose = bucket - sum(cost(words, line) for line in lines)
        before = _split(hay, prose, goal)
        parts = [*_fill(hay, before, prose - before, first)]
        place = parts.index(first)
        for line in list(lines)[1:]:
            parts.insert(rng.randint(place + 1 if self.variant == "multi_value" else min(1, place + 1), len(parts)), line)
        order = [lines[part] for part in parts if part in lines]
        return words.join.join(parts), round(before / prose, 2) if prose else 0.0, order


def _fill(hay: Haystack, before: int, after: int, line: str) -> list[str]:
    """Prose on both sides of a line. The shorter side comes first: its last sentence is of a kind of which there are few."""
    if before <= after:
        head = hay.fill(before, first=True)
        return [*head, line, *hay.fill(after)]
    tail = hay.fill(after)
    return [*hay.fill(before, first=True), line, *tail]


def _answers(lines: list[Needle], asked: list[str]) -> list[str]:
    """The values of the keys that are asked for: key by key, and for one key as they stand in the text."""
    return [needle.value for key in asked for needle in lines if needle.key == key]


def _split(hay: Haystack, prose: int, goal: float) -> int:
    """The number of tokens nearest to ``goal`` of ``prose`` that sentences can fill on both sides."""
    if prose < 0:
        raise SampleError(
            f"the needles alone are {-prose} tokens longer than the bucket; ask for a larger bucket, or fewer or shorter needles"
        )
    wanted = round(goal * prose)
    for offset in range(prose + 1):
        for before in (wanted - offset, wanted + offset):
            if 0 <= before <= prose and hay.can_fill(before) and hay.can_fill(prose - before):
                return before
    raise SampleError(f"beside the needles there is room for {prose} tokens, which no sentence has; ask for a larger bucket")
