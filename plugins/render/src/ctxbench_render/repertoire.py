"""What a decoder that knows the codec compares a cell with: the inks of the characters that the codec can draw.

Many characters look alike (Latin A, Greek Alpha, Cyrillic A have one glyph in most fonts); the first in the order of the repertoire stands
for all of them, and :func:`same_script` puts letters back into the script of their word.
"""

from __future__ import annotations

import functools
import itertools
import string
import unicodedata
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_render.fonts import drawable, width

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Inks = npt.NDArray[np.uint8]

COMMON_NARROW = (
    *(range(0x00A1, 0x0180), range(0x0370, 0x0400), range(0x0400, 0x0530), range(0x2010, 0x2060), range(0x20A0, 0x20C0)),
    *(range(0x2100, 0x2150), range(0x2190, 0x2200), range(0x2200, 0x2300), range(0x2500, 0x2600), range(0x2600, 0x27C0)),
)
"""Unicode blocks that texts with other characters than ASCII's take them from, as a rule: Latin-1 and Latin Extended-A, Greek, Cyrillic,
punctuation, currencies, letterlike symbols, arrows, operators, boxes, blocks and dingbats."""

LETTERS_END = "\u2150"
"""Of these, letters and punctuation; arrows, operators, boxes and dingbats are left out where a wrong guess is likely."""

FREQUENT = "\u2014\u2013\u2018\u2019\u201c\u201d\u2022\u2026"
"""Punctuation that goes before its look-alikes, as the em dash before the horizontal bar."""

LEGACY = ("gb2312", "shift_jis")
"""Encodings whose characters are the common ones among the wide: 6,763 Chinese and 6,355 Japanese ideographs, kana and punctuation."""

MARKS = range(0x0300, 0x0370)


@attrs.frozen(eq=False)
class Bank:
    """Inks of characters, all of one size: ``inks`` is (characters, line pitch x cells), 0 is paper and 255 ink; no two are alike."""

    characters: tuple[str, ...]
    inks: Inks


@functools.lru_cache(maxsize=16)
def bank(codec: RenderCodec, tier: str) -> Bank:
    """The inks of one tier.

    ``ascii``; ``letters``, common ones of other alphabets; ``narrow``, those and common symbols; ``wide``, common ones of two cells;
    ``hangul-wide``, Korean syllables; ``marked``, Latin letters with a combining mark; ``rest`` and ``rest-wide``, whatever the fonts have.
    """
    found: dict[bytes, str] = {}
    inks = []
    for character in _tier(codec, tier):
        ink = codec.ink(character)
        key = ink.tobytes()
        if key not in found and ink.any():
            found[key] = character
            inks.append(ink.ravel())
    size = codec.pitch * codec.cell * (2 if "wide" in tier else 1)
    return Bank(tuple(found.values()), np.array(inks, np.uint8).reshape(-1, size))


def _tier(codec: RenderCodec, tier: str) -> list[str]:
    if tier == "marked":
        marks = [chr(code) for code in MARKS if codec.glyphs.file(chr(code)) is not None]
        return [letter + mark for letter, mark in itertools.product(string.ascii_letters, marks)]
    every = drawable(codec.font)
    if tier == "ascii":
        return [c for c in every if c <= "~"]
    if tier == "letters":
        return [c for c in _tier(codec, "narrow") if c < LETTERS_END]
    if tier == "narrow":
        common = [c for c in every if width(c) == 1 and c > "~" and any(ord(c) in block for block in COMMON_NARROW)]
        return sorted(common, key=lambda c: FREQUENT.find(c) % (len(FREQUENT) + 1))
    if tier == "rest":
        return [c for c in every if width(c) == 1 and c > "~"]
    if tier == "hangul-wide":
        return [c for c in every if "\uac00" <= c <= "\ud7a3"]
    wide = [c for c in every if width(c) == 2]
    return [c for c in wide if is_legacy(c)] if tier == "wide" else wide


def is_legacy(character: str) -> bool:
    """Whether a wide character is a common one."""
    for encoding in LEGACY:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            continue
        return True
    return False


@functools.lru_cache(maxsize=4)
def _twins(codec: RenderCodec) -> dict[str, dict[str, str]]:
    """For each letter that stands for others: by script, the letter of that script with the same ink."""
    first: dict[bytes, str] = {}
    found: dict[str, dict[str, str]] = {}
    for character in (*_tier(codec, "ascii"), *_tier(codec, "narrow")):
        if character.isalpha():
            one = first.setdefault(codec.ink(character).tobytes(), character)
            found.setdefault(one, {}).setdefault(_script(character), character)
    return found


@functools.cache
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def same_script(text: str, codec: RenderCodec) -> str:
    """The text with look-alike letters in the script of their word: of its other letters, or else of the line's."""
    if text.isascii():
        return text
    twins = _twins(codec)
    lines = []
    for line in text.split("\n"):
        usual = _certain(line, twins)
        words = ["".join(run) for _, run in itertools.groupby(line, str.isalpha)]
        lines.append("".join(_in_script(word, _certain(word, twins) or usual, twins) for word in words))
    return "\n".join(lines)


def _certain(text: str, twins: dict[str, dict[str, str]]) -> str:
    """The one script among Latin, Greek and Cyrillic of the letters that have a glyph of their own, or nothing."""
    scripts = {_script(c) for c in text if c.isalpha() and len(twins.get(c, "?")) == 1} & {"LATIN", "GREEK", "CYRILLIC"}
    return scripts.pop() if len(scripts) == 1 else ""


def _in_script(word: str, script: str, twins: dict[str, dict[str, str]]) -> str:
    return "".join(twins.get(c, {}).get(script, c) for c in word) if script else word
