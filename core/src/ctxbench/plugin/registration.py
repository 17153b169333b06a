"""The small records that hooks return: a name, a one-line summary, and the factory that makes the component."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any, ClassVar

import attrs

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


def _check_name(record: ComponentRecord, attribute: attrs.Attribute[str], value: str) -> None:
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(f"{type(record).__name__}: name {value!r} must be lower-case letters, digits, '_', '-' or '.'")


def _check_factory(record: ComponentRecord, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, str):
        if value.count(":") != 1:
            raise ValueError(f"{type(record).__name__} {record.name!r}: factory {value!r} must read 'module:attribute'")
    elif not callable(value):
        raise TypeError(f"{type(record).__name__} {record.name!r}: factory must be callable or 'module:attribute', not {value!r}")


@attrs.frozen
class ComponentRecord:
    """One component that a plugin offers.

    Attributes:
        name: what people type in a config.
        summary: one line for ``ctxbench plugins``.
        factory: called with the options as keyword arguments; either the callable itself or ``"module:attribute"``, which is
            imported only when the component is made (use it when the module imports something heavy).
        secrets: names of options that nobody may see (passwords, keys). An attrs class may mark the field itself: ``ctxbench.secret()``.
    """

    kind: ClassVar[str] = "component"

    name: str = attrs.field(validator=_check_name)
    summary: str = attrs.field(validator=attrs.validators.instance_of(str))
    factory: Callable[..., Any] | str = attrs.field(validator=_check_factory)
    secrets: tuple[str, ...] = attrs.field(default=(), converter=tuple, kw_only=True)

    def load(self) -> Callable[..., Any]:
        """The factory itself, imported if it was named by a string."""
        if isinstance(self.factory, str):
            module, attribute = self.factory.split(":")
            factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
            return factory
        return self.factory


class CodecRecord(ComponentRecord):
    """A codec; the factory makes a :class:`ctxbench.Codec`."""

    kind = "codec"


class AugmenterRecord(ComponentRecord):
    """An augmenter; the factory makes a :class:`ctxbench.Augmenter`."""

    kind = "augmenter"


class TaskRecord(ComponentRecord):
    """A task; the factory makes a :class:`ctxbench.Task`."""

    kind = "task"


class MetricRecord(ComponentRecord):
    """A metric; the factory makes a :class:`ctxbench.Metric`."""

    kind = "metric"


class ModelRecord(ComponentRecord):
    """A model; the factory makes a :class:`ctxbench.Model`.

    A config may write ``name:reference`` (``hf:Qwen/Qwen2-VL-2B-Instruct``); the factory then gets ``reference="..."``. It gets
    ``adapter="..."`` if the config names an adapter. A factory without such a parameter takes none.
    """

    kind = "model"


class TokenCounterRecord(ComponentRecord):
    """A model family's counting rules; the factory makes a :class:`ctxbench.TokenCounter`."""

    kind = "token_counter"


class ExecutorRecord(ComponentRecord):
    """An executor; the factory makes a :class:`ctxbench.Executor`."""

    kind = "executor"
