"""How a component declares its options: what each takes, once, for validation, ``config schema`` and ``ctxbench plugins show`` alike.

An attrs class declares an option with :func:`option`::

    font_size: int = option(Integer(5, 200), 12)

A function does so in its signature: ``font_size: Annotated[int, Integer(5, 200)] = 12``. Where nothing is declared, a plain annotation
(``int``, ``str | None``, ``Literal["a", "b"]``, ``list[float]`` ...) says the same with fewer bounds. What an option means is told by its
entry in the docstring's section ``Attributes:`` or ``Args:``.
"""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.values import (
    Anything,
    Boolean,
    Either,
    Further,
    Integer,
    Items,
    ListOf,
    Number,
    OneOf,
    Optional,
    String,
    Table,
    Value,
    fail,
)

SECRET = "ctxbench_secret"
DECLARED = "ctxbench_option"


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
]
