"""Converters and validators of the augmenters' options: each message quotes the bad value and the legal range."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def pair(value: Any) -> Any:
    """A number ``x`` as ``(x, x)``; a sequence of two as a tuple; anything else as it is, for the validator to refuse."""
    if _is_number(value):
        return (float(value), float(value))
    return _numbers(value)


def symmetric_pair(value: Any) -> Any:
    """A number ``x`` as ``(-x, x)``; a sequence of two as a tuple; anything else as it is, for the validator to refuse."""
    if _is_number(value):
        return (-abs(float(value)), abs(float(value)))
    return _numbers(value)


def colour(value: Any) -> Any:
    """A grey level as an RGB triple; a sequence of three as a tuple; anything else as it is, for the validator to refuse."""
    if _is_integer(value):
        return (int(value),) * 3
    return tuple(value) if isinstance(value, (list, tuple)) else value


def number_in(low: float, high: float) -> Validator:
    """A finite number in [low, high]."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not _is_number(value):
            raise TypeError(f"{attribute.name} must be a number in [{low:g}, {high:g}], got {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{attribute.name} must be in [{low:g}, {high:g}], got {value!r}")

    return check


def range_in(low: float, high: float) -> Validator:
    """Two numbers in [low, high], the smaller first."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, tuple) or len(value) != 2 or not all(_is_number(x) for x in value):
            raise TypeError(f"{attribute.name} must be a number or two numbers in [{low:g}, {high:g}], got {value!r}")
        if not low <= value[0] <= value[1] <= high:
            raise ValueError(f"{attribute.name} must lie in [{low:g}, {high:g}], the smaller first, got {list(value)!r}")

    return check


def quality(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """An integer in [1, 100], or ``None``."""
    if value is None:
        return
    if not _is_integer(value):
        raise TypeError(f"{attribute.name} must be an integer in [1, 100], or null for no JPEG, got {value!r}")
    if not 1 <= value <= 100:
        raise ValueError(f"{attribute.name} must be in [1, 100], or null for no JPEG, got {value!r}")


def one_of(*choices: str) -> Validator:
    """One of a few words."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name} must be one of {', '.join(choices)}, got {value!r}")

    return check


def boolean(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be true or false, got {value!r}")


def rgb(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Three integers in [0, 255]."""
    if not isinstance(value, tuple) or len(value) != 3 or not all(_is_integer(x) and 0 <= x <= 255 for x in value):
        raise ValueError(f"{attribute.name} must be a grey level or three channels in [0, 255], got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _numbers(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(float(x) if _is_number(x) else x for x in value)
