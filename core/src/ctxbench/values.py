"""What a config key or a component's option takes: each checks a value, says what is right in words, and knows its JSON Schema."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.suggest import nearest


def fail(path: str, message: str) -> ConfigError:
    """The error for the value at ``path`` (``codecs[1].label``)."""
    return ConfigError(f"{path}: {message}" if path else message)


def show(value: object) -> str:
    """A value as an error message quotes it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Value(abc.ABC):
    """What a config key or an option takes."""

    @property
    @abc.abstractmethod
    def words(self) -> str:
        """The same in a few words, to stand after *must be*: ``a whole number from 1 to 32``."""

    @abc.abstractmethod
    def parse(self, value: Any, path: str) -> Any:
        """The checked value.

        Raises:
            ConfigError: it is something else; the message names ``path``.
        """

    @abc.abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what :meth:`parse` takes."""

    def wrong(self, value: object, path: str) -> ConfigError:
        """The error for a value that is something else."""
        return fail(path, f"must be {self.words}, got {show(value)}")


def _range(low: float | None, high: float | None) -> str:
    bounds = [f"{bound:,}".replace(",", "") if isinstance(bound, int) else f"{bound:g}" for bound in (low, high) if bound is not None]
    if low is not None and high is not None:
        return f"from {bounds[0]} to {bounds[1]}"
    return f"at {'least' if high is None else 'most'} {bounds[0]}" if bounds else ""


@attrs.frozen
class Integer(Value):
    """A whole number, within bounds if there are any."""

    minimum: int | None = None
    maximum: int | None = None

    @property
    def words(self) -> str:
        return f"a whole number {_range(self.minimum, self.maximum)}".rstrip()

    def parse(self, value: Any, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail(path, f"must be a whole number, got {show(value)}")
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise fail(path, f"must be {_range(self.minimum, self.maximum)}, got {value}")
        return value

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer"} | {key: bound for key, bound in bounds.items() if bound is not None}


@attrs.frozen
class Number(Value):
    """A finite number, whole or not, within bounds if there are any; ``above`` is a lower bound that is not allowed itself."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None

    @property
    def words(self) -> str:
        above = f"above {self.above:g}" if self.above is not None else ""
        return " ".join(["a number", *(part for part in (above, _range(self.minimum, self.maximum)) if part)])

    def parse(self, value: Any, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise fail(path, f"must be a number, got {show(value)}")
        if self.above is not None and not self.above < value < math.inf:
            raise fail(path, f"must be above {self.above:g}, got {value}")
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not low <= value <= high or math.isinf(value):
            raise fail(path, f"must be {_range(self.minimum, self.maximum) or 'finite'}, got {value}")
        return value

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "exclusiveMinimum": self.above}
        return {"type": "number"} | {key: bound for key, bound in bounds.items() if bound is not None}


@attrs.frozen
class Boolean(Value):
    """True or false."""

    @property
    def words(self) -> str:
        return "true or false"

    def parse(self, value: Any, path: str) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value, path)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen
class String(Value):
    """A text; one of ``choices`` if there are any."""

    choices: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    empty: bool = True

    @property
    def words(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return "text" if self.empty else "text that is not empty"

    def parse(self, value: Any, path: str) -> str:
        if self.choices and value not in self.choices:
            near = nearest(value, self.choices) if isinstance(value, str) else ""
            raise fail(path, f"must be {self.words}, got {show(value)}{near if 'did you mean' in near else ''}")
        if not isinstance(value, str) or not (value or self.empty):
            raise self.wrong(value, path)
        return value

    def schema(self) -> dict[str, Any]:
        if self.choices:
            return {"enum": list(self.choices)}
        return {"type": "string"} | ({} if self.empty else {"minLength": 1})


@attrs.frozen(init=False)
class OneOf(Value):
    """One of a few values that are no texts: ``OneOf(2, 4, 8)``."""

    choices: tuple[Any, ...]

    def __init__(self, *choices: Any) -> None:
        self.__attrs_init__(choices)

    @property
    def words(self) -> str:
        return f"one of {', '.join(map(str, self.choices))}"

    def parse(self, value: Any, path: str) -> Any:
        if not any(value == choice and type(value) is type(choice) for choice in self.choices):
            raise self.wrong(value, path)
        return value

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


@attrs.frozen
class Optional(Value):
    """A value, or null."""

    inner: Value

    @property
    def words(self) -> str:
        return f"{self.inner.words}, or null"

    def parse(self, value: Any, path: str) -> Any:
        return None if value is None else self.inner.parse(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.inner.schema(), {"type": "null"}]}


@attrs.frozen(init=False)
class Either(Value):
    """A value of one of several forms, the first of which that fits counts."""

    forms: tuple[Value, ...]

    def __init__(self, *forms: Value) -> None:
        self.__attrs_init__(forms)

    @property
    def words(self) -> str:
        return ", or ".join(form.words for form in self.forms)

    def parse(self, value: Any, path: str) -> Any:
        for form in self.forms:
            try:
                return form.parse(value, path)
            except ConfigError:
                continue
        raise self.wrong(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [form.schema() for form in self.forms]}


@attrs.frozen
class ListOf(Value):
    """A list; a single value stands for a list of one. It becomes a tuple."""

    inner: Value
    minimum: int = 1

    @property
    def words(self) -> str:
        return f"{self.inner.words}, or a list of such"

    def parse(self, value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            value = [value]
        if len(value) < self.minimum:
            raise fail(path, "the list is empty")
        return tuple(self.inner.parse(item, f"{path}[{i}]") for i, item in enumerate(value))

    def schema(self) -> dict[str, Any]:
        inner = self.inner.schema()
        return {"anyOf": [inner, {"type": "array", "items": inner, "minItems": self.minimum}]}


@attrs.frozen
class Items(Value):
    """A list, of ``length`` values if that is given, and of ``least`` at least."""

    inner: Value
    length: int | None = None
    least: int = 0

    @property
    def words(self) -> str:
        return f"a list of {'' if self.length is None else f'{self.length} '}values, each {self.inner.words}"

    def parse(self, value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or len(value) < self.least or self.length not in (None, len(value)):
            raise self.wrong(value, path)
        return tuple(self.inner.parse(item, f"{path}[{i}]") for i, item in enumerate(value))

    def schema(self) -> dict[str, Any]:
        sizes = {"minItems": self.least} if self.least else {}
        sizes |= {} if self.length is None else {"minItems": self.length, "maxItems": self.length}
        return {"type": "array", "items": self.inner.schema(), **sizes}


@attrs.frozen
class Table(Value):
    """A mapping from texts to values."""

    inner: Value | None = None

    @property
    def words(self) -> str:
        return "a mapping" if self.inner is None else f"a mapping whose values are each {self.inner.words}"

    def parse(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.wrong(value, path)
        inner = self.inner
        return dict(value) if inner is None else {key: inner.parse(item, f"{path}.{key}") for key, item in value.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object"} | ({} if self.inner is None else {"additionalProperties": self.inner.schema()})


@attrs.frozen
class Anything(Value):
    """Whatever YAML can say; the component checks it."""

    @property
    def words(self) -> str:
        return "any value"

    def parse(self, value: Any, path: str) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}


@attrs.frozen(init=False)
class Further(Value):
    """For the annotation of ``**options``: the options that a function takes beyond its named ones, by name."""

    options: dict[str, Value]

    def __init__(self, **options: Value) -> None:
        self.__attrs_init__(options)

    @property
    def words(self) -> str:
        return "any value"

    def parse(self, value: Any, path: str) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}
