"""Optical character recognition: a page is brought back to the codec's own grid, cut into lines, recognised, and laid out again.

Recognition models read words and are careless about spaces, so the layout comes from the pixels: a cell without ink is a space, a bar in
the margin is a line that goes on, and only the characters come from the model. A tab cannot be told from spaces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench_render.fonts import width
from ctxbench_render.recognise import HEIGHT, Found, recognise
from ctxbench_render.registration import Pose

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Grey = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.bool_]

CELL = 17
"""Width in px of a cell in the recognised strips: two steps of the model a character, the fewest at which repeated letters stay apart."""

LINE = 40
"""Height in px of a line in them; the rest of the model's 48 px is paper, which it reads better than a full strip."""

SURE = 0.5
"""The model's probability from which a character counts as read."""

PROBED = 4
"""Lines that are recognised first,"""

HOPELESS = 0.1
"""and the share of their cells that must be read surely for the others to be recognised: a photograph costs as much as a full page."""

INKED = 0.25
"""Darkness, as a share of the page's ink, from which a part of a cell is ink."""


@attrs.frozen(eq=False)
class Reading:
    """Lines as (text, whether the next one goes on with it), and the share of the inked cells that the model is sure to have read."""

    lines: list[tuple[str, bool]]
    sure: float


def read_page(grey: Image.Image, pose: Pose, codec: RenderCodec) -> Reading:
    """What the model reads on a grey image of a page that lies at ``pose``, down to the last line that holds something.

    Raises:
        DecodeError: the extra ``ocr`` is not installed.
    """
    across, down = CELL / codec.cell, LINE / codec.pitch
    size = (codec.width, 2 * codec.margin + codec.lines_on_a_page * codec.pitch)
    flat = _stretch(pose.rectify(grey, size, across, down))
    top, left = round(codec.margin * down), round(codec.margin * across)
    strips = [flat[top + i * LINE : top + (i + 1) * LINE] for i in range(codec.lines_on_a_page)]
    strips = [strip for strip in strips if len(strip) == LINE]
    middle = round((codec.bar.start + codec.bar.stop) / 2 * across)
    cells = [_inked(strip[:, left : left + codec.limit * CELL]) for strip in strips]
    bars = [_is_bar(strip[:, middle - 4 : middle + 4]) for strip in strips]
    filled = [i for i, inked in enumerate(cells) if inked.any()]
    crops = [_crop(strips[i], cells[i], left) for i in filled]
    some = list(range(0, len(filled), max(1, len(filled) // PROBED)))[:PROBED]
    probed = dict(zip(some, recognise([crops[i] for i in some]), strict=True))
    if _share(probed, [cells[i] for i in filled]) < HOPELESS:
        return Reading([], _share(probed, [cells[i] for i in filled]))
    rest = [i for i in range(len(filled)) if i not in probed]
    probed |= dict(zip(rest, recognise([crops[i] for i in rest]), strict=True))
    texts = {filled[i]: found for i, found in probed.items()}
    last = max((i for i in range(len(strips)) if bars[i] or cells[i].any()), default=-1)
    lines = [(_lay_out(texts.get(i, []), cells[i]), bars[i]) for i in range(last + 1)]
    return Reading(lines, _share(texts, dict(enumerate(cells))))


def _share(texts: dict[int, list[Found]], cells: Mapping[int, Cells] | list[Cells]) -> float:
    """Of the inked cells of the lines in ``texts``, the share whose characters the model is surest of."""
    read = [sum(width(one.character) for one in found if one.confidence >= SURE) for found in texts.values()]
    inked = [int(cells[i].sum()) for i in texts]
    return sum(map(min, read, inked)) / max(1, sum(inked))


def _stretch(grey: Grey) -> Grey:
    """Full contrast: the paper white, the darkest hundredth of the page black."""
    paper = float(np.median(grey))
    ink = float(np.percentile(grey[grey < paper], 2)) if (grey < paper).any() else 0.0
    scaled = (grey.astype(np.float32) - ink) * (255 / max(1.0, paper - ink))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _inked(strip: Grey) -> Cells:
    """Which cells of a line hold ink: in blocks of 4 x 4 px of their inner columns, so that neither noise nor a neighbour counts."""
    cells = strip.shape[1] // CELL
    inner = 255.0 - strip[:, : cells * CELL].reshape(LINE, cells, CELL)[:, :, 2:14].astype(np.float32)
    blocks = inner.reshape(LINE // 4, 4, cells, 3, 4).mean((1, 4))
    return np.asarray(blocks.max((0, 2)) > INKED * 255)


def _is_bar(strip: Grey) -> bool:
    """A column of ink through the whole line."""
    dark = 255.0 - strip[8:-8].astype(np.float32)
    return dark.size > 0 and float(np.percentile(dark, 30, axis=0).max(initial=0.0)) > INKED * 255


def _crop(strip: Grey, inked: Cells, left: int) -> Grey:
    """The line from its first inked cell to its last, with a cell of paper at each end, on a strip of the model's height."""
    first, last = int(inked.argmax()), len(inked) - int(inked[::-1].argmax())
    inner = strip[:, left + first * CELL : left + last * CELL]
    rest = HEIGHT - LINE
    return np.pad(inner, ((rest // 2, rest - rest // 2), (CELL, CELL)), constant_values=255)


def _lay_out(found: list[Found], inked: Cells) -> str:
    """The characters on the cells that hold ink.

    Where there are as many of one as of the other, each takes its cell. Otherwise a character stands in the inked cell that is nearest to
    where the model saw it, and between two of them are as many spaces as there are cells without ink.
    """
    taken = np.flatnonzero(inked)
    if not len(taken) or not found:
        return ""
    if len(found) == len(taken):
        line = [" "] * (int(taken[-1]) + 1)
        for cell, one in zip(taken, found, strict=True):
            line[cell] = _narrow(one.character)
        return "".join(line)
    found = _punctuation(found, float(taken[-1] - taken[0] + 2) * CELL)
    where = [(one.x - CELL) / CELL + int(taken[0]) - width(one.character) / 2 for one in found]
    nearest = [int(taken[np.abs(taken - position).argmin()]) for position in where]
    if len(found) > len(taken):
        found, nearest = _drop_doubtful(found, nearest)
    text, end, before = "", 0, ""
    for one, at in zip(found, nearest, strict=True):
        blank = int((~inked[end:at]).sum())
        if blank <= _half_blank(before) + _half_blank(one.character):
            blank = 0  # the empty halves of wide characters' cells
        text += " " * blank + one.character
        end, before = max(end, at + max(1, width(one.character))), one.character
    return text


def _punctuation(found: list[Found], end: float) -> list[Found]:
    """Full-width punctuation that stands where there is room for one cell alone as the ASCII character that it stands for.

    The model reads the narrow colon after a Chinese word as a wide one. The room is what the neighbours of a run of such characters leave;
    ``end`` is where the last inked cell ends, in px of the strip, whose text starts after one cell of paper.
    """
    made = list(found)
    start = 0
    while start < len(found):
        stop = start
        while stop < len(found) and _narrow(found[stop].character) != found[stop].character:
            stop += 1
        if stop > start:
            before = found[start - 1].x + CELL * width(found[start - 1].character) / 2 if start else float(CELL)
            after = found[stop].x - CELL * width(found[stop].character) / 2 if stop < len(found) else end
            room = (after - before) / CELL + 0.5 * (not start or stop == len(found))  # an empty half at the end of a line is not seen
            if room < 1.5 * (stop - start):
                made[start:stop] = [attrs.evolve(one, character=_narrow(one.character)) for one in found[start:stop]]
        start = stop + 1
    return made


def _drop_doubtful(found: list[Found], cells: list[int]) -> tuple[list[Found], list[int]]:
    """Of several narrow characters in one cell, the one that the model is surest of."""
    best: dict[int, Found] = {}
    for one, cell in zip(found, cells, strict=True):
        if cell not in best or one.confidence > best[cell].confidence:
            best[cell] = one
    return list(best.values()), list(best)


def _half_blank(character: str) -> bool:
    """Wide punctuation, whose ink fills one of its two cells at most."""
    return width(character) == 2 and unicodedata.category(character)[0] == "P" if character else False


def _narrow(character: str) -> str:
    """The ASCII character that a full-width one stands for: it cannot be full-width if it has one cell."""
    code = ord(character)
    return chr(code - 0xFEE0) if 0xFF01 <= code <= 0xFF5E else character
