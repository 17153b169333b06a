"""The options of a component, as its factory declares them: names, what they take, defaults and meanings. See :mod:`ctxbench.options`."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.options import DECLARED, SECRET, Anything, Further, Optional, Value, problem_with
from ctxbench.plugin.annotations import value_of
from ctxbench.suggest import nearest


@attrs.frozen
class Option:
    """One option.

    Attributes:
        name: as a config writes it.
        value: what it takes.
        default: the value if the config gives none; ``None`` as well if it is required.
        required: true if there is no default.
        meaning: what the documentation says of it; empty if it says nothing.
        secret: true if nobody may see its value.
        further: true for an option that the factory takes through its ``**options``, and whose default is its own affair.
    """

    name: str
    value: Value
    default: Any
    required: bool
    meaning: str
    secret: bool = False
    further: bool = False

    @property
    def type(self) -> str:
        """What it takes, in a few words."""
        return re.sub(r"^(an?|the) ", "", self.value.words)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its value."""
        found = dict(self.value.schema())
        if self.meaning:
            found["description"] = self.meaning.replace("``", "")
        if self.secret:
            found["writeOnly"] = True
        elif not self.required and not self.further and self.default is not None:
            found["default"] = list(self.default) if isinstance(self.default, tuple) else self.default
        return found

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values."""
        names = ("name", "type", "default", "required", "meaning", "secret", "further")
        return {name: getattr(self, name) for name in names} | {"schema": self.value.schema()}


@attrs.frozen
class Options:
    """The options of one component.

    Attributes:
        known: by name, in the factory's order.
        open: true if the factory takes others as well.
    """

    known: dict[str, Option]
    open: bool = False

    def check(self, what: str, given: Mapping[str, Any]) -> None:
        """Refuse unknown options, values that an option does not take, and the lack of one that is required.

        Raises:
            ConfigError: the message begins with ``what``.
        """
        for name in given:
            if name not in self.known and not self.open:
                raise ConfigError(f"{what} has no option {name!r}{nearest(name, self.known)}")
        for name, option in self.known.items():
            if option.required and name not in given:
                raise ConfigError(f"{what} needs the option {name!r}, which has no default")
        for name, value in given.items():
            known = self.known.get(name)
            problem = "" if known is None else problem_with(name, known.value, value, secret=known.secret)
            if problem:
                raise ConfigError(f"{what}: {problem}")

    def schema(self) -> tuple[dict[str, Any], list[str]]:
        """JSON Schemas by option, and the names of those that are required."""
        return {name: option.schema() for name, option in self.known.items()}, [n for n, option in self.known.items() if option.required]


def options_of(factory: Callable[..., Any], secrets: Iterable[str] = ()) -> Options:
    """The options that ``factory`` takes.

    What an option takes is told by the parameter's annotation if that carries a value (``Annotated[int, Integer(1, 9)]``); else by the
    attrs field of that name, of the class that the factory is or says that it returns, if it was made by :func:`ctxbench.options.option`;
    else by the annotation as a plain type. What it means is told by the section ``Attributes:`` or ``Args:`` of the factory's docstring, or
    of that class's.

    Args:
        secrets: names of options that the component's record declares as secret.
    """
    found = _options_of(factory)
    hidden = set(secrets)
    return attrs.evolve(found, known={n: attrs.evolve(o, secret=o.secret or n in hidden) for n, o in found.known.items()})


@functools.lru_cache(maxsize=1024)
def _options_of(factory: Callable[..., Any]) -> Options:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some built-in types have none; let the call itself tell
        return Options({}, open=True)
    made = _made_by(factory, signature)
    fields = {field.alias or field.name: field for field in attrs.fields(made)} if made is not None and attrs.has(made) else {}
    meanings = _meanings(factory, made)
    known: dict[str, Option] = {}
    unlimited = False
    for name, p in signature.parameters.items():
        if p.kind is p.VAR_KEYWORD:
            further = _further(factory, p.annotation)
            unlimited = not further
            known |= {n: Option(n, value, None, False, meanings.get(n, ""), further=True) for n, value in further.items()}
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            field = fields.get(name)
            metadata: Mapping[str, Any] = {} if field is None else field.metadata
            required = p.default is p.empty
            default = None if required else _default(field, p.default)
            value = _declared(factory, p.annotation) or metadata.get(DECLARED) or _annotated(factory, p.annotation, field)
            if not required and default is None and not isinstance(value, (Anything, Optional)):
                value = Optional(value)
            known[name] = Option(name, value, default, required, meanings.get(name, ""), bool(metadata.get(SECRET)))
    return Options(known, unlimited)


def _made_by(factory: Callable[..., Any], signature: inspect.Signature) -> type[Any] | None:
    """The class that a factory is, or that it says it returns."""
    if inspect.isclass(factory):
        return factory
    made = _evaluated(factory, signature.return_annotation)
    return made if inspect.isclass(made) and made is not inspect.Signature.empty else None


def _evaluated(factory: Callable[..., Any], annotation: Any) -> Any:
    """An annotation that is written as text, as the object that it names; ``None`` if its module does not know it."""
    if not isinstance(annotation, str):
        return annotation
    names = getattr(inspect.unwrap(factory), "__globals__", None) or vars(sys.modules.get(factory.__module__, sys))
    try:
        return eval(annotation, dict(names))  # the plugin's own source, as inspect.signature(eval_str=True) reads it
    except Exception:
        return None


def _annotated(factory: Callable[..., Any], annotation: Any, field: attrs.Attribute[Any] | None) -> Value:
    if annotation is inspect.Parameter.empty:
        return Anything()
    if field is not None and field.converter is not None:
        return Anything()  # the converter says what is taken, and the annotation what it becomes
    return value_of(_evaluated(factory, annotation))


def _declared(factory: Callable[..., Any], annotation: Any) -> Value | None:
    """The value that an ``Annotated`` type carries, if it carries one."""
    extras = getattr(_evaluated(factory, annotation), "__metadata__", ())
    return next((extra for extra in extras if isinstance(extra, Value)), None)


def _further(factory: Callable[..., Any], annotation: Any) -> dict[str, Value]:
    declared = _declared(factory, annotation)
    return declared.options if isinstance(declared, Further) else {}


def _default(field: attrs.Attribute[Any] | None, default: Any) -> Any:
    """The default itself; attrs shows a mark in its place where a factory makes it."""
    if field is not None and isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        made: Any = field.default.factory  # type: ignore[union-attr]
        return None if field.default.takes_self else made()  # type: ignore[union-attr]
    return default


_SECTION = re.compile(r"^(?:Attributes|Args|Arguments|Parameters):\s*$")
_ENTRY = re.compile(r"^\s*(?P<names>`{0,2}\w+`{0,2}(?:\s*,\s*`{0,2}\w+`{0,2})*)\s*(?:\([^)]*\))?:\s+(?P<text>.+)$")


def _meanings(factory: Callable[..., Any], made: type[Any] | None) -> dict[str, str]:
    sources: list[Any] = [factory] if made is None or made is factory else [factory, made]
    sources += made.__mro__[1:] if made is not None else ()
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
    return {name: text for names, text in entries for name in names}
