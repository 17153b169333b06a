"""Tells how much of a context a model was trained on: the n-grams that the context and the training data have in common.

A text is normalised (NFKC, case folded, invisible format characters removed) and cut into tokens: runs of letters and digits, and single
characters in scripts that put no space between words (Chinese, Japanese, Thai, ...). Whatever else there is only separates. An n-gram is
:data:`WORDS` tokens in a row, or :data:`CHARACTERS` where it begins with such a character; a text too short for one is one n-gram.

Overlap of n-grams with normalised words is the measure of GPT-3 (Brown et al. 2020, appendix C: 8 to 13 words by data set) and PaLM
(Chowdhery et al. 2022, section 8: shares of 8-grams); the lower bound is used here because contexts are short and made of sentences that
training contexts hold in another order.

A record keeps 36 bits of each n-gram's hash: one that was never trained on is taken for a trained one with probability n / 2^36, where the
data have n n-grams; 0.02 % with :data:`MOST`, the most that a record holds. Of larger data it keeps those whose hash is below a limit, a
sample that is the same in every text, so that shares stay unbiased estimates (FracMinHash; Irber et al. 2022).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import itertools
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np

from ctxbench.errors import ModelError

WORDS = 8
"""Tokens of an n-gram of words."""

CHARACTERS = 13
"""Tokens of an n-gram of characters, about eight words of Chinese."""

MOST = 1 << 24
"""The most n-grams that a record holds: about 50,000 contexts of 512 reference tokens in English, 47 MB of JSON."""

THRESHOLD = 0.2
"""Share from which on a run warns. Llama 2 (Touvron et al. 2023, appendix A.6) calls a sample clean below 20 % of contaminated tokens."""

FILE = "ctxbench_training.json"
"""The file beside weights, or beside training data, whose key ``training_data`` lists records."""

FORMAT = 1
_BITS = 36

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
"""Hashes of n-grams, sorted; shape (n-grams,)."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+"  # compiled by ``re`` when first used: classes this wide take it milliseconds
_CHARACTER = f"[{_UNSPACED}]"
_FORMAT_CHARACTERS = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")


def tokens(text: str) -> list[str]:
    """The tokens of a text after normalisation."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _FORMAT_CHARACTERS.sub("", text)).casefold())
    return re.findall(_TOKEN, text.casefold())


@functools.lru_cache(maxsize=1 << 16)
def _token_hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _mixed(values: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele et al. 2014): every bit of the input changes every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _windows(hashes: Hashes, n: int) -> Hashes:
    """A polynomial of each ``n`` token hashes in a row, modulo 2^64."""
    length = max(0, len(hashes) - n + 1)
    total = np.full(length, n, np.uint64)
    for k in range(n):
        total = total * np.uint64(0x9E3779B97F4A7C15) + hashes[k : k + length]
    return total


def ngrams(text: str) -> Hashes:
    """Hashes of a text's distinct n-grams, 36 bits each, sorted."""
    found = tokens(text)
    hashes = np.fromiter(map(_token_hash, found), np.uint64, len(found))
    character = re.compile(_CHARACTER)
    kinds = np.fromiter((character.match(token) is not None for token in found), bool, len(found))
    words, characters = _windows(hashes, WORDS), _windows(hashes, CHARACTERS)
    made = np.concatenate([words[~kinds[: len(words)]], characters[kinds[: len(characters)]]])
    if not len(made):
        made = _windows(hashes, len(found)) if found else hashes
    return np.unique(_mixed(made) >> np.uint64(64 - _BITS))


