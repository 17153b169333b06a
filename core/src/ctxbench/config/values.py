"""Typed values of a config: each parser checks a value, says where it is wrong, and knows its JSON Schema."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ctxbench.config.components import ComponentConfig
from ctxbench.errors import ConfigError
from ctxbench.registry import nearest
from ctxbench.shards import Shard


def fail(path: str, message: str) -> ConfigError:
    """The error for the value at ``path`` (``codecs[1].label``)."""
    return ConfigError(f"{path}: {message}" if path else message)


def show(value: object) -> str:
    """A value as an error message quotes it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Value(abc.ABC):
    """Checks one value."""

    @abc.abstractmethod
    def parse(self, value: Any, path: str) -> Any:
        """The checked value, or ConfigError naming ``path``."""

    @abc.abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what :meth:`parse` takes."""


@attrs.frozen
class Integer(Value):
    minimum: int | None = None
    maximum: int | None = None

    def parse(self, value: Any, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail(path, f"expected a whole number, got {show(value)}")
        if self.minimum is not None and value < self.minimum:
            raise fail(path, f"must be at least {self.minimum}, got {value}")
        if self.maximum is not None and value > self.maximum:
            raise fail(path, f"must be at most {self.maximum}, got {value}")
        return value

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer"} | {key: bound for key, bound in bounds.items() if bound is not None}


@attrs.frozen
class Bucket(Value):
    """A context length in tokens, at least 1; null or ``none``, which becomes 0, for contexts of whatever length they have."""

    def parse(self, value: Any, path: str) -> int:
        return 0 if value is None or value == "none" else Integer(1).parse(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Integer(1).schema(), {"enum": [None, "none"]}]}


@attrs.frozen
class Positive(Value):
    """A number above zero, whole or not."""

    def parse(self, value: Any, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise fail(path, f"expected a number, got {show(value)}")
        if not 0 < value < math.inf:
            raise fail(path, f"must be above 0, got {value}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": 0}


@attrs.frozen
class Boolean(Value):
    def parse(self, value: Any, path: str) -> bool:
        if not isinstance(value, bool):
            raise fail(path, f"expected true or false, got {show(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@attrs.frozen
class String(Value):
    choices: tuple[str, ...] = ()

    def parse(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise fail(path, f"expected text, got {show(value)}")
        if self.choices and value not in self.choices:
            raise fail(path, f"{value!r} is not allowed{nearest(value, self.choices)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)} if self.choices else {"type": "string"}


@attrs.frozen
class ShardOf(Value):
    """A part of a plan: ``3/16``."""

    def parse(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise fail(path, f"expected a shard such as 3/16, got {show(value)}")
        try:
            return str(Shard.parse(value))
        except ConfigError as error:
            raise fail(path, str(error)) from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d+/\d+$"}


@attrs.frozen
class Optional(Value):
    inner: Value

    def parse(self, value: Any, path: str) -> Any:
        return None if value is None else self.inner.parse(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.inner.schema(), {"type": "null"}]}


@attrs.frozen
class ListOf(Value):
    """A list; a single value stands for a list of one."""

    inner: Value
    minimum: int = 1

    def parse(self, value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            value = [value]
        if len(value) < self.minimum:
            raise fail(path, "the list is empty")
        return tuple(self.inner.parse(item, f"{path}[{i}]") for i, item in enumerate(value))

    def schema(self) -> dict[str, Any]:
        inner = self.inner.schema()
        return {"anyOf": [inner, {"type": "array", "items": inner, "minItems": self.minimum}]}


@attrs.frozen
class Component(Value):
    """A component: its name, or a mapping of ``name``, an optional ``label`` and the component's own options."""

    kind: str

    def parse(self, value: Any, path: str) -> ComponentConfig:
        if isinstance(value, str):
            return ComponentConfig(value, value, {})
        if not isinstance(value, Mapping):
            raise fail(path, f"expected the name of a {self.kind} or a mapping with 'name', got {show(value)}")
        options = {str(key): item for key, item in value.items()}
        if "name" not in options:
            raise fail(path, f"a {self.kind} needs a 'name'")
        name = String().parse(options.pop("name"), f"{path}.name")
        label = String().parse(options.pop("label", name), f"{path}.label")
        return ComponentConfig(name, label, options)

    def schema(self) -> dict[str, Any]:
        properties = {"name": {"type": "string"}, "label": {"type": "string"}}
        return {"anyOf": [{"type": "string"}, {"type": "object", "properties": properties, "required": ["name"]}]}


@attrs.frozen
class Section(Value):
    """A mapping that becomes an attrs class whose fields were made by :func:`setting`."""

    cls: type[Any]

    def parse(self, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise fail(path, f"expected a mapping, got {show(value)}")
        fields = attrs.fields_dict(self.cls)
        parsed = {}
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key not in fields:
                raise fail(where, f"unknown key {str(key)!r}{nearest(str(key), fields)}")
            parsed[key] = fields[key].metadata["value"].parse(item, where)
        return self.cls(**parsed)

    def schema(self) -> dict[str, Any]:
        properties = {}
        for field in attrs.fields(self.cls):
            properties[field.name] = field.metadata["value"].schema() | {"description": field.metadata["help"]}
        return {"type": "object", "properties": properties, "additionalProperties": False}


def setting(value: Value, help: str, default: Any = attrs.NOTHING, factory: Callable[[], Any] | None = None) -> Any:
    """An attrs field that a config can set."""
    metadata = {"value": value, "help": help}
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)
