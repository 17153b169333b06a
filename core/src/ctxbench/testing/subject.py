"""The component under test, and how to make it again, here and in other processes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ctxbench.interfaces import Component
from ctxbench.registry import Registry, load_plugins
from ctxbench.testing import fresh_process
from ctxbench.testing.rule import settings, shown


@attrs.define
class Subject:
    """A component and its kind.

    Attributes:
        kind: ``codec``, ``task``, ...
        component: the component under test.
        name: the name under which an installed plugin offers it; looked for if it is not given.
        options: what it was made with, if that is known; otherwise its config.
    """

    kind: str
    component: Any
    name: str | None = None
    options: dict[str, Any] | None = None
    _looked: bool = attrs.field(default=False, init=False)

    def registered(self) -> str | None:
        """The name under which an installed plugin offers this component, or ``None``."""
        if self.name is None and not self._looked:
            self._looked = True
            self.name = _registered(load_plugins(), self.kind, self.component)
        return self.name

    def factory(self) -> Callable[..., Any]:
        """What makes the component: the plugin's factory, or the class itself."""
        name = self.registered()
        return type(self.component) if name is None else load_plugins().factory(self.kind, name)

    def make(self, **options: Any) -> Any:
        """Another component of this sort, with these options."""
        name = self.registered()
        return type(self.component)(**options) if name is None else load_plugins().make(self.kind, name, **options)

    def again(self) -> Any:
        """The component made anew from its own config."""
        config = settings(self.component)
        try:
            return self.make(**config)
        except Exception as error:
            raise AssertionError(f"its config {shown(config)} does not make it again: {type(error).__name__}: {error}") from error

    def another(self) -> Any:
        """A second component made as this one was, with the options too that its config leaves out."""
        return self.again() if self.options is None else self.make(**self.options)

    def parameters(self) -> dict[str, inspect.Parameter]:
        """The options that its factory takes, by name."""
        try:
            return dict(inspect.signature(self.factory()).parameters)
        except (TypeError, ValueError):
            return {}

    def secrets(self) -> tuple[str, ...]:
        """Options that the component's record declares as secret."""
        name = self.registered()
        return () if name is None else load_plugins().find(self.kind, name).record.secrets

    def in_fresh_process(self, *calls: Sequence[Any], seeds: Sequence[str] = ("1", "2")) -> list[list[Any]]:
        """What ``calls`` (operation and arguments, see :mod:`ctxbench.testing.child`) give in fresh processes, one for each hash seed."""
        options = settings(self.component) if self.options is None else self.options
        name = self.registered()
        cls = type(self.component)
        source = None if name else [cls.__module__, _file(cls), cls.__qualname__]
        request = {"kind": self.kind, "name": name, "source": source, "options": options, "calls": [list(call) for call in calls]}
        return [fresh_process.ask({**request, "path": sys.path}, seed) for seed in seeds]


def _file(cls: type) -> str | None:
    try:
        return inspect.getfile(cls)
    except (TypeError, OSError):
        return None


def _registered(registry: Registry, kind: str, component: Component) -> str | None:
    """The name whose factory makes this very component. Only factories that can have made it are called."""
    cls = type(component)
    for name in registry.names(kind):
        try:
            factory = registry.factory(kind, name)
            if factory is cls:
                return name
            if inspect.isclass(factory) or factory.__module__.partition(".")[0] != cls.__module__.partition(".")[0]:
                continue
            made = registry.make(kind, name, **component.config)
        except Exception:  # another component that cannot be made is not this one's fault
            continue
        if type(made) is cls and made == component:
            return name
    return None
