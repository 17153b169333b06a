"""RULER's words: nouns, adjectives and verbs of the package ``wonderwords``."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.resources
import random
import uuid

import attrs

KINDS = ("words", "numbers", "uuids")


def _file(name: str) -> str:
    return importlib.resources.files("wonderwords").joinpath("assets", f"{name}list.txt").read_text("utf-8")


def _lines(name: str) -> list[str]:
    return [line.rstrip() for line in _file(name).splitlines()]


@attrs.frozen
class Pairs:
    """Every adjective joined with every noun, in alphabetical order; seven million, which are not kept."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.adjectives) * len(self.nouns)

    def __getitem__(self, i: int) -> str:
        adjective, noun = divmod(i, len(self.nouns))
        return f"{self.adjectives[adjective]}-{self.nouns[noun]}"


@functools.cache
def pairs() -> Pairs:
    """The keys and values of kind ``words``."""
    return Pairs(tuple(sorted(set(_lines("adjective")))), tuple(sorted(set(_lines("noun")))))


@functools.cache
def single_words() -> tuple[str, ...]:
    """Every noun, adjective and verb once, in alphabetical order."""
    return tuple(sorted({*_lines("noun"), *_lines("adjective"), *_lines("verb")}))


@functools.cache
def fingerprint() -> str:
    """Version of the package and hash of its lists."""
    lists = "\n".join(_file(name) for name in ("noun", "adjective", "verb"))
    return f"wonderwords {importlib.metadata.version('wonderwords')} {hashlib.sha256(lists.encode()).hexdigest()[:16]}"


def draw(rng: random.Random, kind: str) -> str:
    """One key or value: two words with a hyphen, seven digits, or a UUID."""
    if kind == "words":
        return rng.choice(pairs())
    if kind == "numbers":
        return str(rng.randint(1_000_000, 9_999_999))
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
