"""ctxbench task: give a JSON document back."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TaskRecord, hookimpl


@hookimpl
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """The json_restore task."""
    yield TaskRecord("json_restore", "Give a JSON document back exactly.", "ctxbench_json_restore.task:JsonRestore")
