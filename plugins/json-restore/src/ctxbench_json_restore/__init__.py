"""ctxbench task: give a JSON document back."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TaskRecord, hookimpl


@hookimpl
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """The task ``json_restore``."""
    yield TaskRecord("json_restore", "Output a generated JSON document exactly as it is.", "ctxbench_json_restore.task:JsonRestore")
