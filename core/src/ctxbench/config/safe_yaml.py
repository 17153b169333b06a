"""YAML, safely: no tags, no bombs, no duplicate keys."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from ctxbench.errors import ConfigError

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


def mapping(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML text holds.

    Raises:
        ConfigError: not YAML, a tag, a duplicate key, too many values, too deep, or not a mapping; the message begins with ``source``.
    """
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
