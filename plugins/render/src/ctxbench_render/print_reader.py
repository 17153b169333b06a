"""Reads pages of proportional type: the known glyphs are laid along each line so that they explain its pixels best.

On an undamaged page every column belongs to one glyph exactly, and the shortest row of glyphs that gives the very pixels is the text. On
others the row with the least squared error is found by dynamic programming (Viterbi, 1967), after the page was turned and scaled back.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench import DecodeError
from ctxbench_render.print_bank import Bank, bank
from ctxbench_render.print_pose import upright

if TYPE_CHECKING:
    from ctxbench_render.print import PrintCodec

Floats = npt.NDArray[np.float32]
Number = TypeVar("Number", np.uint8, np.float32)

LEAST_FIT = 0.75
"""Share of the variance of a page's ink that its glyphs must account for, or they are not what is on it."""

MOST_BLUR = 0.14
"""Blur over the font size from which glyphs are told apart no more: nearly any text fits such a page."""

GOOD_FIT = 0.96
"""Share from which a page is read as it lies, and a line without Chinese. Lines saved as JPEG of quality 85 come to 0.995 or more."""

POOR, UNUSUAL = 0.02, 1.2
"""Share of a line's ink that ASCII leaves, and the same over the median of the page's lines, from which other alphabets are tried. A line's
share strays from the median by a tenth; one accent adds as much again."""

LEAST_INK = 0.6
"""Squared ink of a line in px, below which it is blank."""

FEW = 5
"""Lines by which a pose is judged."""

FAINT = 0.15
"""Darkness from which a column at the end of a line may be more than noise."""

A_COLUMN = 0.15
"""Cost of a column between glyphs that belongs to none, where a page was scaled back and positions drift."""


def read(pages: Sequence[Image.Image], codec: PrintCodec) -> str:
    """The text of a carrier.

    Raises:
        DecodeError: there is no page, a page is blank, or what is on it is not this codec's type.
    """
    if not pages:
        raise DecodeError("this carrier holds no page")
    lines: list[str] = []
    for number, page in enumerate(pages, 1):
        name = f"page {number} of {len(pages)}"
        found = _read(page.convert("L"), codec, name)
        if number < len(pages):  # blank lines at its end belong to the text
            found = (found + [""] * codec.lines_on_a_page)[: codec.lines_on_a_page]
        lines += found
    while lines and not lines[-1]:
        lines.pop()
    return joined(lines, codec)


def joined(lines: list[str], codec: PrintCodec) -> str:
    """Lines as a text: a line was broken where the first word of the next one would not have fitted, and ended where it would."""
    text = lines[0] if lines else ""
    for line, following in itertools.pairwise(lines):
        text += _between(line, following, codec) + following
    return text


def _between(line: str, following: str, codec: PrintCodec) -> str:
    if not line or not following or following.startswith(" "):
        return "\n"
    used, word = codec.measure(line), following.split(" ", 1)[0]
    if " " not in line.strip() and used + codec.measure(following[0]) > codec.limit:
        return ""  # a word that is longer than a line
    return " " if used + codec.measure(" ") + codec.measure(word) > codec.limit else "\n"


def _read(grey: Image.Image, codec: PrintCodec, name: str) -> list[str]:
    """The lines of one page."""
    ink = 255 - np.asarray(grey)
    if not ink.any():
        (empty,) = codec.encode("").pages
        if grey.size == empty.size:
            return []
        raise DecodeError(f"{name} ({grey.width} x {grey.height} px) is blank: nothing recognised")
    exact = [_exactly(strip, codec) for strip in strips(ink, codec)]
    if exact and all(line is not None for line in exact) and not _outside(ink, codec):
        return [line or "" for line in exact]
    lines, fit = fitted(np.asarray(ink / 255, np.float32), codec)
    if fit < GOOD_FIT:
        found = upright(grey, codec, lambda page, sigma: fitted(page, codec, sigma=sigma, few=True)[1])
        if found is not None and found[1] > MOST_BLUR * codec.font_size:
            raise DecodeError(f"{name} is blurred by about {found[1]:.1f} px, too much for type of {codec.font_size} px")
        again, other = fitted(found[0], codec, sigma=found[1]) if found is not None else ([], 0.0)
        lines, fit = (again, other) if other > fit else (lines, fit)
    if fit < LEAST_FIT or not any(lines):
        raise DecodeError(
            f"{name}: the type of the profile {codec.profile} accounts for {max(0.0, fit):.0%} of the ink on it, at least"
            f" {LEAST_FIT:.0%} must be; it was made with other options, or damaged too much"
        )
    return lines


