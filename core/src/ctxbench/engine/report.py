"""Counts of a run: trials planned, found in the store, finished, and failed."""

from __future__ import annotations

import attrs


@attrs.define
class RunReport:
    """Counts of a run: trials planned, found in the store, finished, and failed.

    Attributes:
        planned: all trials of the config. ``stored_before``: those that an earlier run had finished; ``stored_errors`` of them as errors.
        finished: trials that this run stored; ``errors`` of them as errors.
        rescored: stored trials that gained scores. ``filled``: stored trials that gained the channel's verdict.
        spent_usd: what this run paid for readings, in US dollars; ``None`` if no model of it has a price.
        idle_share: the share of the time from the first prompt that was read to the last answer in which no model worked; ``None`` if none
            read, or only such that take no time. With replicas of a model it is the mean over them.
        notes: what a user should know of it, one line each.
        cells: ids of the cells of the plan, as in the column ``cell``.
        config_hash: of the part of the config that decides results, without secrets.
    """

    planned: int = 0
    stored_before: int = 0
    stored_errors: int = 0
    finished: int = 0
    errors: int = 0
    rescored: int = 0
    filled: int = 0
    spent_usd: float | None = None
    idle_share: float | None = None
    notes: list[str] = attrs.field(factory=list)
    cells: list[str] = attrs.field(factory=list)
    config_hash: str = ""

    def clear(self) -> None:
        """Forget an earlier run."""
        fresh = RunReport()
        for field in attrs.fields(RunReport):
            setattr(self, field.name, getattr(fresh, field.name))

    @property
    def all_failed(self) -> bool:
        """True if there is not one answer: every trial of the plan, of this run or stored, is an error."""
        total = self.finished + self.stored_before
        return total > 0 and self.errors + self.stored_errors == total
