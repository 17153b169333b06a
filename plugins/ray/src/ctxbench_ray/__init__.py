"""ctxbench on a Ray cluster: the CPU stages, and models, on many machines."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import ExecutorRecord, hookimpl

__version__ = "0.1.0"


@hookimpl
def ctxbench_executors() -> Iterable[ExecutorRecord]:
    """The executor ``ray``."""
    yield ExecutorRecord("ray", "Workers and models on a Ray cluster, or on a Ray of the run's own.", "ctxbench_ray.executor:RayExecutor")
