"""What the configs of ``data build`` and ``train`` share: numbers, and reading a config file into an attrs class."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from ctxbench import ConfigError, options
from ctxbench.config import ComponentConfig, Section, apply_overrides, read_text, read_yaml
from ctxbench_transformers import templates

T = TypeVar("T")


@attrs.frozen
class Number(options.Number):
    """A finite number in [``minimum``, ``maximum``] as a float. ``2e-4``, which YAML 1.1 takes for text, is a number here."""

    def parse(self, value: Any, path: str) -> float:
        """The number as a float."""
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)
        return float(super().parse(value, path))


@attrs.frozen
class ChatTemplate(options.String):
    """A chat template: the file that holds it, or its text, which is what it becomes."""

    def parse(self, value: Any, path: str) -> str:
        """The text."""
        try:
            return str(templates.text_of(super().parse(value, path)))
        except ValueError as error:
            raise ConfigError(str(error)) from None


def load(cls: type[T], path: Path | str, overrides: Iterable[str] = ()) -> T:
    """The config in a YAML file as an instance of ``cls``, with ``key.path=value`` overrides applied.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest known one), or a value of the wrong type or range.
    """
    return make(cls, read_yaml(read_text(Path(path)), str(path)), str(path), overrides)


def make(cls: type[T], data: dict[str, Any], source: str = "config", overrides: Iterable[str] = ()) -> T:
    """The config that a mapping describes; see :func:`load`."""
    try:
        config: T = Section(cls).parse(data, "")
        overrides = list(overrides)
        return Section(cls).parse(apply_overrides(plain(config), overrides), "") if overrides else config
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def plain(value: Any) -> Any:
    """A config as lists, mappings and values: what its YAML would load to."""
    if isinstance(value, ComponentConfig):
        return value.plain()
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A config's values by their whole names: ``{"lora": {"r": 4}}`` becomes ``{"lora.r": 4}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found