@attrs.frozen(eq=False)
class TrainingData:
    """The n-grams of one set of training data.

    Attributes:
        fingerprint: names the data.
        covers: what the n-grams are of, in words for people.
        hashes: of the n-grams below ``limit``, sorted, dtype uint64.
        limit: n-grams whose hash is not below it are left out, here and in the contexts that are compared. 2^36 leaves out none.
    """

    fingerprint: str
    covers: str
    hashes: Hashes = attrs.field(repr=False)
    limit: int = 1 << _BITS

    def overlap(self, context: str) -> float:
        """Share of the context's distinct n-grams that occur in the training data, from 0 to 1.

        0 for a context that has none below ``limit``.
        """
        wanted = _below(ngrams(context), self.limit)
        if not len(wanted) or not len(self.hashes):
            return 0.0
        places = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return float(np.mean(self.hashes[places] == wanted))

    def limited(self, most: int) -> TrainingData:
        """The same, or the ``most`` n-grams with the smallest hashes if it has more."""
        if len(self.hashes) <= most:
            return self
        return attrs.evolve(self, hashes=self.hashes[:most], limit=int(self.hashes[most]))

    def plain(self) -> dict[str, Any]:
        """As JSON values. The hashes are in Elias-Fano form: low bytes as they are, the rest in unary."""
        width = min(range(1, 5), key=lambda w: len(self.hashes) * w * 8 + (self.limit >> 8 * w))
        shift = np.uint64(8 * width)
        bits = np.zeros((self.limit >> 8 * width) + len(self.hashes) + 1, bool)
        bits[(self.hashes >> shift) + np.arange(len(self.hashes), dtype=np.uint64)] = True
        low = self.hashes.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
        return {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "covers": self.covers,
            "ngrams": len(self.hashes),
            "limit": self.limit,
            "low": base64.b64encode(low.tobytes()).decode(),
            "high": base64.b64encode(np.packbits(bits).tobytes()).decode(),
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> TrainingData:
        """What :meth:`plain` made.

        Raises:
            ValueError, KeyError, TypeError: it is broken, or of a later format.
        """
        if plain["format"] != FORMAT:
            raise ValueError(f"format {plain['format']}, this version of ctxbench reads {FORMAT}")
        count = int(plain["ngrams"])
        low = (
            np.frombuffer(base64.b64decode(plain["low"], validate=True), np.uint8).reshape(count, -1)
            if count
            else np.zeros((0, 1), np.uint8)
        )
        places = np.flatnonzero(np.unpackbits(np.frombuffer(base64.b64decode(plain["high"], validate=True), np.uint8)))
        if len(places) != count or low.shape[1] > 4:
            raise ValueError(f"{len(places)} n-grams, {count} expected")
        hashes = (places - np.arange(count)).astype(np.uint64)
        for byte in reversed(range(low.shape[1])):
            hashes = (hashes << np.uint64(8)) | low[:, byte]
        return cls(str(plain["fingerprint"]), str(plain["covers"]), hashes, int(plain["limit"]))


def _below(hashes: Hashes, limit: int) -> Hashes:
    """The values of a sorted array that are below a limit."""
    return hashes[: int(np.searchsorted(hashes, np.uint64(limit)))] if limit < 1 << _BITS else hashes


@attrs.define
class Collector:
    """Gathers n-grams, context by context, in memory that is bounded by ``most``."""

    most: int = MOST
    _kept: TrainingData = attrs.field(init=False, factory=lambda: TrainingData("", "", np.zeros(0, np.uint64)))
    _new: list[Hashes] = attrs.field(init=False, factory=list)
    _waiting: int = attrs.field(init=False, default=0)

    def add(self, context: str) -> None:
        """Take in a context."""
        self.add_hashes(ngrams(context))

    def add_hashes(self, hashes: Hashes) -> None:
        """Take in a context whose n-grams :func:`ngrams` gave."""
        self._new.append(_below(hashes, self._kept.limit))
        self._waiting += len(self._new[-1])
        if self._waiting > max(1 << 16, len(self._kept.hashes)):
            self._merge()

    def _merge(self) -> None:
        limit = self._kept.limit
        hashes = np.unique(np.concatenate([self._kept.hashes, *(_below(some, limit) for some in self._new)]))
        self._kept = TrainingData("", "", hashes, limit).limited(self.most)
        self._new, self._waiting = [], 0

    def data(self, fingerprint: str, covers: str) -> TrainingData:
        """The record of what was taken in."""
        self._merge()
        return attrs.evolve(self._kept, fingerprint=fingerprint, covers=covers)


def together(*groups: Iterable[TrainingData]) -> tuple[TrainingData, ...]:
    """Records of several trainings of the same weights, earliest first, each set of data once."""
    return tuple({data.fingerprint: data for data in itertools.chain(*groups)}.values())


def read(folder: Path) -> tuple[TrainingData, ...] | None:
    """The records in a folder's :data:`FILE`; ``None`` if there is no such file, or an early one without n-grams.

    Raises:
        ModelError: the file is broken.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        entries = json.loads(path.read_text("utf-8")).get("training_data")
        return None if entries is None else tuple(TrainingData.of(entry) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelError(f"{path}: broken record of training data ({type(error).__name__}: {error}); remove it to go without") from None


def training_overlap(records: Sequence[TrainingData] | None, context: str) -> float | None:
    """The largest overlap of a context with any of a reader's records: ``None`` if they are missing, 0 if there are none."""
    return None if records is None else max((record.overlap(context) for record in records), default=0.0)


@attrs.define
class Guard:
    """Says on standard error, once, that a reader has learned what it is asked, or that nobody can tell.

    Attributes:
        threshold: share of a context's n-grams from which on :meth:`check` warns.
    """

    threshold: float = THRESHOLD
    _said: set[tuple[str, str | None]] = attrs.field(init=False, factory=set)

    def check(self, reader: str, task: str, share: float | None) -> bool:
        """Warn if ``share`` of a context was trained on (once a reader and task), or if it is ``None`` (once a reader); true if it did."""
        if share is None:
            why = f"{FILE} is missing beside its weights, or holds no n-grams"
            line = f"{reader}: what it was trained on is not known ({why}); whether it has learned the contexts of this run cannot be told"
            return self._say((reader, None), line)
        if share < self.threshold:
            return False
        what = f"{share:.0%} of the {WORDS}-word sequences of a context of task {task!r}"
        line = f"{reader} was trained on texts that hold {what}; its score there may measure memory (column training_overlap: every trial)"
        return self._say((reader, task), line)

    def _say(self, key: tuple[str, str | None], line: str) -> bool:
        if key in self._said:
            return False
        self._said.add(key)
        print(f"ctxbench: {line}", file=sys.stderr)
        return True


__all__ = [
    "CHARACTERS",
    "FILE",
    "THRESHOLD",
    "WORDS",
    "Collector",
    "Guard",
    "Hashes",
    "TrainingData",
    "ngrams",
    "read",
    "together",
    "training_overlap",
]
