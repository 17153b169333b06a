"""Makes components by name, with their options checked."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

import attrs

from ctxbench.errors import ConfigError, CtxbenchError
from ctxbench.interfaces import Augmenter, Codec, Component, Executor, Metric, Model, Task, TokenCounter
from ctxbench.plugin.manager import KINDS, PluginFailure, PluginManager, Registered, describe, from_environment


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'render'?``, or the known names if none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def _signature(factory: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(factory)
    except (TypeError, ValueError):  # some built-in types have none; let the call itself tell
        return inspect.Signature([inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)])


@attrs.frozen
class Registry:
    """All components that the installed plugins offer."""

    manager: PluginManager

    @property
    def failures(self) -> list[PluginFailure]:
        """What was left out, and why."""
        return self.manager.failures

    def names(self, kind: str) -> list[str]:
        """The names of all components of a kind (``codec``, ``task``, ...), sorted."""
        return sorted(self.manager.components[kind])

    def find(self, kind: str, name: str) -> Registered:
        """The record of a component and where it comes from.

        Raises:
            ConfigError: there is none; the message gives the nearest name and the plugins that failed.
        """
        table = self.manager.components[kind]
        if name in table:
            return table[name]
        message = f"no {kind} named {name!r}{nearest(name, table)}"
        failed = "; ".join(str(failure) for failure in self.failures)
        if failed:
            message += f" ({failed})"
        elif self.manager.disabled:
            message += f" (plugins switched off: {', '.join(self.manager.disabled)})"
        raise ConfigError(message)

    def parameters(self, kind: str, name: str) -> dict[str, inspect.Parameter]:
        """The options that a component's factory takes."""
        parameters = _signature(self._factory(self.find(kind, name))).parameters
        return {key: value for key, value in parameters.items() if value.kind in (value.POSITIONAL_OR_KEYWORD, value.KEYWORD_ONLY)}

    @staticmethod
    def _factory(entry: Registered) -> Any:
        try:
            return entry.record.load()
        except (ImportError, AttributeError) as error:
            plugin = f"plugin {entry.origin.plugin!r} ({entry.origin.distribution} {entry.origin.version})"
            raise ConfigError(f"{entry.record.kind} {entry.record.name!r} of {plugin} cannot be loaded: {describe(error)}") from error

    def make(self, kind: str, name: str, **options: Any) -> Component:
        """Make a component.

        Raises:
            ConfigError: unknown name or option (with the nearest known one), or a value that the component refuses.
        """
        entry = self.find(kind, name)
        factory = self._factory(entry)
        signature = _signature(factory)
        takes_all = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        if not takes_all:
            for key in options:
                if key not in signature.parameters:
                    raise ConfigError(f"{kind} {name!r} has no option {key!r}{nearest(key, signature.parameters)}")
        try:
            made = factory(**options)
        except CtxbenchError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{kind} {name!r}: {' '.join(str(error.args[0] if error.args else error).split())}") from error
        wanted = KINDS[kind].interface
        if not isinstance(made, wanted):
            raise ConfigError(f"{kind} {name!r}: its factory made {type(made).__name__}, which is no {wanted.__name__}")
        return cast(Component, made)

    def codec(self, name: str, **options: Any) -> Codec:
        """Make a codec: ``registry.codec("render", font_size=12)``."""
        return cast(Codec, self.make("codec", name, **options))

    def augmenter(self, name: str, **options: Any) -> Augmenter:
        """Make an augmenter."""
        return cast(Augmenter, self.make("augmenter", name, **options))

    def task(self, name: str, **options: Any) -> Task:
        """Make a task."""
        return cast(Task, self.make("task", name, **options))

    def metric(self, name: str, **options: Any) -> Metric:
        """Make a metric."""
        return cast(Metric, self.make("metric", name, **options))

    def model(self, name: str, *, adapter: str | None = None, **options: Any) -> Model:
        """Make a model; ``name`` may carry a reference: ``hf:Qwen/Qwen2-VL-2B-Instruct``."""
        base, _, reference = name.partition(":")
        parameters = self.parameters("model", base)
        for key, value in (("reference", reference), ("adapter", adapter)):
            if value and key not in parameters:
                raise ConfigError(f"model {base!r} takes no {key}, but was given {value!r}")
            if value:
                options[key] = value
        return cast(Model, self.make("model", base, **options))

    def token_counter(self, name: str, **options: Any) -> TokenCounter:
        """Make a token counter of a model family; ``name`` may carry options: ``deepseek-ocr:mode=base``."""
        from ctxbench.config.reading import parse_component  # which imports this module

        parsed = parse_component(name)
        if isinstance(parsed, dict):
            name, options = parsed.pop("name"), {**parsed, **options}
        return cast(TokenCounter, self.make("token_counter", name, **options))

    def executor(self, name: str, **options: Any) -> Executor:
        """Make an executor."""
        return cast(Executor, self.make("executor", name, **options))


@functools.lru_cache(maxsize=4)
def _load(strict: bool, disable: tuple[str, ...]) -> Registry:
    manager = PluginManager(strict=strict)
    manager.load(disable)
    return Registry(manager)


def load_plugins(*, reload: bool = False) -> Registry:
    """Find and load every installed plugin (entry-point group ``ctxbench``), once a process.

    ``CTXBENCH_STRICT_PLUGINS=1`` makes the first failure raise; ``CTXBENCH_DISABLE_PLUGINS=a,b`` leaves plugins out.

    Raises:
        PluginError: a plugin failed and strict mode is on.
    """
    if reload:
        _load.cache_clear()
    strict, disable = from_environment()
    return _load(strict, tuple(disable))
