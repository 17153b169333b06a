"""Hook specifications, the records that hooks return, and the manager that finds plugins."""

from ctxbench.plugin.failures import PluginFailure, describe
from ctxbench.plugin.guard import plugin_work
from ctxbench.plugin.kinds import KINDS, Kind, Registered
from ctxbench.plugin.manager import PluginManager
from ctxbench.plugin.origins import FIRST_PARTY, Origin
from ctxbench.plugin.output import plugin_output_to_stderr
from ctxbench.plugin.registration import (
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
    "FIRST_PARTY",
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
    "describe",
    "hookimpl",
    "plugin_output_to_stderr",
    "plugin_work",
]
