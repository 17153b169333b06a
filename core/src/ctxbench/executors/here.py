"""Runs jobs in the calling process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ctxbench.errors import message_of
from ctxbench.executors.stages import reporting, too_long
from ctxbench.interfaces import Lost
from ctxbench.time_limit import TimeLimit, alarm_clock


def run_here(function: Callable[[Any], Any], jobs: Iterable[Any], limits: Mapping[str, float]) -> Iterator[Any]:
    """Yield the result of each job. ``limits`` are seconds for each stage that has a limit.

    Raises:
        KeyboardInterrupt: the user's or the function's own: here nothing tells them apart.
    """
    for job in jobs:
        yield _outcome(function, job, limits)


def _outcome(function: Callable[[Any], Any], job: Any, limits: Mapping[str, float]) -> Any:
    current = ""
    set_alarm: Callable[[float | None, str], None] | None = None

    def report(stage: str) -> None:
        nonlocal current
        current = stage
        if set_alarm is not None:
            set_alarm(limits.get(stage), too_long(stage, limits) if stage in limits else "")

    try:
        with reporting(report):
            if not limits:
                return function(job)
            with alarm_clock() as set_alarm:
                return function(job)
    except KeyboardInterrupt:
        raise
    except TimeLimit as error:
        return Lost(job, current, "TimeLimit", str(error))
    except BaseException as error:
        return Lost(job, current, type(error).__name__, message_of(error))
