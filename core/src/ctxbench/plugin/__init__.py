"""Hook specifications, the records that hooks return, and the manager that finds plugins."""

from ctxbench.plugin.manager import KINDS, Kind, Origin, PluginFailure, PluginManager, Registered
from ctxbench.plugin.records import (
    AugmenterRecord,
    CodecRecord,
    ComponentRecord,
    ExecutorRecord,
    MetricRecord,
    ModelRecord,
    TaskRecord,
    TokenCounterRecord,
)
from ctxbench.plugin.spec import hookimpl

__all__ = [
    "KINDS",
    "AugmenterRecord",
    "CodecRecord",
    "ComponentRecord",
    "ExecutorRecord",
    "Kind",
    "MetricRecord",
    "ModelRecord",
    "Origin",
    "PluginFailure",
    "PluginManager",
    "Registered",
    "TaskRecord",
    "TokenCounterRecord",
    "hookimpl",
]
