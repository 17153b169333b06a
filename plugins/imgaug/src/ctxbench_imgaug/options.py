"""What the augmenters' options take, and how one number becomes two or three."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import ConfigError
from ctxbench.options import Either, Items, Number, Value


@attrs.frozen
class Range(Value):
    """A number in [``low``, ``high``], or two such numbers, the smaller first."""

    low: float
    high: float

    @property
    def words(self) -> str:
        return f"a number or two numbers from {self.low:g} to {self.high:g}, the smaller first"

    @property
    def _form(self) -> Either:
        number = Number(self.low, self.high)
        return Either(number, Items(number, 2))

    def parse(self, value: Any, path: str) -> Any:
        try:
            found = self._form.parse(value, path)
        except ConfigError:
            raise self.wrong(value, path) from None
        if isinstance(found, tuple) and found[0] > found[1]:
            raise self.wrong(value, path)
        return found

    def schema(self) -> dict[str, Any]:
        return self._form.schema()


def pair(value: Any) -> Any:
    """A number ``x`` as ``(x, x)``; a sequence as a tuple of floats; anything else as it is, for the option to refuse."""
    return (float(value), float(value)) if _is_number(value) else _numbers(value)


def symmetric_pair(value: Any) -> Any:
    """A number ``x`` as ``(-x, x)``; a sequence as a tuple of floats; anything else as it is, for the option to refuse."""
    return (-abs(float(value)), abs(float(value))) if _is_number(value) else _numbers(value)


def colour(value: Any) -> Any:
    """A grey level as an RGB triple; a sequence as a tuple; anything else as it is, for the option to refuse."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * 3
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(float(x) if _is_number(x) else x for x in value)