def strips(ink: npt.NDArray[Number], codec: PrintCodec) -> list[npt.NDArray[Number]]:
    """The lines of a page, (line height, px) each, without the left margin."""
    rows = min(codec.lines_on_a_page, (ink.shape[0] - codec.margin) // codec.line_height)
    tops = [codec.margin + row * codec.line_height for row in range(rows)]
    return [ink[top : top + codec.line_height, codec.margin :] for top in tops]


def _outside(ink: npt.NDArray[np.uint8], codec: PrintCodec) -> bool:
    """Whether there is ink above, below or to the left of the lines."""
    bottom = codec.margin + len(strips(ink, codec)) * codec.line_height
    return bool(ink[: codec.margin].any() or ink[bottom:].any() or ink[:, : codec.margin].any())


def _exactly(strip: npt.NDArray[np.uint8], codec: PrintCodec) -> str | None:
    """The fewest glyphs that give the very pixels of a line, or ``None`` if no row of glyphs does."""
    inked = np.flatnonzero(strip.any(0))
    if not len(inked):
        return ""
    end = int(inked[-1]) + 1
    for tier in ("ascii", "letters", "wide"):
        line = _shortest(strip, end, bank(codec, tier))
        if line is not None:
            return line.rstrip()
    return None


def _shortest(strip: npt.NDArray[np.uint8], end: int, glyphs: Bank) -> str | None:
    height, most = strip.shape[0], max(glyphs.by_ink)
    columns = np.zeros((end + most, height), np.uint8)
    columns[: min(len(columns), strip.shape[1])] = strip.T[: len(columns)]
    flat = columns.tobytes()
    best: dict[int, tuple[int, int, str]] = {0: (0, -1, "")}  # column: (glyphs up to it, where the last one starts, the last one)
    for x in range(end):
        if x not in best:
            continue
        for advance, known in glyphs.by_ink.items():
            character = known.get(flat[x * height : (x + advance) * height])
            count = best[x][0] + 1
            if character is not None and (x + advance not in best or count < best[x + advance][0]):
                best[x + advance] = (count, x, character)
    ends = [x for x in best if x >= end]
    if not ends:
        return None
    return _path(best, min(ends, key=lambda x: best[x][0]))


def _path(best: dict[int, tuple[int, int, str]], x: int) -> str:
    found = []
    while x > 0:
        _, before, character = best[x]
        found.append(character)
        x = before
    return "".join(reversed(found))


def fitted(ink: Floats, codec: PrintCodec, *, sigma: float = 0.0, few: bool = False) -> tuple[list[str], float]:
    """(lines, share of the ink's energy that they account for) of a page whose lines lie where the codec draws them, 0 paper and 1 ink.

    Args:
        ink: (height, width) of the page.
        codec: whose type is on it.
        sigma: blur in px of a page that was scaled back. Where there is any, columns may belong to no glyph, and all is ASCII.
        few: only the five lines with the most ink, in ASCII.
    """
    every = [np.asarray(strip, np.float32) for strip in strips(ink, codec)]
    if few:
        every = sorted(every, key=lambda strip: -float(strip.sum()))[:FEW]
    drifts = sigma > 0
    own = np.array([max(float((strip * strip).sum()), 1e-6) for strip in every])
    inked = own >= LEAST_INK
    found = [
        _likeliest(strip, bank(codec, "ascii", sigma), drifts) if there else ("", 0.0) for strip, there in zip(every, inked, strict=True)
    ]
    if not few and not drifts and inked.any():
        errors = np.array([off for _, off in found]) / own
        doubtful = inked & ((errors > POOR) | (errors > UNUSUAL * float(np.median(errors[inked]))))
        for tier, worth in (("letters", doubtful), ("wide", doubtful & (errors > 1 - GOOD_FIT))):
            for i in np.flatnonzero(worth):
                if tier == "letters" or found[i][1] / own[i] > 1 - GOOD_FIT:
                    found[i] = min(found[i], _likeliest(every[i], bank(codec, tier, sigma), drifts), key=lambda one: one[1])
    error = sum(off for _, off in found)
    return [line.rstrip() for line, _ in found], 1 - error / float(own[inked].sum()) if inked.any() else 0.0


def _likeliest(strip: Floats, glyphs: Bank, drifts: bool) -> tuple[str, float]:
    """(text, squared error) of the row of glyphs that explains a line best."""
    height, most = strip.shape[0], max(glyphs.by_width)
    inked = np.flatnonzero(strip.max(0) > FAINT)
    width = int(inked[-1]) + 1 if len(inked) else 1
    columns = np.zeros((width + most, height), np.float32)
    columns[: min(len(columns), strip.shape[1])] = strip.T[: len(columns)]
    energy = np.concatenate([[0.0], np.cumsum((columns * columns).sum(1, dtype=np.float64))])
    advances = np.array(sorted(glyphs.by_width))
    costs, choices = np.empty((width, len(advances))), np.empty((width, len(advances)), np.intp)
    for i, advance in enumerate(advances):
        inks, norms, _ = glyphs.by_width[int(advance)]
        windows = np.lib.stride_tricks.sliding_window_view(columns, (advance, height))[:width, 0].reshape(width, -1)
        score = norms[None, :] - 2 * (windows @ inks.T)
        choices[:, i] = score.argmin(1)
        costs[:, i] = score.min(1) + (energy[advance:][:width] - energy[:width])
    best = np.full(width + most + 1, np.inf)
    came = np.zeros(width + most + 1, np.intp)  # the place of the width of what ends here; -1 for a column of none
    best[0] = 0.0
    for x in range(width):
        here = best[x]
        if here == np.inf:
            continue
        alone = here + energy[x + 1] - energy[x] + A_COLUMN
        if drifts and alone < best[x + 1]:
            best[x + 1], came[x + 1] = alone, -1
        ends = x + advances
        better = here + costs[x] < best[ends]
        best[ends[better]], came[ends[better]] = (here + costs[x])[better], np.flatnonzero(better)
    rest = best[width:]
    x = width + int(rest.argmin())
    error, found = float(rest.min()), []
    while x > 0:
        i = int(came[x])
        start = x - (int(advances[i]) if i >= 0 else 1)
        if i >= 0:
            found.append(glyphs.by_width[int(advances[i])][2][choices[start, i]])
        x = start
    return "".join(reversed(found)), error
