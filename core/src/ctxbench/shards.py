"""Splits a plan over machines that do not communicate: each runs its shard and writes a store of its own."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from ctxbench.errors import ConfigError

MOST = 100_000
"""Shards of one plan."""


@attrs.frozen
class Shard:
    """The ``number``-th of ``total`` parts of a plan, counted from 1. All codecs, levels and models of a sample are in one part."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``3/16``.

        Raises:
            ConfigError: it is no such pair, or the first number is not from 1 to the second.
        """
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
        if match is None:
            raise ConfigError(f"a shard is written as 3/16 (the third of sixteen), got {text!r}")
        number, total = int(match[1]), int(match[2])
        if not 1 <= number <= total <= MOST:
            raise ConfigError(f"shard {text.strip()}: the first number must be from 1 to the second, which is at most {MOST:,}")
        return cls(number, total)

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def holds(self, index: int, cell: int) -> bool:
        """Whether a sample is in this part; ``cell`` numbers the pairs of task and bucket, over each of which a part is spread evenly."""
        return (index + cell) % self.total == self.number - 1

    def samples(self, samples: int, cell: int) -> int:
        """How many samples of a cell are in this shard."""
        return len(range((self.number - 1 - cell) % self.total, samples, self.total))

    def store(self, path: str) -> str:
        """The store of this part of a run into ``path``: ``results.duckdb`` is ``results.shard-03-of-16.duckdb``."""
        whole = Path(path)
        width = len(str(self.total))
        return str(whole.with_name(f"{whole.stem}.shard-{self.number:0{width}}-of-{self.total}{whole.suffix}"))


def stores_beside(path: str) -> list[Path]:
    """The existing shard stores of the store ``path``."""
    whole = Path(path)
    pattern = re.compile(rf"{re.escape(whole.stem)}\.shard-\d+-of-\d+{re.escape(whole.suffix)}")
    folder = whole.parent
    return sorted(found for found in folder.iterdir() if pattern.fullmatch(found.name)) if folder.is_dir() else []


__all__ = ["Shard"]
