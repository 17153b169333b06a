"""Puts what arrives in any order back into the order of the plan, so that batches do not depend on which worker was faster."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

LATE = 64
"""Items that wait for a slow one before it loses its place: batches follow the plan, but not at the price of memory."""


@attrs.define
class InOrder(Generic[T]):
    """Items by number, from 0, given back in this order. One that is late is given back as soon as it arrives."""

    _early: dict[int, T] = attrs.field(factory=dict, init=False)
    _following: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._early)

    def add(self, number: int, item: T) -> None:
        """An item has arrived."""
        self._early[number] = item

    def ready(self, *, all_there: bool = False) -> bool:
        """Whether there is an item whose turn it is. ``all_there``: no more will arrive, so nobody waits for those that are missing."""
        if not self._early:
            return False
        return all_there or len(self._early) > LATE or min(self._early) <= self._following

    def take(self) -> T:
        """The item with the lowest number."""
        number = min(self._early)
        self._following = max(self._following, number + 1)
        return self._early.pop(number)
