"""Words of a text, and what kind of word each is."""

from __future__ import annotations

import functools
import gzip
import importlib.metadata
import importlib.resources
import json
import re
import unicodedata
from typing import Literal

import attrs

Kind = Literal["number", "code", "name", "word"]

_UNSPACED = "\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PART = rf"(?:(?![{_UNSPACED}])[^\W_])"
_WORD = re.compile(
    rf"[{_UNSPACED}]"  # scripts without spaces: each character is a word
    rf"|(?>(?:(?<![\w.])[-+−])?\d+(?:[.,:/-]\d+)*)(?!{_PART}|_)"  # a number; with letters behind it, it is part of a code
    rf"|_*{_PART}[\u0300-\u036f]*(?:[\w\u0300-\u036f](?<![{_UNSPACED}])|(?:://|[-'’./:@+])(?={_PART}))*"
)
_NUMBER = re.compile(r"[-+−]?\d+(?:[.,:/-]\d+)*")
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")
_SENTENCE_END = re.compile(r"[.!?:]\W*$|\n\s*\W*$")


@attrs.frozen
class Word:
    """One word as it stands in a text.

    ``kind``: ``number`` (digits, with sign, and with ``. , : / -`` between them), ``code`` (letters and digits, an underscore, or a joint
    such as ``/ . : @`` between letters: hashes, versions, paths, addresses), ``name`` (a capital letter that no sentence begins with, or
    one within the word), else ``word``.
    """

    text: str
    kind: Kind

    @property
    def folded(self) -> str:
        """For comparison without regard to case and Unicode compatibility forms."""
        return unicodedata.normalize("NFKC", self.text).casefold()


def words_of(text: str) -> list[Word]:
    """The words of a text in their order; punctuation around them belongs to none."""
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        begins = not found or bool(_SENTENCE_END.search(between[-64:]))
        found.append(Word(match[0], kind_of(match[0], begins)))
        end = match.end()
    return found


def kind_of(word: str, begins: bool = False) -> Kind:
    """The kind of a word; ``begins`` if a sentence or a line begins with it."""
    if _NUMBER.fullmatch(word):
        return "number"
    if _INITIALS.fullmatch(word):
        return "name" if word.isupper() else "word"
    if "_" in word or any(map(str.isdigit, word)) or re.search(r"[^\W\d_][/.:@+][^\W\d_]", word):
        return "code"
    if any(map(str.isupper, word[1:])) or (not begins and word[:1].isupper() and word != "I" and not word.startswith(("I'", "I’"))):
        return "name"
    return "word"


def is_unspaced(word: str) -> bool:
    """True for a word of one character of a script without spaces."""
    return bool(re.fullmatch(f"[{_UNSPACED}]", word))


WORD_LIST = "pyspellchecker"
"""The distribution whose English word list (MIT) is used."""


def word_list_version() -> str:
    """Name and version of the word list."""
    return f"{WORD_LIST} {importlib.metadata.version(WORD_LIST)}"


@functools.cache
def english() -> frozenset[str]:
    """English words in lower case, inflected forms among them."""
    data = importlib.resources.files("spellchecker").joinpath("resources/en.json.gz").read_bytes()
    return frozenset(json.loads(gzip.decompress(data)))
