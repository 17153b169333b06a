"""Where on a carrier stands what an answer says next: the token of the sequence that shows each token of an answer."""

from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ctxbench import Codec
from ctxbench.session import current
from ctxbench_imgaug.levels import Custom
from ctxbench_imgaug.pipeline import Draw, geometry
from ctxbench_tiny.words import CODEC
from ctxbench_transformers.data import Example
from ctxbench_transformers.data.plan import page_seed
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
CELL = {"render": (7, TILE), CODEC: (TILE, TILE)}
"""Width and height in px of a character, and of a square."""

Places = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.floating[Any]]
Cells = tuple[int, int]


def answer_places(example: Example, encoded: Encoded, start: int, count: int, words: int) -> Places:
    """Positions in the sequence, shape (count,), of what shows each of an answer's ``count`` tokens, the first of which is at ``start``.

    -1 where nothing does, or it is not known: the end of the turn, an answer that does not stand in the context exactly once, a line's end.
    ``words``: codes on a square of a page of codes.
    """
    found = np.full(count, -1)
    if example.codec == CODEC:
        places = np.array(written(example).places, np.int64)
        if len(places) and (rows := page_rows(example, words)):
            found[: len(places)] = first_visual(encoded) + shown_on(*np.divmod(places // words, SQUARES), (rows, SQUARES), example, encoded)
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
    tiles = shown_on(row, cell, (max(LEAST, len(own)), COLUMNS + 1), example, encoded)
    found = np.full(len(text), -1)
    found[np.array([character != "\n" for character in text], bool)] = tiles
    return found


def shown_on(row: Places, column: Places, cells: Cells, example: Example, encoded: Encoded) -> Places:
    """The visual tokens, counted from the first, on which the middles of some of a page's ``cells`` (rows, columns) lie."""
    high, wide = grid(encoded)
    x, y = _moved(to_seen(example, cells), (column + 0.5) / cells[1], (row + 0.5) / cells[0])
    tokens: Places = _whole(y, high) * wide + _whole(x, wide)
    return tokens


def cells_under(across: int, cells: Cells, example: Example, encoded: Encoded) -> tuple[Places, Places]:
    """What stands on each visual token: (rows, columns) of a page's ``cells``, shape (tokens, ``across``); -1 off the page.

    ``across``: places on a token, from left to right.
    """
    high, wide = grid(encoded)
    row, column = np.indices((high, wide * across)) + 0.5
    x, y = _moved(np.linalg.inv(to_seen(example, cells)), column / (wide * across), row / high)
    off = (x < 0) | (x >= 1) | (y < 0) | (y >= 1)
    found = (np.where(off, -1, _whole(part, count)) for part, count in ((y, cells[0]), (x, cells[1])))
    rows, columns = (each.reshape(-1, across) for each in found)
    return rows, columns


def to_seen(example: Example, cells: Cells) -> Matrix:
    """From shares of a page's width and height to those of the page as it is seen, 3 x 3.

    A page of which it is not known what moved it is taken to show everything at the same shares of its width and height.
    """
    found = known(example, cells)
    return np.eye(3) if found is None else found


@functools.lru_cache(maxsize=1)  # losses ask for the same record
def known(example: Example, cells: Cells) -> Matrix | None:
    """The same where it is known: what scaled and turned the page is drawn again from the record's seed."""
    width, height = cells[1] * CELL[example.codec][0], cells[0] * CELL[example.codec][1]
    seen = example.prompt.pages[0].size
    damage = example.augmentation
    level = None if damage is None else current().made("augmenter", damage.name, damage.options)
    if damage is not None and isinstance(level, Custom):
        draw = Draw.of(np.random.default_rng([page_seed(example.seed, damage.label), 0]))
        warp = geometry(level, (width, height), draw)
        if warp is not None and warp.size == seen:
            whole: Matrix = np.diag([1 / seen[0], 1 / seen[1], 1]) @ warp.matrix @ np.diag([width, height, 1.0])
            return whole
    return np.eye(3) if seen == (width, height) else None


def _moved(matrix: Matrix, x: Matrix, y: Matrix) -> Matrix:
    points = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    moved: Matrix = (points[:2] / points[2]).reshape(2, *x.shape)
    return moved


def _whole(share: Matrix, count: int) -> Places:
    return np.clip((share * count).astype(np.int64), 0, count - 1)


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
