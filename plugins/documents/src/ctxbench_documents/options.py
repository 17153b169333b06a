"""Options that both tasks have."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench.texts import check_encoding

LANGUAGES = ("auto", "en", "zh")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def paths_of(value: Any) -> tuple[str, ...]:
    """A path, or several, as a tuple.

    Raises:
        ValueError: it is neither.
    """
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found or not all(isinstance(item, str) and item for item in found):
        raise ValueError(f"path must be a file, a folder or a pattern, or a list of them, got {value!r}")
    return tuple(found)


def column(task: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validator: the name of a column."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name} must be the name of a column, got {value!r}")


def encoding(task: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validator: an encoding of text."""
    check_encoding(value if isinstance(value, str) else "")


def one_of(*names: str) -> Any:
    """Validator: one of some words."""

    def check(task: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in names:
            raise ValueError(f"{attribute.name} must be one of {', '.join(names)}, got {value!r}")

    return check
