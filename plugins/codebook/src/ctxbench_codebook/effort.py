"""What reading a picture may cost: it may hold many frames and headers that lead nowhere."""

from __future__ import annotations

import attrs

MOST_HEADERS = 800
MOST_DECISIONS = 6_000_000
"""Views that are searched for a header in one picture, and decisions on cells after which a further attempt is made only if the last one
was better than the one before. A page of 980 px with cells of 2 px has 230,000 cells; what is allowed takes a few seconds."""


@attrs.define
class Effort:
    """What is left of it.

    Attributes:
        headers: how many more views may be searched for a header.
        cells: how many more decisions on cells may be made.
    """

    headers: int = MOST_HEADERS
    cells: int = MOST_DECISIONS

    @property
    def spent(self) -> bool:
        """Nothing more may be tried."""
        return self.headers <= 0 or self.cells <= 0
