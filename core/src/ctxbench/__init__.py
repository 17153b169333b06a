"""ctxbench measures what it costs and what it breaks to put a long text context into images for a vision-language model.

Public, and described in docs/api.md, are this package and its modules ``config``, ``contamination``, ``engine``, ``executors``, ``files``,
``images``, ``interfaces``, ``interrupts``, ``options``, ``outcome``, ``pipeline``, ``plugin``, ``prompts``, ``records``, ``remote``,
``replicas``, ``results``, ``session``, ``shards``, ``statistics``, ``store``, ``store.card``, ``store.every_eval_ever``,
``store.export``, ``store.formats``, ``store.merge``, ``store.remote``, ``store.snapshot``, ``store.trackers``, ``store.verify``,
``testing``, ``testing.checking``, ``texts``
and ``tokens``: the names in their ``__all__``. Every other module is private, whatever its name, and may change in any release.
"""

from typing import TYPE_CHECKING, Any

from ctxbench.errors import (
    BudgetReached,
    CapacityError,
    ConfigError,
    CtxbenchError,
    DecodeError,
    EncodeError,
    ModelError,
    PluginError,
    QueryError,
    SampleError,
    StoreError,
    UsageError,
)
from ctxbench.hints import plain_text_hint
from ctxbench.interfaces import Augmenter, Codec, Component, Executor, Lost, Metric, Model, Task, TokenCounter, secret
from ctxbench.options import option
from ctxbench.plugin import (
    AugmenterRecord,
    CodecRecord,
    ComponentRecord,
    ExecutorRecord,
    MetricRecord,
    ModelRecord,
    TaskRecord,
    TokenCounterRecord,
    hookimpl,
)
from ctxbench.records import Carrier, Channel, ChannelAnswer, ImageTokens, Prompt, Reading, Sample, Scores, TokenUsage, require_text
from ctxbench.registry import Registry, load_plugins
from ctxbench.seeds import canonical_json, derive_seed, stable_hash
from ctxbench.suggest import nearest

if TYPE_CHECKING:
    from ctxbench.engine import run
    from ctxbench.store import Store

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``run`` and ``Store`` bring DuckDB and Arrow with them, so they are imported when first asked for."""
    if name == "run":
        from ctxbench.engine import run

        return run
    if name == "Store":
        from ctxbench.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Augmenter",
    "AugmenterRecord",
    "BudgetReached",
    "CapacityError",
    "Carrier",
    "Channel",
    "ChannelAnswer",
    "Codec",
    "CodecRecord",
    "Component",
    "ComponentRecord",
    "ConfigError",
    "CtxbenchError",
    "DecodeError",
    "EncodeError",
    "Executor",
    "ExecutorRecord",
    "ImageTokens",
    "Lost",
    "Metric",
    "MetricRecord",
    "Model",
    "ModelError",
    "ModelRecord",
    "PluginError",
    "Prompt",
    "QueryError",
    "Reading",
    "Registry",
    "Sample",
    "SampleError",
    "Scores",
    "Store",
    "StoreError",
    "Task",
    "TaskRecord",
    "TokenCounter",
    "TokenCounterRecord",
    "TokenUsage",
    "UsageError",
    "canonical_json",
    "derive_seed",
    "hookimpl",
    "load_plugins",
    "nearest",
    "option",
    "plain_text_hint",
    "require_text",
    "run",
    "secret",
    "stable_hash",
]
