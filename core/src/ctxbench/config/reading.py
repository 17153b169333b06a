"""Reads a config from YAML, safely: no tags, no bombs, no duplicate keys, and one line for every mistake."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ctxbench.config.experiment import ExperimentConfig
from ctxbench.config.values import Section, fail
from ctxbench.errors import ConfigError
from ctxbench.registry import nearest

_COMMA = re.compile(r",(?![^\[{]*[\]}])")  # not one inside brackets

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, and merge keys (a few of them can stand for billions of entries)."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "merge keys ('<<') are not allowed", key_node.start_mark)
        super().flatten_mapping(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _check_size(value: Any) -> None:
    """Walk the value as if aliases were copies, and give up early: a small file can stand for billions of nodes."""
    stack, nodes = [(value, 0)], 0
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise ConfigError(f"holds more than {MAX_NODES:,} values once its aliases are expanded")
        if depth > MAX_DEPTH:
            raise ConfigError(f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, Mapping):
            stack.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list):
            stack.extend((child, depth + 1) for child in item)


def read_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML text holds.

    Raises:
        ConfigError: not YAML, a tag, a duplicate key, too large or too deep, or not a mapping; the message begins with ``source``.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{source}: larger than {MAX_BYTES:,} characters; this is no config")
    try:
        value = yaml.load(text, Loader=_Loader)
        _check_size(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigError(f"{source}:{place} {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{source}: is nested deeper than {MAX_DEPTH} levels") from None
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: expected 'key: value' lines, got {type(value).__name__}")
    return value


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
                    f"{key}[{i}]", f"{component.label!r} is also the label of {key}[{seen[component.label]}]; give one a 'label' of its own"
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
