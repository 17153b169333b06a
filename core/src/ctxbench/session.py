"""State shared by everything in one run: the registry, and the components and token counters, each made once per process."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.identity import IN_PROCESS
from ctxbench.interfaces import Component, TokenCounter
from ctxbench.plugin import KINDS, ComponentRecord, Origin, Registered
from ctxbench.registry import Registry, load_plugins
from ctxbench.seeds import canonical_json, stable_hash

if TYPE_CHECKING:
    from ctxbench.plan import Part

_active: contextvars.ContextVar[Session | None] = contextvars.ContextVar("ctxbench_session", default=None)


@attrs.define(eq=False)
class Session:
    """A registry with the components made from it. It is passed along the whole pipeline; workers rebuild it from :meth:`recipe`.

    Attributes:
        registry: all components that can be named.
    """

    registry: Registry
    _components: dict[str, Component] = attrs.field(factory=dict, init=False)
    _counters: dict[tuple[str, tuple[tuple[str, Any], ...]], TokenCounter] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, registry: Registry | None = None, components: Iterable[ComponentRecord] = ()) -> Session:
        """A session over a registry (by default the installed plugins) and further components that no installed plugin offers.

        Raises:
            ConfigError: a component has the name of one that is there.
        """
        registry = registry or load_plugins()
        records = list(components)
        return cls(extended(registry, ((record, Origin("run", IN_PROCESS, "0")) for record in records)) if records else registry)

    def component(self, part: Part) -> Component:
        """The component of a part, made once a process."""
        if part.identity not in self._components:
            self._components[part.identity] = part.make(self.registry)
        return self._components[part.identity]

    def made(self, kind: str, name: str, options: Mapping[str, Any]) -> Component:
        """A component by name and options, made once a process.

        Raises:
            ConfigError: it is missing or refuses its options.
        """
        key = canonical_json([kind, name, options])
        if key not in self._components:
            self._components[key] = self.registry.make(kind, name, **options)
        return self._components[key]

    def counter(self, family: str, **options: Any) -> TokenCounter:
        """The token counter of a model family, made once for each set of options.

        Raises:
            ConfigError: no plugin knows the family, or it does not take the options.
        """
        key = (family, tuple(sorted((k, v) for k, v in options.items() if v is not None)) if options else ())
        if key not in self._counters:
            self._counters[key] = self.registry.token_counter(family, **dict(key[1]))
        return self._counters[key]

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """A context in which :mod:`ctxbench.tokens` uses this session's counters, also when a plugin calls it."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def recipe(self) -> Recipe:
        """What another process needs to make an equal session.

        Raises:
            ConfigError: a component that no installed plugin offers cannot be sent to another process.
        """
        installed = load_plugins().manager.components
        own = [
            (entry.record, entry.origin)
            for kind, table in self.registry.manager.components.items()
            for name, entry in table.items()
            if installed[kind].get(name) != entry
        ]
        installed_now = stable_hash([sys.path, [attrs.astuple(origin) for origin in load_plugins().manager.origins.values()]])
        if not own:
            return Recipe(b"", installed_now)
        try:
            import cloudpickle

            recipe = Recipe(cloudpickle.dumps(own), installed_now)
        except Exception as error:
            names = ", ".join(record.name for record, _ in own)
            raise ConfigError(f"{names}: cannot be sent to a worker process ({error}); run with workers: 0") from None
        _sessions[recipe.own] = self  # unpickling here what was defined here would change the classes themselves
        return recipe


def current() -> Session:
    """The session that is active, or one over the installed plugins."""
    session = _active.get()
    return session if session is not None else _default()


_sessions: dict[bytes, Session] = {}


def _default() -> Session:
    registry = load_plugins()
    session = _sessions.get(b"")
    if session is None or session.registry is not registry:
        session = _sessions[b""] = Session(registry)
    return session


@attrs.frozen
class Recipe:
    """Instructions to rebuild a session in another process: the installed plugins, and any further components, pickled by value.

    ``installed`` tells plugin sets apart, for whoever keeps something made by a recipe.
    """

    own: bytes
    installed: str

    def session(self) -> Session:
        """The session, made once a process."""
        if not self.own:
            return _default()
        if self.own not in _sessions:
            _sessions[self.own] = Session(extended(load_plugins(), pickle.loads(self.own), replace=True))
        return _sessions[self.own]


def extended(registry: Registry, records: Iterable[tuple[ComponentRecord, Origin]], *, replace: bool = False) -> Registry:
    """A registry with further components; the given one stays as it is.

    Raises:
        ConfigError: a record is of no known kind, or its name is taken (and ``replace`` is false).
    """
    components = {kind: dict(table) for kind, table in registry.manager.components.items()}
    for record, origin in records:
        kind = next((name for name, kind in KINDS.items() if isinstance(record, kind.record)), None)
        if kind is None:
            raise ConfigError(f"components: expected records such as CodecRecord(name, summary, factory), got {type(record).__name__}")
        if record.name in components[kind] and not replace:
            other = components[kind][record.name].origin
            raise ConfigError(f"components: {kind} {record.name!r} is offered by {other.distribution} already; give yours another name")
        components[kind][record.name] = Registered(record, origin)
    manager = copy.copy(registry.manager)
    manager.components = components
    return Registry(manager)


__all__ = ["Recipe", "Session", "current", "extended"]
