"""Shared memory in which each worker process notes the stage of its current job, for time limits and error messages."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

_COUNT = struct.Struct("=Q")
_STATE = struct.Struct("=Qd48s")
SLOT_BYTES = _COUNT.size + _STATE.size
"""Bytes of shared memory for each worker."""

_report: Callable[[str], None] | None = None


def report_stage(stage: str) -> None:
    """Say that this job goes on to ``stage`` now, or with an empty string that it is in no stage.

    Its time limit, if it has one, counts from here. Called by the function that an executor runs; without effect anywhere else.
    """
    if _report is not None:
        _report(stage)


@contextlib.contextmanager
def reporting(report: Callable[[str], None]) -> Iterator[None]:
    """Send what :func:`report_stage` is told to ``report`` while the block runs."""
    global _report
    before, _report = _report, report
    try:
        yield
    finally:
        _report = before


def too_long(stage: str, limits: Mapping[str, float]) -> str:
    """The message for a stage that exceeded its time limit."""
    return f"{stage} took longer than {limits[stage]:g} s (run.limits.{stage})"


@attrs.frozen
class State:
    """What a worker is doing: the number of its job (from 1), the stage, and when that began, by ``time.monotonic()``."""

    job: int
    stage: str
    since: float


class StageSlot:
    """One worker's state in memory that it shares with its parent. The worker alone writes; no lock, no system call.

    The counter before the state is odd while the state is being written, so a reader knows a torn state.
    """

    def __init__(self, memory: Any, index: int) -> None:
        self._memory = memory
        self._offset = index * SLOT_BYTES
        self._count = 0
        self._job = 0
        self.stage = ""

    def begin(self, job: int) -> None:
        """The worker begins its ``job``-th job."""
        self._job = job
        self.report("")

    def report(self, stage: str) -> None:
        """The worker's job goes on to ``stage``."""
        self.stage = stage
        name = stage.encode("utf-8", "replace")
        _COUNT.pack_into(self._memory, self._offset, self._count + 1)
        _STATE.pack_into(self._memory, self._offset + _COUNT.size, self._job, time.monotonic(), name)
        self._count += 2
        _COUNT.pack_into(self._memory, self._offset, self._count)

    def clear(self) -> None:
        """Forget the worker that had the slot before."""
        self._memory[self._offset : self._offset + SLOT_BYTES] = bytes(SLOT_BYTES)

    def read(self) -> State | None:
        """What the worker does, or ``None`` while it writes that."""
        before = _COUNT.unpack_from(self._memory, self._offset)[0]
        job, since, name = _STATE.unpack_from(self._memory, self._offset + _COUNT.size)
        after = _COUNT.unpack_from(self._memory, self._offset)[0]
        if before != after or before % 2:
            return None
        return State(job, name.rstrip(b"\0").decode("utf-8", "ignore"), since)
