"""The options of a component: their names, types, defaults and meanings, as its factory and its docstrings tell."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import attrs


@attrs.frozen
class Option:
    """One option.

    Attributes:
        name: as a config writes it.
        type: the annotation, as written; empty if there is none.
        default: the value if the config gives none; ``None`` as well if it is required.
        required: true if there is no default.
        meaning: what the documentation says of it; empty if it says nothing.
    """

    name: str
    type: str
    default: Any
    required: bool
    meaning: str


_SECTION = re.compile(r"^(?:Attributes|Args|Arguments|Parameters):\s*$")
_ENTRY = re.compile(r"^\s*(?P<names>`{0,2}\w+`{0,2}(?:\s*,\s*`{0,2}\w+`{0,2})*)\s*(?:\([^)]*\))?:\s+(?P<text>.+)$")


def options_of(factory: Callable[..., Any]) -> list[Option]:
    """The options that ``factory`` takes, in its order.

    Meanings come from the section ``Attributes:`` or ``Args:`` of its docstring, or of the class that a function says it returns.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return []
    meanings = _meanings(factory)
    found = []
    for name, p in signature.parameters.items():
        if p.kind in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY):
            continue
        anything = p.kind is p.VAR_KEYWORD
        required = p.default is p.empty and not anything
        default = None if p.default is p.empty else _default(factory, name, p.default)
        shown = f"**{name}" if anything else name
        found.append(Option(shown, _type(p.annotation), default, required, meanings.get(name, "")))
    return found


def _default(factory: Callable[..., Any], name: str, default: Any) -> Any:
    """The default itself; attrs shows a mark in its place where a factory makes it."""
    if default is attrs.NOTHING or type(default).__name__ == "_Nothing":
        for field in attrs.fields(factory) if inspect.isclass(factory) and attrs.has(factory) else ():
            if (field.alias or field.name) == name and isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
                made: Any = field.default.factory
                return None if field.default.takes_self else made()
    return default


def _type(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation).replace("typing.", "")


def _meanings(factory: Callable[..., Any]) -> dict[str, str]:
    sources: list[Any] = [factory]
    if not inspect.isclass(factory):
        made = inspect.signature(factory).return_annotation
        sources.append(getattr(inspect.getmodule(factory), made, None) if isinstance(made, str) else made)
    else:
        sources += factory.__mro__[1:]
    found: dict[str, str] = {}
    for source in sources:
        doc = vars(source).get("__doc__") if inspect.isclass(source) else getattr(source, "__doc__", None)
        for name, text in _documented(doc or "").items():
            found.setdefault(name, text)
    return found


def _documented(docstring: str) -> dict[str, str]:
    """Names and texts of the entries in the docstring's sections; several names may share an entry (``low, high: bounds``)."""
    entries: list[tuple[list[str], str]] = []
    indent: int | None = None
    inside = False
    for line in inspect.cleandoc(docstring).splitlines():
        if _SECTION.match(line):
            inside, indent = True, None
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            inside = False
            continue
        indent = depth if indent is None else indent
        entry = _ENTRY.match(line) if depth == indent else None
        if entry:
            entries.append((re.findall(r"\w+", entry["names"]), entry["text"].strip()))
        elif entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
    found: dict[str, str] = {}
    for names, text in entries:
        found.update(dict.fromkeys(names, text))
    for _, text in entries:  # an option that another one's entry explains beside its own
        for name in re.findall(r"``(\w+)``", text):
            found.setdefault(name, text)
    return found
