"""Where on a carrier stands what an answer says next: the token of the sequence that shows each token of an answer."""

from __future__ import annotations

import functools
from typing import cast

import numpy as np
import numpy.typing as npt

from ctxbench import Codec
from ctxbench.session import current
from ctxbench_tiny.words import CODEC
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded
from tinytrain.model import IMAGE
from tinytrain.words import SYMBOL, written

GLYPHS = 4
"""Characters on a visual token of print."""
COLUMNS = 47
"""Characters in a line of print: a cell less than twelve visual tokens have, where the mark of a line that goes on stands."""
LEAST = 2
"""Rows of visual tokens that a page has at least."""
TILE = 28
"""Side of a visual token's square in px."""
SQUARES = 4
"""Squares in a row of a page of codes."""

Places = npt.NDArray[np.int64]


def answer_places(example: Example, encoded: Encoded, start: int, count: int, words: int) -> Places:
    """Positions in the sequence, shape (count,), of what shows each of an answer's ``count`` tokens, the first of which is at ``start``.

    -1 where nothing does, or it is not known: the end of the turn, an answer that does not stand in the context exactly once, a line's end.
    ``words``: codes on a square of a page of codes.
    """
    found = np.full(count, -1)
    if example.codec == CODEC:
        places = np.array(written(example).places, np.int64)
        if len(places) and (rows := page_rows(example, words)):
            found[: len(places)] = first_visual(encoded) + shown_on(*np.divmod(places // words, SQUARES), rows, SQUARES, encoded)
        return found
    context, answer = example.sample.context, example.answer
    at = context.find(answer)
    if not answer or at < 0 or context.find(answer, at + 1) >= 0:
        return found
    said = len(answer.encode())
    if example.codec == "text":
        begin = bytes(np.minimum(encoded.ids.numpy()[:start], 255).astype(np.uint8)).find(context.encode())
        if begin >= 0:
            found[:said] = begin + len(context[:at].encode()) + np.arange(said)
        return found
    tiles = printed_tiles(example, encoded)
    if tiles is not None:
        own = np.repeat(tiles, [len(character.encode()) for character in context])[len(context[:at].encode()) :][:said]
        found[:said] = np.where(own < 0, -1, own + first_visual(encoded))
    return found


def lines(text: str, columns: int = COLUMNS) -> list[str]:
    """``text`` as the lines of a page: hard breaks kept, longer lines wrapped."""
    return [line[i : i + columns] for line in text.split("\n") for i in range(0, max(1, len(line)), columns)]


def printed_tiles(example: Example, encoded: Encoded) -> Places | None:
    """For each character of a context in print, the visual token that it is on, -1 for a break; ``None`` where that is not known."""
    text = example.sample.context
    if not plain(text) or not all(grid(encoded)):
        return None
    own = lines(text)
    row = np.repeat(np.arange(len(own)), [len(line) for line in own])
    cell = np.concatenate([np.arange(len(line)) for line in own])
    tiles = shown_on(row, cell, max(LEAST, len(own)), COLUMNS + 1, encoded)
    found = np.full(len(text), -1)
    found[np.array([character != "\n" for character in text], bool)] = tiles
    return found


def shown_on(row: Places, column: Places, rows: int, columns: int, encoded: Encoded) -> Places:
    """The visual tokens, counted from the first, on which the middles of some cells of a page of ``rows`` x ``columns`` cells lie.

    A page that was scaled and turned a little is taken to show them at the same shares of its height and width.
    """
    high, wide = grid(encoded)
    shown: Places = (2 * row + 1) * high // (2 * rows) * wide + (2 * column + 1) * wide // (2 * columns)
    return shown


@functools.cache
def _codec(words: int) -> Codec:
    options = {"preset": "aligned", "symbol": SYMBOL, "cell": 4, "colors": {4: 2, 8: 4}[words], "columns": SQUARES}
    return cast(Codec, current().made("codec", CODEC, options))


@functools.lru_cache(maxsize=1)  # two losses ask for the same record
def page_rows(example: Example, words: int) -> int:
    """Rows of squares of the undamaged page of codes; 0 where there are several pages."""
    pages = _codec(words).encode(example.sample.context).pages
    return pages[0].height // TILE if len(pages) == 1 else 0


def plain(text: str) -> bool:
    """Whether each character takes one cell of print."""
    return all(32 <= ord(character) < 127 or character == "\n" for character in text)


def first_visual(encoded: Encoded) -> int:
    """Position of the first visual token."""
    return int((encoded.ids == IMAGE).nonzero()[0])


def grid(encoded: Encoded) -> tuple[int, int]:
    """(rows, columns) of visual tokens of the one page; (0, 0) where there is none, or several."""
    grids = encoded.media.get("image_grid_thw")
    if grids is None or len(grids) != 1:
        return 0, 0
    _, height, width = grids[0].tolist()
    return height // 2, width // 2
