"""What a plain type annotation says about an option."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ctxbench.values import Anything, Boolean, Either, Integer, Items, Number, OneOf, Optional, String, Table, Value

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
