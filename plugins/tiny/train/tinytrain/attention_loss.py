"""Where a model looks while it copies from a page.

The base has heads that look at the visual token of the character that is written next; which ones depends on the character's place in its
tile. A code has words in a square where print has four characters in a tile, and an adapter whose heads are told to look at a word's
square as they look at a character's tile learns in minutes to find its place on a page. Left alone it counts places, which ends with the
first row of squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from tinytrain import pages
from tinytrain.batches import Example, collate, first_tile

COLUMNS = 12


@attrs.frozen
class Head:
    """A head that looks at what is written next, where that stands at one of ``places`` in its tile."""

    layer: int
    head: int
    places: tuple[int, ...]


@torch.no_grad()
def looking_heads(model: Any, examples: list[Example], least: float = 0.8) -> list[Head]:
    """The heads of a base that give on average ``least`` of their attention to the tile that the next character of a copied page is on.

    ``examples``: each the copy of a line without a break that ``render`` has drawn on a page, ``COLUMNS`` tiles wide.
    """
    attentions = model(**collate(examples), output_attentions=True).attentions
    rows = torch.tensor([row for i, example in enumerate(examples) for row in _printed_rows(i, example)])
    found = []
    for layer, share in enumerate(attentions):
        means = torch.stack([share[i, :, position, tile].mean(0) for i, position, _, tile in (rows[rows[:, 2] == p].T for p in range(4))])
        for head, some in enumerate((means >= least).T.tolist()):
            if any(some):
                found.append(Head(layer, head, tuple(p for p in range(4) if some[p])))
    return found


def _printed_rows(i: int, example: Example) -> list[tuple[int, int, int, int]]:
    line = COLUMNS * pages.GLYPHS_A_TILE - 1
    start, tile = len(example.prompt_ids()) - 1, first_tile(example)
    places = [divmod(j, line) for j in range(len(example.answer))]
    glyphs = pages.GLYPHS_A_TILE
    return [(i, start + j, column % glyphs, tile + row * COLUMNS + column // glyphs) for j, (row, column) in enumerate(places)]


def word_rows(examples: list[Example]) -> torch.Tensor:
    """Where the words of answers stand on their pages, for those that are learned.

    Rows (example, position in the sequence from which the word is written, its place in its square, position of the square's visual token).
    Places are counted as a tile's characters are: of eight words in a square, two share each.
    """
    rows = []
    for i, example in enumerate(examples):
        if example.places:
            start, tile = len(example.prompt_ids()) - 1, first_tile(example)
            words, where = example.pages[0].words, example.pages[0].where
            for j, place in list(enumerate(example.places))[example.given :]:
                square, inside = divmod(place, words)
                shown = square if where is None else int(where[square])
                rows.append((i, start + j, inside * pages.GLYPHS_A_TILE // words, tile + shown))
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 4)


def look_loss(attentions: tuple[torch.Tensor, ...], rows: torch.Tensor, heads: Sequence[Head]) -> torch.Tensor:
    """Mean over the heads of minus the logarithm (nats) of the attention that they give to where they are to look."""
    losses = []
    for head in heads:
        example, position, _, tile = rows[torch.isin(rows[:, 2], torch.tensor(head.places))].T
        if len(example):
            losses.append(-attentions[head.layer][example, head.head, position, tile].float().clamp_min(1e-6).log().mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())
