"""The json_restore task: give the JSON document back."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import attrs

from ctxbench import Sample, SampleError, Task, tokens
from ctxbench_json_restore.document import Shape, make
from ctxbench_json_restore.values import ENTROPIES

SMALLEST = 32
QUESTIONS = {
    "en": "Write out the JSON document exactly as it is. Answer with the JSON only.",
    "zh": "请原样写出这份 JSON 文档。只回答 JSON。",
}


def _one_of(choices: tuple[str, ...]) -> Any:
    def check(_: object, attribute: attrs.Attribute[str], value: object) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name} must be one of {', '.join(choices)}, got {value!r}")

    return check


def _between(low: int, high: int, *, none: bool = False) -> Any:
    def check(_: object, attribute: attrs.Attribute[int], value: object) -> None:
        if none and value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{attribute.name} must be from {low} to {high}{' or null' if none else ''}, got {value!r}")

    return check


@attrs.frozen
class JsonRestore(Task):
    """Give a generated JSON document back, exactly.

    Attributes:
        fields: fields of the top level; ``None`` for as many as fit.
        depth: greatest nesting, 1 for a flat document.
        entropy: of the values: ``words`` (common words), ``realistic`` (names, dates, prices) or ``random`` (hexadecimal, UUIDs, base64).
        language: ``en`` or ``zh``, of keys, values and question.
        indent: spaces of indentation; ``None`` is compact.
    """

    metrics: ClassVar[tuple[str, ...]] = ("json_exact_match", "json_structural_f1", "character_error_rate")
    primary_score: ClassVar[str] = "json_exact_match"

    fields: int | None = attrs.field(default=None, validator=_between(1, 100_000, none=True))
    depth: int = attrs.field(default=3, validator=_between(1, 20))
    entropy: str = attrs.field(default="realistic", validator=_one_of(ENTROPIES))
    language: str = attrs.field(default="en", validator=_one_of(("en", "zh")))
    indent: int | None = attrs.field(default=None, validator=_between(0, 8, none=True))

    def sample(self, bucket: int, seed: int) -> Sample:
        """See :meth:`ctxbench.Task.sample`."""
        if isinstance(bucket, bool) or not isinstance(bucket, int) or bucket < SMALLEST:
            raise SampleError(f"json_restore makes documents of {SMALLEST} tokens or more, got {bucket!r}")
        shape = Shape(self.fields, self.depth, self.entropy, self.language, self.indent)
        context = make(random.Random(seed), bucket, shape, tokens.count_text)
        metadata = {"entropy": self.entropy, "characters": len(context)}
        return Sample(context, QUESTIONS[self.language], context, bucket, self.language, metadata)

    def solve(self, context: str, question: str) -> str:
        """The context itself."""
        return context.strip()
