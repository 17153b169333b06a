"""ctxbench task: find needles in a haystack."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TaskRecord, hookimpl


@hookimpl
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """The needle task."""
    yield TaskRecord("needle", "Find facts that are hidden in prose.", "ctxbench_needle.task:NeedleTask")
