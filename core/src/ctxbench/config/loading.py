"""Reads a config from a file, a text, a mapping or a command line, with one line for every mistake."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ctxbench.config.experiment import ExperimentConfig
from ctxbench.config.values import Section
from ctxbench.errors import ConfigError
from ctxbench.options import fail
from ctxbench.suggest import nearest

_COMMA = re.compile(r",(?![^\[{]*[\]}])")  # not one inside brackets

MAX_BYTES = 1_000_000


def read_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML text holds.

    Raises:
        ConfigError: not YAML, a tag, a duplicate key, too large or too deep, or not a mapping; the message begins with ``source``.
    """
    from ctxbench.config.safe_yaml import mapping  # PyYAML: many commands read none

    if len(text) > MAX_BYTES:
        raise ConfigError(f"{source}: larger than {MAX_BYTES:,} characters; this is no config")
    return mapping(text, source)


def read_text(path: Path) -> str:
    """The UTF-8 text of a file.

    Raises:
        ConfigError: it does not exist, is a folder, cannot be read, or is not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes; this is no config")
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``data`` with ``key.path=value`` applied; the values are read as YAML, and list items are named by index (``codecs.0.cell=5``)."""
    result = copy.deepcopy(data)
    for override in overrides:
        key, equals, raw = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override}: expected key.path=value")
        value = read_yaml(f"value: {raw}", f"--set {override}").get("value")
        _assign(result, key.strip().split("."), value, f"--set {override}")
    return result


def _assign(target: Any, keys: list[str], value: Any, source: str) -> None:
    *parents, last = keys
    for key in parents:
        place = _index(target, key, source) if isinstance(target, list) else key
        if isinstance(target, dict):
            target.setdefault(key, {})
        if isinstance(target[place], str):  # a component given by its name alone gains options
            target[place] = {"name": target[place]}
        target = target[place]
        if not isinstance(target, (dict, list)):
            raise ConfigError(f"{source}: {key!r} holds {target!r}, which has no keys")
    target[_index(target, last, source) if isinstance(target, list) else last] = value


def _index(target: list[Any], key: str, source: str) -> int:
    if not key.isdigit() or int(key) >= len(target):
        raise ConfigError(f"{source}: {key!r} is no index into a list of {len(target)}")
    return int(key)


def make_config(data: Mapping[str, Any], source: str = "config") -> ExperimentConfig:
    """The experiment that a mapping describes.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type or range, or two components under one label.
    """
    try:
        config: ExperimentConfig = Section(ExperimentConfig).parse(data, "")
        _check_labels(config)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    return config


def _check_labels(config: ExperimentConfig) -> None:
    for key in ("models", "tasks", "codecs", "augmentations", "metrics"):
        seen: dict[str, int] = {}
        for i, component in enumerate(getattr(config, key)):
            if component.label in seen:
                raise fail(
                    f"{key}[{i}]",
                    f"{component.label!r} is also the label of {key}[{seen[component.label]}]; give one a 'label' of its own "
                    f"(on a command line: {component.name}:label=NAME,...)",
                )
            seen[component.label] = i
    for key in ("buckets", "adapters"):
        values = getattr(config, key)
        for i, value in enumerate(values):
            if value in values[:i]:
                raise fail(f"{key}[{i}]", f"{value!r} is given twice")


def load_config(path: Path | str, overrides: Iterable[str] = ()) -> ExperimentConfig:
    """Read an experiment from a YAML file, with ``key.path=value`` overrides applied."""
    return parse_config(read_text(Path(path)), str(path), overrides)


def parse_config(text: str, source: str, overrides: Iterable[str] = ()) -> ExperimentConfig:
    """The experiment that a YAML text describes. Overrides see the complete config, defaults included."""
    config = make_config(read_yaml(text, source), source)
    overrides = list(overrides)
    return make_config(apply_overrides(config.plain(), overrides), source) if overrides else config


def parse_component(text: str) -> str | dict[str, Any]:
    """``name`` or ``name:key=value,key=value`` from a command line, as a config would hold it."""
    name, colon, rest = text.partition(":")
    if not colon or "=" not in rest:
        return text
    options: dict[str, Any] = {"name": name}
    for pair in _COMMA.split(rest):
        key, equals, raw = pair.partition("=")
        if not equals:
            raise ConfigError(f"{text!r}: expected {name}:key=value,key=value{nearest(pair, ())}")
        options[key.strip()] = read_yaml(f"value: {raw}", text).get("value")
    return options
