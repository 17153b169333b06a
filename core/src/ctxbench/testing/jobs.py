"""Jobs for executors: functions of a module, so that they can be pickled."""

from __future__ import annotations

import os
from pathlib import Path


def square(number: int) -> int:
    """The square."""
    return number * number


def process(number: int) -> tuple[int, int]:
    """(the number, the process that did the job)."""
    return number, os.getpid()


def mark(job: tuple[str, int]) -> int:
    """Leave a file in the folder that the job names: this job has run."""
    folder, number = job
    (Path(folder) / str(number)).touch()
    return number


def fail(job: tuple[int, bool]) -> int:
    """The job's number, or an exception that nobody expects."""
    number, deadly = job
    return number // (0 if deadly else 1)


def end_process(job: tuple[int, bool]) -> int:
    """The job's number, or the end of this process, as a segmentation fault or the kernel's out-of-memory killer would end it."""
    number, deadly = job
    if deadly:
        os._exit(9)
    return number
