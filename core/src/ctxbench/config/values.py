"""Values that only configs have: buckets, shards, components and sections. The others are in :mod:`ctxbench.options`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ctxbench.config.components import ComponentConfig
from ctxbench.errors import ConfigError
from ctxbench.options import Integer, Number, String, Value, fail
from ctxbench.shards import Shard
from ctxbench.suggest import nearest


@attrs.frozen
class Bucket(Value):
    """A context length in tokens, at least 1; null or ``none``, which becomes 0, for contexts of whatever length they have."""

    @property
    def words(self) -> str:
        return "a whole number at least 1, or null"

    def parse(self, value: Any, path: str) -> int:
        return 0 if value is None or value == "none" else Integer(1).parse(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Integer(1).schema(), {"enum": [None, "none"]}]}


@attrs.frozen
class Samples(Value):
    """How many samples, at least 1; ``all``, which becomes 0, for each that there is."""

    @property
    def words(self) -> str:
        return "a whole number at least 1, or all"

    def parse(self, value: Any, path: str) -> int:
        return 0 if value == "all" else Integer(1).parse(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Integer(1).schema(), {"const": "all"}]}


POSITIVE = Number(above=0)
"""A number above zero, whole or not."""


@attrs.frozen
class ShardOf(Value):
    """A part of a plan: ``3/16``."""

    @property
    def words(self) -> str:
        return "a shard such as 3/16"

    def parse(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, path)
        try:
            return str(Shard.parse(value))
        except ConfigError as error:
            raise fail(path, str(error)) from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d+/\d+$"}


@attrs.frozen
class Device(Value):
    """Where a model computes: ``cpu``, ``cuda:1``; a number, written as such or as text, is that of a CUDA device."""

    @property
    def words(self) -> str:
        return "a device such as 0, cuda:1 or cpu"

    def parse(self, value: Any, path: str) -> str:
        device = "" if isinstance(value, bool) or not isinstance(value, (int, str)) else str(value).strip()
        if not re.fullmatch(r"[0-9]+|[a-z]+(:[0-9]+)?", device):
            raise self.wrong(value, path)
        return f"cuda:{int(device)}" if device.isdigit() else device

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Integer(0).schema(), {"type": "string", "pattern": "^([0-9]+|[a-z]+(:[0-9]+)?)$"}]}


@attrs.frozen
class Component(Value):
    """A component: its name, or a mapping of ``name``, an optional ``label`` and the component's own options."""

    kind: str

    @property
    def words(self) -> str:
        return f"the name of a {self.kind} or a mapping with 'name'"

    def parse(self, value: Any, path: str) -> ComponentConfig:
        if isinstance(value, str):
            return ComponentConfig(value, value, {})
        if not isinstance(value, Mapping):
            raise self.wrong(value, path)
        options = {str(key): item for key, item in value.items()}
        if "name" not in options:
            raise fail(path, f"a {self.kind} needs a 'name'")
        name = String().parse(options.pop("name"), f"{path}.name")
        label = String().parse(options.pop("label", name), f"{path}.label")
        return ComponentConfig(name, label, options)

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.kind}"}


@attrs.frozen
class Section(Value):
    """A mapping that becomes an attrs class whose fields were made by :func:`setting`."""

    cls: type[Any]

    @property
    def words(self) -> str:
        return "a mapping"

    def parse(self, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise self.wrong(value, path)
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
