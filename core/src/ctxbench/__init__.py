"""ctxbench measures what it costs and what it breaks to put a long text context into images for a vision-language model."""

from ctxbench.errors import (
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
from ctxbench.interfaces import Augmenter, Codec, Component, Executor, Metric, Model, Task, TokenCounter
from ctxbench.plugin import (
    AugmenterRecord,
    CodecRecord,
    ExecutorRecord,
    MetricRecord,
    ModelRecord,
    TaskRecord,
    TokenCounterRecord,
    hookimpl,
)
from ctxbench.records import Carrier, Channel, ImageTokens, Prompt, Reading, Sample, Scores, TokenUsage, require_text
from ctxbench.registry import Registry, load_plugins
from ctxbench.seeds import canonical_json, derive_seed, stable_hash

__version__ = "0.1.0"

__all__ = [
    "Augmenter",
    "AugmenterRecord",
    "CapacityError",
    "Carrier",
    "Channel",
    "Codec",
    "CodecRecord",
    "Component",
    "ConfigError",
    "CtxbenchError",
    "DecodeError",
    "EncodeError",
    "Executor",
    "ExecutorRecord",
    "ImageTokens",
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
    "require_text",
    "stable_hash",
]
