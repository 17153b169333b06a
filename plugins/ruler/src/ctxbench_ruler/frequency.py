"""RULER's aggregation tasks: common words and frequent words."""

from __future__ import annotations

import itertools
import random
import re
import string
from collections import Counter
from typing import ClassVar

import attrs

from ctxbench import SampleError, option
from ctxbench.options import Boolean, Integer, Number, Optional
from ctxbench_ruler import words
from ctxbench_ruler.task import Draft, RulerTask
from ctxbench_ruler.templates import COMMON_WORDS, FREQUENT_WORDS

SHORT = 4096
"""Bucket below which RULER repeats words less often."""

COMMON = 10
FREQUENT = 3
NOISE = "..."
TOKENS_A_WORD = 50
"""The vocabulary of the coded text has a word for so many tokens of the bucket."""


@attrs.frozen
class CommonWords(RulerTask):
    """Name the ten most common words of a numbered list.

    Below a bucket of 4,096 tokens common words stand there 6 times and the others once, as in RULER.

    Attributes:
        freq_cw: how often each of the ten words stands in the list, from a bucket of 4,096 tokens on.
        freq_ucw: how often each other word does.
        few_shot: an example with its answer stands first, as in RULER.
    """

    name: ClassVar[str] = "cwe"

    freq_cw: int = option(Integer(2, 1000), 30)
    freq_ucw: int = option(Integer(1, 999), 3)
    few_shot: bool = option(Boolean(), True)

    def __attrs_post_init__(self) -> None:
        if self.freq_ucw >= self.freq_cw:
            raise ValueError(f"freq_cw must be above freq_ucw, got {self.freq_cw} and {self.freq_ucw}: no word would be common")

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the word lists."""
        return words.fingerprint()

    def least(self, bucket: int) -> int:
        """The common words and one more."""
        return COMMON + 1

    def most(self) -> int | None:
        """Every word there is."""
        return len(words.single_words())

    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """See :meth:`RulerTask.draft`. A unit is a word, common or not, with its repetitions."""
        return self.listed(rng, units, bucket, words.single_words(), rng.getrandbits(32))

    def listed(self, rng: random.Random, units: int, bucket: int, known: tuple[str, ...], order: int) -> Draft:
        """A draft of ``known`` words whose lists the seed ``order`` shuffles."""
        short = bucket < SHORT
        example = ""
        if self.few_shot:
            first = _list(rng, known, order, 20 if short else 40, (3, 1) if short else (10, 3))
            example = first.whole + " ".join(f"{i}. {word}" for i, word in enumerate(first.answers, 1)) + "\n"
        return attrs.evolve(_list(rng, known, order, units, (6, 1) if short else (self.freq_cw, self.freq_ucw)), example=example)

    def answer(self, draft: Draft) -> str:
        """The ten words, in the order of the list."""
        return ", ".join(sorted(draft.answers, key=draft.pieces.index))

    def solve(self, context: str, question: str) -> str:
        """The ten words that the last list of the text has most often, in its order."""
        listed = context.rpartition("Memorize the ones that appear most often.")[2]
        seen = re.findall(r"\d+\.\s+(.+?)(?=\s+\d+\.\s|\s*$)", listed, re.DOTALL)
        counts = Counter(" ".join(word.split()) for word in seen)
        common = {word for word, _ in counts.most_common(COMMON)}
        return ", ".join(word for word in counts if word in common)


def _list(rng: random.Random, known: tuple[str, ...], order: int, count: int, repeats: tuple[int, int]) -> Draft:
    chosen = rng.sample(known, count)
    common, others = chosen[:COMMON], chosen[COMMON:]
    pieces = common * repeats[0] + others * repeats[1]
    random.Random(order).shuffle(pieces)
    return Draft(COMMON_WORDS, tuple(pieces), tuple(common), joint=" ", form="{i}. {piece}")


@attrs.frozen
class FrequentWords(RulerTask):
    """Name the three most frequent words of a text of made-up words, whose frequencies follow a zeta distribution.

    Attributes:
        alpha: the distribution's exponent; the greater it is, the more the first words stand out.
        coded_wordlen: letters of a word.
        vocab_size: words to draw from; ``None`` is one for every 50 tokens of the bucket.
    """

    name: ClassVar[str] = "fwe"

    alpha: float = option(Number(1.1, 10), 2.0)
    coded_wordlen: int = option(Integer(3, 40), 6)
    vocab_size: int | None = option(Optional(Integer(5, 100_000)), None)

    def least(self, bucket: int) -> int:
        """The fewest words at which the fourth rank, the third word asked for, is more frequent than the fifth."""
        units = 1
        while not _distinct(self.counts(units, FREQUENT + 2)):
            units += 1
        return units

    def counts(self, units: int, ranks: int) -> list[int]:
        """How often each rank occurs; the first is noise."""
        import numpy as np
        from scipy.special import zeta  # type: ignore[import-untyped,unused-ignore]

        rank = np.arange(1, ranks + 1)
        return [int(count) for count in units * (rank**-self.alpha) / zeta(self.alpha)]

    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """See :meth:`RulerTask.draft`. A unit is a word of the text before the distribution is cut off at its vocabulary."""
        size = self.vocab_size or bucket // TOKENS_A_WORD
        if size < FREQUENT + 2:
            least = (FREQUENT + 2) * TOKENS_A_WORD
            raise SampleError(f"fwe has a word for every {TOKENS_A_WORD} tokens and needs 5; ask for a bucket of {least} or more")
        return self.coded(rng, units, size, rng.getrandbits(32))

    def coded(self, rng: random.Random, units: int, size: int, order: int) -> Draft:
        """A draft whose words and text the seed ``order`` shuffles."""
        vocabulary = [self._word(rng) for _ in range(size)]
        while len(set(vocabulary)) < size:
            vocabulary.append(self._word(rng))
        vocabulary = sorted(set(vocabulary))
        random.Random(order).shuffle(vocabulary)
        vocabulary[0] = NOISE
        pieces = [word for word, count in zip(vocabulary, self.counts(units, size), strict=True) for _ in range(count)]
        random.Random(order).shuffle(pieces)
        return Draft(FREQUENT_WORDS, tuple(pieces), tuple(vocabulary[1 : 1 + FREQUENT]), joint=" ")

    def _word(self, rng: random.Random) -> str:
        return "".join(rng.choices(string.ascii_lowercase, k=self.coded_wordlen))

    def adjusted(self, draft: Draft, rng: random.Random, missing: int) -> Draft:
        """More noise, a token each, anywhere between the words."""
        pieces = list(draft.pieces)
        for _ in range(missing):
            pieces.insert(rng.randrange(1, len(pieces) + 1), NOISE)
        return attrs.evolve(draft, pieces=tuple(pieces))

    def solve(self, context: str, question: str) -> str:
        """The three words that the text has most often, the most frequent first."""
        text = context.rpartition("appeared coded words.")[2]
        counts = Counter(re.findall(r"[a-z]+", text))
        return ", ".join(word for word, _ in counts.most_common(FREQUENT))


def _distinct(counts: list[int]) -> bool:
    """Every rank that is asked for is more frequent than the next."""
    return all(first > then for first, then in itertools.pairwise(counts[1:]))
