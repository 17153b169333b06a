"""Families that cut a page into square tiles, each of which costs the same. Their text tokenizers are not at hand."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import Integer
from ctxbench_qwen_tokens.checks import check_pixels

_LARGEST_SIDE = 4096


def _scaled(width: int, height: int, longest: int) -> tuple[int, int]:
    """Size after ``Idefics3ImageProcessor.resize``: the longer side becomes ``longest``, the other even, and both at most 4,096 px."""
    ratio = width / height
    if width >= height:
        w = longest
        h = math.floor(w / ratio)
        h += h % 2
    else:
        h = longest
        w = math.floor(h * ratio)
        w += w % 2
    w, h = max(w, 1), max(h, 1)
    ratio = w / h
    if w >= h and w > _LARGEST_SIDE:
        w, h = _LARGEST_SIDE, math.floor(_LARGEST_SIDE / ratio)
    elif h > w and h > _LARGEST_SIDE:
        w, h = math.floor(_LARGEST_SIDE * ratio), _LARGEST_SIDE
    return max(w, 1), max(h, 1)


@attrs.frozen
class Idefics3(TokenCounter):
    """The longer side is scaled to ``longest_edge``, both sides up to whole tiles, and an overview of one tile is added.

    ``<fake_token_around_image>`` stands before each tile and at the end, ``<row_r_col_c>`` or ``<global-img>`` before its visual tokens,
    and a line break after each row of tiles (two after the last, which are one token). A page of one tile has three markers. A page
    loses pixels where the tiles together are smaller than it is. Tokenizers have a token of their own for at most 6 x 6 tiles.

    Attributes:
        tile: side of a tile in pixels.
        tile_tokens: visual tokens of a tile.
        longest_edge: px that the longer side is scaled to, the processor's ``size``; a tile at least.
        source: where the rule comes from.
    """

    version = 2

    tile: int
    tile_tokens: int
    source: str
    longest_edge: int = option(Integer(1))

    @longest_edge.validator
    def _check(self, attribute: attrs.Attribute[int], value: object) -> None:
        check_pixels(attribute.name, value, self.tile)

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"longest_edge": self.longest_edge}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens of all tiles and of the overview, which a page of a single tile does not have."""
        w, h = _scaled(width, height, self.longest_edge)
        ratio = w / h
        if w >= h:
            columns = math.ceil(w / self.tile)
            rows = math.ceil(math.floor(columns * self.tile / ratio) / self.tile)
        else:
            rows = math.ceil(h / self.tile)
            columns = math.ceil(math.floor(rows * self.tile * ratio) / self.tile)
        columns, rows = max(columns, 1), max(rows, 1)
        tiles = columns * rows
        images = tiles + 1 if tiles > 1 else 1
        markers = 2 * tiles + rows + 3 if tiles > 1 else 3
        w, h = columns * self.tile, rows * self.tile
        return ImageTokens(self.tile_tokens * images, w, h, w < width or h < height, markers)


def nearest_grid(width: int, height: int, tile: int, least: int, most: int) -> tuple[int, int]:
    """(columns, rows) of the grid of ``least`` to ``most`` tiles that is nearest to the page in shape.

    Of grids of one shape it is the largest that the page fills by more than half; ``tile`` is the side of a tile in pixels. The rule is
    ``get_optimal_tiled_canvas`` of transformers' GOT-OCR 2 image processor, which InternVL's processor uses.
    """
    grids = [(c, r) for c in range(1, most + 1) for r in range(1, most // c + 1) if c * r >= least]
    best, nearest = (1, 1), math.inf
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        difference = abs(width / height - columns / rows)
        if difference < nearest:
            best, nearest = (columns, rows), difference
        elif difference == nearest and width * height > 0.5 * tile**2 * columns * rows:
            best = (columns, rows)
    return best


@attrs.frozen
class InternVL(TokenCounter):
    """The page is stretched onto the grid of at most ``max_tiles`` tiles whose shape is nearest to its own, and an overview is added.

    Each tile of 448 px is 256 visual tokens; ``<img>`` and ``</img>`` stand around them all. A page loses pixels where the grid is
    narrower or lower than it is.

    Attributes:
        max_tiles: the most tiles of a page beside its overview, the processor's ``max_patches``.
    """

    version = 2

    source: str = attrs.field(
        default="Chen et al., How Far Are We to GPT-4V? (2024), section 3.3; InternVLProcessor and GotOcr2ImageProcessor of transformers",
        init=False,
    )
    max_tiles: int = option(Integer(1, 64), 12)

    TILE = 448
    TOKENS = 256
    MARKERS = 2

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"max_tiles": self.max_tiles}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens of all tiles and of the overview, which a page of a single tile does not have."""
        columns, rows = nearest_grid(width, height, self.TILE, 1, self.max_tiles)
        tiles = columns * rows
        w, h = columns * self.TILE, rows * self.TILE
        return ImageTokens(self.TOKENS * (tiles + 1 if tiles > 1 else 1), w, h, w < width or h < height, self.MARKERS)


def idefics3(longest_edge: int = 4 * 364) -> Idefics3:
    """Idefics3: tiles of 364 px, 26 x 26 patches of which a pixel shuffle by 2 makes 13 x 13 tokens."""
    source = "Laurencon et al., Building and better understanding vision-language models (2024); Idefics3ImageProcessor of transformers"
    return Idefics3(364, 169, source, longest_edge)


def smolvlm(longest_edge: int = 4 * 512) -> Idefics3:
    """SmolVLM 256M and 500M: tiles of 512 px, 32 x 32 patches of which a pixel shuffle by 4 makes 8 x 8 tokens."""
    source = "Marafioti et al., SmolVLM (2025), section 2; preprocessor_config.json of HuggingFaceTB/SmolVLM-256M-Instruct"
    return Idefics3(512, 64, source, longest_edge)


def internvl2(max_tiles: int = 12) -> InternVL:
    """InternVL 2 and later; ``max_tiles`` is its processor's ``max_patches``."""
    return InternVL(max_tiles=max_tiles)
