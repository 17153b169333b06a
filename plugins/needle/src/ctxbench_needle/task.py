"""The needle task: facts hidden in prose at known depths."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import attrs

from ctxbench import Sample, SampleError, Task, tokens
from ctxbench_needle import needles
from ctxbench_needle.haystack import JOIN, sentences
from ctxbench_needle.needles import Needle

VARIANTS = ("single", "multi_key", "multi_value", "multi_query")
KINDS = ("word", "number", "uuid", "code")
LANGUAGES = ("en", "zh")
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _one_of(choices: tuple[str, ...]) -> Any:
    def check(_: object, attribute: attrs.Attribute[str], value: object) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name} must be one of {', '.join(choices)}, got {value!r}")

    return check


def _share(_: object, attribute: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, got {value!r}")


def _depths(value: object) -> tuple[float, ...]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, float)) or not 0 <= item <= 1:
            raise ValueError(f"depth must be from 0 (start) to 1 (end), or a list of such, got {value!r}")
    if not items:
        raise ValueError("depth is an empty list")
    return tuple(float(item) for item in items)


def _count(_: object, attribute: attrs.Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 64:
        raise ValueError(f"{attribute.name} must be from 2 to 64, got {value!r}")


@attrs.frozen
class NeedleTask(Task):
    """Find one or more facts in a haystack.

    Attributes:
        variant: ``single``; ``multi_key`` (other keys distract); ``multi_value`` (one key, several values, all asked for); ``multi_query``
            (several keys asked for). The variants are RULER's (Hsieh et al., 2024, section 3).
        needle: what the values are: ``word``, ``number``, ``uuid`` or ``code``.
        depth: where the needle stands, from 0 to 1; of a list, each sample draws one.
        count: needles in the variants that have several.
        absent: share of samples whose needle is missing, so that the right answer is to say so.
        language: ``en`` or ``zh``.
    """

    metrics: ClassVar[tuple[str, ...]] = ("hit_at_1", "exact_match", "character_error_rate")
    primary_score: ClassVar[str] = "hit_at_1"

    variant: str = attrs.field(default="single", validator=_one_of(VARIANTS))
    needle: str = attrs.field(default="number", validator=_one_of(KINDS))
    depth: tuple[float, ...] = attrs.field(default=DEPTHS, converter=_depths)
    count: int = attrs.field(default=3, validator=_count)
    absent: float = attrs.field(default=0.0, validator=_share)
    language: str = attrs.field(default="en", validator=_one_of(LANGUAGES))

    @property
    def config(self) -> dict[str, Any]:
        """The options, depth as a list."""
        return {**attrs.asdict(self), "depth": list(self.depth)}

    def sample(self, bucket: int, seed: int) -> Sample:
        """See :meth:`ctxbench.Task.sample`."""
        if isinstance(bucket, bool) or not isinstance(bucket, int) or bucket < 1:
            raise SampleError(f"a bucket is a number of tokens, at least 1, got {bucket!r}")
        rng = random.Random(seed)
        depth = rng.choice(self.depth)
        hidden, asked = self._draw(rng)
        answerable = rng.random() >= self.absent
        stated = [n for n in hidden if answerable or n.key not in asked]
        lines = [JOIN[self.language] + needles.statement(n, self.needle, self.language) for n in stated]
        cost = [tokens.count_text(line) for line in lines]
        try:
            hay = sentences(rng, self.language, bucket - sum(cost), tokens.count_text)
        except SampleError as error:
            raise SampleError(f"needle {self.variant!r} of {self.needle!r} in {bucket} tokens: {error}") from None
        context, real = _hide(rng, hay, list(zip(lines, cost, strict=True)), depth, [n.key in asked for n in stated])
        answers = [n.value for n in hidden if n.key in asked] if answerable else []
        asking = needles.question(asked, self.needle, self.language, self.variant == "multi_value")
        found = needles.solve(context, asking)
        metadata = {
            "depth": depth,
            "token_depth": round(real, 4),
            "variant": self.variant,
            "needle": self.needle,
            "keys": asked,
            "answers": answers,
            "answerable": answerable,
            "not_found": needles.NOT_FOUND[self.language],
        }
        return Sample(context, asking, found, bucket, self.language, metadata)

    def _draw(self, rng: random.Random) -> tuple[list[Needle], list[str]]:
        """All needles, those asked for first, and the keys that are asked for."""
        several = 1 if self.variant == "single" else self.count
        keys = needles.draw_keys(rng, self.language, 1 if self.variant == "multi_value" else several)
        if self.variant == "multi_value":
            keys *= several
        values: list[str] = []
        while len(values) < several:
            value = needles.draw_value(rng, self.language, self.needle)
            if value not in values:
                values.append(value)
        asked = keys if self.variant == "multi_query" else keys[:1]
        return [Needle(key, value) for key, value in zip(keys, values, strict=True)], list(dict.fromkeys(asked))

    def solve(self, context: str, question: str) -> str:
        """The values that ``context`` states for the keys of ``question``, or the phrase for none."""
        return needles.solve(context, question)


def _hide(
    rng: random.Random, hay: list[tuple[str, int]], stated: list[tuple[str, int]], depth: float, asked: list[bool]
) -> tuple[str, float]:
    """The haystack with the statements in it, and the depth in tokens of the first that is asked for.

    The first asked-for statement goes to ``depth``, all others anywhere.
    """
    total = sum(size for _, size in hay)
    placed: list[tuple[int, int, str, int]] = []
    first = asked.index(True) if True in asked else None
    for i, (line, size) in enumerate(stated):
        goal = depth * total if i == first else rng.random() * total
        placed.append((_slot(hay, goal), i, line, size))
    placed.sort(key=lambda item: item[:2])
    parts: list[str] = []
    before, found, done = 0, 0.0, 0
    for slot in range(len(hay) + 1):
        while done < len(placed) and placed[done][0] == slot:
            if placed[done][1] == first:
                found = before / max(1, total)
            parts.append(placed[done][2])
            done += 1
        if slot < len(hay):
            parts.append(hay[slot][0])
            before += hay[slot][1]
    return "".join(parts).lstrip(), min(1.0, found)


def _slot(hay: list[tuple[str, int]], goal: float) -> int:
    """The sentence boundary nearest to ``goal`` tokens."""
    best, position, distance = 0, 0, goal
    for i, (_, size) in enumerate(hay, start=1):
        position += size
        if abs(position - goal) < distance:
            best, distance = i, abs(position - goal)
    return best
