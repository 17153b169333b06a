"""How a component declares its options: what each takes, once, for validation, ``config schema`` and ``ctxbench plugins show`` alike.

An attrs class declares an option with :func:`option`::

    font_size: int = option(Integer(5, 200), 12)

A function does so in its signature: ``font_size: Annotated[int, Integer(5, 200)] = 12``. Where nothing is declared, a plain annotation
(``int``, ``str | None``, ``Literal["a", "b"]``, ``list[float]`` ...) says the same with fewer bounds. What an option means is told by its
entry in the docstring's section ``Attributes:`` or ``Args:``.
"""

from __future__ import annotations

import abc
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.suggest import nearest

SECRET = "ctxbench_secret"
DECLARED = "ctxbench_option"


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


@attrs.frozen
class _Check:
    """The attrs validator of a declared option."""

    value: Value
    secret: bool = False

    def __call__(self, _: object, attribute: attrs.Attribute[Any], given: Any) -> None:
        problem = problem_with(attribute.alias or attribute.name, self.value, given, secret=self.secret)
        if problem:
            raise ValueError(problem)


def problem_with(name: str, value: Value, given: Any, *, secret: bool = False) -> str:
    """What is wrong with an option, as one sentence that begins with its name and does not quote a secret; empty if nothing is."""
    try:
        value.parse(given, "")
    except ConfigError as error:
        text = f"must be {value.words}" if secret else str(error)
    else:
        return ""
    return f"{name}{' ' if text.startswith('must ') else '' if text.startswith(('[', '.')) else ': '}{text}"


def option(value: Value, default: Any = attrs.NOTHING, *, secret: bool = False, **arguments: Any) -> Any:
    """An attrs field for an option: what it takes, and its default.

    Args:
        value: what it takes; anything else is refused when the component is made, whoever makes it.
        default: required if there is none. ``factory`` may be given in its place, as to :func:`attrs.field`.
        secret: nobody may see its value, as with :func:`ctxbench.secret`.
        arguments: further ones for :func:`attrs.field`. A ``converter`` comes before the check; a ``validator`` after it.
    """
    metadata = {**arguments.pop("metadata", {}), DECLARED: value, **({SECRET: True} if secret else {})}
    more = arguments.pop("validator", ())
    validators = [_Check(value, secret), *(more if isinstance(more, (list, tuple)) else [more])]
    if "factory" not in arguments:
        arguments["default"] = default
    return attrs.field(**{**({"repr": False} if secret else {}), **arguments}, validator=validators, metadata=metadata)


def declared_options(cls: type[Any]) -> dict[str, Value]:
    """The options that an attrs class declares with :func:`option`, by name."""
    return {field.alias or field.name: field.metadata[DECLARED] for field in attrs.fields(cls) if DECLARED in field.metadata}


_PLAIN: dict[Any, Value] = {int: Integer(), float: Number(), bool: Boolean(), str: String(), dict: Table()}


def value_of(annotation: Any) -> Value:
    """What a type annotation says about an option; :class:`Anything` if it is no type that YAML can give."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        declared = [extra for extra in arguments[1:] if isinstance(extra, Value)]
        return declared[0] if declared else value_of(arguments[0])
    for plain, value in _PLAIN.items():
        if annotation is plain:
            return value
    if origin is typing.Literal:
        texts = all(isinstance(choice, str) for choice in arguments)
        return String(arguments) if texts else OneOf(*arguments)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin in (list, tuple, Sequence):
        return _items(origin, arguments)
    if origin in (dict, Mapping):
        return Table(value_of(arguments[1]) if arguments[1:] and arguments[1] is not Any else None)
    return Anything()


def _union(arguments: Sequence[Any]) -> Value:
    forms = [value_of(argument) for argument in arguments if argument is not types.NoneType]
    if not forms or any(isinstance(form, Anything) for form in forms):
        return Anything()
    value = forms[0] if len(forms) == 1 else Either(*forms)
    return Optional(value) if types.NoneType in arguments else value


def _items(origin: Any, arguments: Sequence[Any]) -> Value:
    if origin is not tuple:
        return Items(value_of(arguments[0]) if arguments else Anything())
    if len(arguments) == 2 and arguments[1] is ...:
        return Items(value_of(arguments[0]))
    same = set(arguments)
    return Items(value_of(arguments[0]) if len(same) == 1 else Anything(), len(arguments))


__all__ = [
    "Anything",
    "Boolean",
    "Either",
    "Further",
    "Integer",
    "Items",
    "ListOf",
    "Number",
    "OneOf",
    "Optional",
    "String",
    "Table",
    "Value",
    "declared_options",
    "fail",
    "option",
    "value_of",
]
