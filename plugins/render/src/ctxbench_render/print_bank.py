"""The glyphs that a reader of proportional type knows, by their widths."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_render.fonts import drawable
from ctxbench_render.fonts import width as cells
from ctxbench_render.region import blurred, psf
from ctxbench_render.repertoire import COMMON_NARROW, FREQUENT, LETTERS_END, is_legacy

if TYPE_CHECKING:
    from ctxbench_render.print import PrintCodec

Floats = npt.NDArray[np.float32]

A_GLYPH = 0.02
"""Cost of a glyph beside its squared error, in px of full ink: of two rows that explain a line as well, the shorter one is taken."""

EDGE = 6  # px

RARE = 0.4
"""Further cost of one that is not ASCII. JPEG of quality 85 leaves an error of about 0.1 to a glyph, and an accent has 2 or more."""


@attrs.frozen(eq=False)
class Bank:
    """Glyphs with different inks, the space among them.

    Attributes:
        by_ink: for each width in px, the character of each ink, column by column.
        by_width: for each width, (inks from 0 to 1 as (glyphs, width x line height), their costs, their characters). A cost is the squared
            norm and what a glyph costs beside its error.
    """

    by_ink: dict[int, dict[bytes, str]]
    by_width: dict[int, tuple[Floats, Floats, tuple[str, ...]]]


@functools.lru_cache(maxsize=16)
def bank(codec: PrintCodec, tier: str, sigma: float = 0.0) -> Bank:
    """``ascii``; ``letters``, with common letters and punctuation of other alphabets; ``wide``, with common Chinese and Japanese.

    Args:
        codec: whose type it is.
        tier: which characters.
        sigma: blur of ``by_width`` in px; what it carries out of a glyph's own columns is left out.
    """
    face = codec.type
    every = [chr(code) for code in range(0x20, 0x7F)]
    if tier != "ascii":
        others = [c for c in drawable(None) if "~" < c < LETTERS_END and cells(c) == 1 and any(ord(c) in block for block in COMMON_NARROW)]
        every += sorted(others, key=lambda c: FREQUENT.find(c) % (len(FREQUENT) + 1))
    if tier == "wide":
        every += [c for c in drawable(None) if cells(c) == 2 and is_legacy(c)]
    by_ink: dict[int, dict[bytes, str]] = {}
    for character in every:
        if face.number(character) is not None:
            ink = np.ascontiguousarray(face.glyph(character).T)
            if ink.any() or character == " ":
                by_ink.setdefault(len(ink), {}).setdefault(ink.tobytes(), character)
    by_width: dict[int, tuple[Floats, Floats, tuple[str, ...]]] = {}
    for advance, known in by_ink.items():
        inks = np.asarray(np.frombuffer(b"".join(known), np.uint8).reshape(len(known), -1) / 255, np.float32)
        if sigma:
            inks = np.stack([_blurred(ink.reshape(advance, -1), sigma).ravel() for ink in inks])
        rare = np.array([RARE if c > "~" else 0.0 for c in known.values()], np.float32)
        by_width[advance] = (inks, np.asarray((inks * inks).sum(1) + A_GLYPH + rare, np.float32), tuple(known.values()))
    return Bank(by_ink, by_width)


def _blurred(ink: Floats, sigma: float) -> Floats:
    padded = blurred(np.pad(ink, EDGE), psf(sigma))
    return np.asarray(padded[EDGE:-EDGE, EDGE:-EDGE])
