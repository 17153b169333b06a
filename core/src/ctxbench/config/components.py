"""A component as a config names it."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen
class ComponentConfig:
    """A component's name, the label that results show, and its options."""

    name: str
    label: str
    options: dict[str, Any] = attrs.field(factory=dict)

    def plain(self) -> str | dict[str, Any]:
        """As it would be written in YAML."""
        if not self.options and self.label == self.name:
            return self.name
        label = {} if self.label == self.name else {"label": self.label}
        return {"name": self.name, **label, **self.options}


def named(name: str, label: str | None = None, **options: Any) -> ComponentConfig:
    """``named("render", font_size=12)``: a component for a config that is written in Python."""
    return ComponentConfig(name, label or name, options)
