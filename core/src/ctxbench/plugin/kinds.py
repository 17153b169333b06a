"""The kinds of component, and where a component comes from."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench.interfaces import Augmenter, Codec, Executor, Metric, Model, Task, TokenCounter
from ctxbench.plugin import registration
from ctxbench.plugin.origins import Origin


@attrs.frozen
class Kind:
    """One kind of component: the hook that registers it, the record the hook yields, the interface the factory makes."""

    name: str
    hook: str
    record: type[registration.ComponentRecord]
    interface: type[Any]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("codec", "ctxbench_codecs", registration.CodecRecord, Codec),
        Kind("augmenter", "ctxbench_augmenters", registration.AugmenterRecord, Augmenter),
        Kind("task", "ctxbench_tasks", registration.TaskRecord, Task),
        Kind("metric", "ctxbench_metrics", registration.MetricRecord, Metric),
        Kind("model", "ctxbench_models", registration.ModelRecord, Model),
        Kind("token_counter", "ctxbench_token_counters", registration.TokenCounterRecord, TokenCounter),
        Kind("executor", "ctxbench_executors", registration.ExecutorRecord, Executor),
    )
}


@attrs.frozen
class Registered:
    """A component's record and where it comes from."""

    record: registration.ComponentRecord
    origin: Origin

    def __str__(self) -> str:
        o = self.origin
        return f"{self.record.kind} {self.record.name!r} of plugin {o.plugin!r} ({o.distribution} {o.version})"
