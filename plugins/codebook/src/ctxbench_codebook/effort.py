"""What reading a picture may cost: it may hold many frames and headers that lead nowhere."""

from __future__ import annotations

import attrs

MOST_HEADERS = 800
MOST_BENDS = 4
MOST_DECISIONS = 6_000_000
"""Views that are searched for a header in one picture, straightened pictures that are looked at, and decisions on cells after which a
further attempt is made only if the last one was better than the one before. A page of 980 px with cells of 2 px has 230,000 cells; what is
allowed takes a few seconds."""


@attrs.define
class Effort:
    """What is left of it.

    Attributes:
        headers: how many more views may be searched for a header.
        bends: how many more pictures may be straightened.
        cells: how many more decisions on cells may be made.
    """

    headers: int = MOST_HEADERS
    bends: int = MOST_BENDS
    cells: int = MOST_DECISIONS

    @property
    def spent(self) -> bool:
        """Nothing more may be tried."""
        return self.headers <= 0 or self.cells <= 0

    def straighten(self) -> None:
        """Count a straightened picture. What was spent on bent sides was spent in vain: the first gets half of everything again."""
        if self.bends == MOST_BENDS:
            self.cells = max(self.cells, MOST_DECISIONS // 2)
        self.bends -= 1
