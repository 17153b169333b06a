"""The JSON Schema of a config, for editors and other programs."""

from __future__ import annotations

from typing import Any

from ctxbench.config.experiment import ExperimentConfig
from ctxbench.config.values import Section
from ctxbench.errors import ConfigError
from ctxbench.plugin.kinds import KINDS
from ctxbench.registry import Registry, load_plugins


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """The schema (draft 2020-12) of an experiment config, the options of every installed component included.

    Args:
        registry: the components that a config may name; by default those of the installed plugins.
    """
    registry = registry or load_plugins()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ctxbench experiment",
        **Section(ExperimentConfig).schema(),
        "$defs": _definitions(registry),
    }


def _definitions(registry: Registry) -> dict[str, Any]:
    """What :meth:`ctxbench.config.Component.schema` refers to: every kind, and every component of it."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        names = registry.names(kind)
        short: list[dict[str, Any]] = [{"enum": names}]
        for name in names:
            found[f"{kind}.{name}"] = _component(registry, kind, name)
            if "reference" in found[f"{kind}.{name}"]["properties"]:
                short.append({"type": "string", "pattern": f"^{name}:."})
        found[kind] = {"anyOf": [*short, *({"$ref": f"#/$defs/{kind}.{name}"} for name in names)]}
    return found


def _component(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    """A component with options. One that cannot be loaded here may have any."""
    known: dict[str, Any] = {}
    required: list[str] = []
    unlimited = True
    try:
        options = registry.options(kind, name)
        known, required = options.schema()
        unlimited = options.open
    except ConfigError:
        pass
    own: dict[str, Any] = {"const": name}
    if kind == "model" and "reference" in known:  # the reference stands in the name
        own = {"type": "string", "pattern": f"^{name}(:.|$)"}
        required = [key for key in required if key != "reference"]
    return {
        "type": "object",
        "description": registry.find(kind, name).record.summary,
        "properties": {"name": own, "label": {"type": "string"}, **known},
        "required": ["name", *required],
        "additionalProperties": unlimited,
    }
