"""What the model first learns reading from: texts to be copied, facts to be found and random words of the dictionary.

They are tasks like any other, but of use in training alone: no plugin offers them, and they are handed to ``ctxbench data build`` as
:data:`TASKS`.
"""

from __future__ import annotations

import functools
import random
from typing import ClassVar

import attrs

from ctxbench import Sample, Task, TaskRecord, derive_seed, option
from ctxbench.options import String
from tinytrain import texts
from tinytrain.words import RANDOM, entries

COPY = ("Copy it.", "Repeat the text.", "Write it out exactly.", "Give the text back word for word.")
CHARACTERS = {"noise": 1.4, "document": 2.6, "prose": 4.2}
"""Of a reference token, about."""


@attrs.frozen
class Training(Task):
    """A task of training: how long its contexts are is meant roughly, and answers are judged character by character."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "character_error_rate")
    primary_score: ClassVar[str] = "exact_match"
    sized: ClassVar[bool] = False

    def solve(self, context: str, question: str) -> str:
        """The context itself, whatever became of it."""
        return context


@attrs.frozen
class Copy(Training):
    """Read a whole text back.

    Attributes:
        kind: random characters (``noise``), JSON (``document``), sentences (``prose``), or each of them in turn (``any``).
    """

    kind: str = option(String(("any", *CHARACTERS)), "any")

    def sample(self, bucket: int, seed: int) -> Sample:
        """A text of about ``bucket`` reference tokens, or up to a quarter less."""
        r = random.Random(derive_seed("tiny-copy", self.kind, bucket, seed))
        kind = r.choice(("noise", "document", "document", "prose")) if self.kind == "any" else self.kind
        text = texts.of_kind(r, kind, max(4, round(bucket * CHARACTERS[kind] * r.uniform(0.75, 1.0))))
        return Sample(text, r.choice(COPY), text, bucket, "en", {"kind": kind})


@attrs.frozen
class Lookup(Training):
    """Find one fact in prose: the value that a sentence gives for a key."""

    def sample(self, bucket: int, seed: int) -> Sample:
        """Prose of about ``bucket`` reference tokens with one to four facts in it."""
        r = random.Random(derive_seed("tiny-lookup", bucket, seed))
        facts = texts.facts(r, r.choice([1, 1, 2, 3, 4]))
        text = texts.hide(r, [sentence for _, _, sentence in facts], round(bucket * CHARACTERS["prose"]))
        key, value, _ = r.choice(facts)
        return Sample(text, texts.ask(r, key), value, bucket, "en", {})

    def solve(self, context: str, question: str) -> str:
        """What a sentence of ``context`` says of the key that ``question`` asks for."""
        return texts.solve(context, question)


@attrs.frozen
class RandomWords(Training):
    """Random entries of the dictionary, to be copied: nothing in them can be guessed. A bucket is a number of codes."""

    def sample(self, bucket: int, seed: int) -> Sample:
        """A text of three quarters of ``bucket`` entries or more."""
        r = random.Random(derive_seed("tiny-words", bucket, seed))
        text = b"".join(r.choices(_texts(), k=r.randint(max(1, bucket * 3 // 4), bucket))).decode()
        return Sample(text, r.choice(COPY), text, bucket, "en", {})


@functools.cache
def _texts() -> list[bytes]:
    """The entries that are texts by themselves, and not half a character."""
    return [entry for entry in entries() if entry.decode("utf-8", "ignore").encode() == entry and b"\0" not in entry]


TASKS = (
    TaskRecord("tiny_copy", "Copy texts that were made for training.", "tinytrain.tasks:Copy"),
    TaskRecord("tiny_lookup", "Find facts in prose that was made for training.", "tinytrain.tasks:Lookup"),
    TaskRecord(RANDOM, "Copy random entries of the codebook's dictionary.", "tinytrain.tasks:RandomWords"),
)
