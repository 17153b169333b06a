"""The task ``json_restore``."""

from __future__ import annotations

import random
from typing import Any, ClassVar, get_args

import attrs

from ctxbench import Sample, SampleError, Task, derive_seed, option
from ctxbench.options import Integer, Optional, String
from ctxbench_json_restore.exact import Builder
from ctxbench_json_restore.structure import Shape, depth_of, keys_in
from ctxbench_json_restore.values import Entropy, Source

QUESTIONS = {
    "en": "Write out the JSON document exactly as it is. Answer with the JSON only.",
    "zh": "请原样写出这份 JSON 文档。只回答 JSON。",
}
"""Stable: models are trained on these words."""


_TRIES = 8


@attrs.frozen
class JsonRestore(Task):
    """A generated JSON document as the context; the answer is the same document.

    The context is compact JSON unless ``indent`` is given: indentation costs a text many tokens that any codec saves at once, which
    would flatter them.

    Attributes:
        language: of keys and strings, ``en`` or ``zh``.
        entropy: how hard values are to guess: common ``words``, ``realistic`` records, or ``random`` characters and digits.
        depth: nesting of objects and arrays, which the document reaches exactly; 1 is an object of plain values.
        field_count: number of keys on all levels, the values growing to fill the bucket; ``None`` for as many as fit.
        indent: spaces a level, or ``None`` for compact JSON.
    """

    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[str, ...]] = ("json_exact_match", "json_f1", "json_key_value_mean", "character_error_rate")
    primary_score: ClassVar[str] = "json_exact_match"

    language: str = option(String(QUESTIONS), "en")
    entropy: Entropy = option(String(get_args(Entropy)), "realistic")
    depth: int = option(Integer(1, 32), 3)
    field_count: int | None = option(Optional(Integer(1, 1_000_000)), None)
    indent: int | None = option(Optional(Integer(0, 16)), None)

    def sample(self, bucket: int, seed: int) -> Sample:
        """See :meth:`ctxbench.Task.sample`; the context is of exactly ``bucket`` tokens."""
        if isinstance(bucket, bool) or not isinstance(bucket, int) or bucket < 1:
            raise SampleError(f"a bucket must be a positive number of tokens, got {bucket!r}")
        source = Source(random.Random(derive_seed("json_restore", self.config, bucket, seed)), self.language, self.entropy)
        context, document = self._build(source, bucket)
        facts = {"nesting": depth_of(document), "fields": keys_in(document), "entropy": self.entropy, "answerable": True}
        return Sample(context, QUESTIONS[self.language], context, bucket, self.language, facts)

    def _build(self, source: Source, bucket: int) -> tuple[str, dict[str, Any]]:
        for attempt in range(_TRIES):  # one with shorter keys may fit where another did not
            try:
                return Builder(source, Shape(self.depth, self.field_count, self.indent), bucket).build()
            except SampleError:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def solve(self, context: str, question: str) -> str:
        """The context itself, whatever became of it."""
        return context.strip()
