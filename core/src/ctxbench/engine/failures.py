"""How an exception in a stage of a trial becomes an error row."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from ctxbench.config import LimitConfig
from ctxbench.errors import message_of
from ctxbench.executors import report_stage
from ctxbench.results import Stage
from ctxbench.time_limit import TimeUp, time_limit

T = TypeVar("T")


@attrs.frozen
class Failure:
    """An error of one stage: the stage, the type of the exception and its message."""

    stage: Stage
    type: str
    message: str

    @classmethod
    def of(cls, stage: Stage, error: BaseException) -> Failure:
        """The failure that an exception stands for."""
        return cls(stage, type(error).__name__, message_of(error))


class StageError(Exception):
    """Raised by a stage that failed; holds the :class:`Failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def staged(stage: Stage, function: Callable[[], T]) -> tuple[T, float]:
    """The value of ``function`` and its wall time in seconds.

    Raises:
        StageError: it raised, or tried to end the program; only a KeyboardInterrupt and the alarm of a time limit pass.
    """
    report_stage(stage)
    start = time.perf_counter()
    try:
        return function(), time.perf_counter() - start
    except (KeyboardInterrupt, TimeUp):
        raise
    except BaseException as error:
        raise StageError(Failure.of(stage, error)) from error


@contextlib.contextmanager
def limited(limits: LimitConfig, stage: Stage, times: int = 1) -> Iterator[None]:
    """Stop the block if it takes longer than the stage's limit, ``times`` over.

    Raises:
        TimeLimit: it did.
    """
    seconds = limits.of(stage)
    if not seconds:
        yield
        return
    total = seconds * times
    with time_limit(total, f"{stage} took longer than {total:g} s (run.limits.{stage})"):
        yield
