"""Makes components by name, with their options checked."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, cast

import attrs

from ctxbench.errors import ConfigError, CtxbenchError, message_of
from ctxbench.interfaces import Augmenter, Codec, Component, Executor, Metric, Model, Task, TokenCounter
from ctxbench.plugin.failures import PASSING, PluginFailure, describe
from ctxbench.plugin.kinds import KINDS, Registered
from ctxbench.plugin.manager import PluginManager, from_environment
from ctxbench.plugin.options import Options, options_of
from ctxbench.plugin.output import plugin_output_to_stderr
from ctxbench.suggest import nearest


def _message(error: Exception) -> str:
    """What an exception says, on one line. attrs' validators put more than the message into ``args``."""
    said = error.args[0] if error.args else None
    return " ".join(said.split()) if isinstance(said, str) else message_of(error)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


@attrs.frozen
class Registry:
    """All components that the installed plugins offer."""

    manager: PluginManager

    @property
    def failures(self) -> list[PluginFailure]:
        """Plugins and components that could not be loaded, with the reasons."""
        return self.manager.failures

    def names(self, kind: str) -> list[str]:
        """The names of all components of a kind (``codec``, ``task``, ...), sorted."""
        return sorted(self.manager.components[kind])

    def kinds(self, name: str) -> list[str]:
        """The kinds that have a component of this name."""
        return [kind for kind, table in self.manager.components.items() if name in table]

    def find(self, kind: str, name: str) -> Registered:
        """The record of a component and where it comes from.

        Raises:
            ConfigError: there is none; the message gives the nearest name and the plugins that failed.
        """
        table = self.manager.components[kind]
        if name not in table:
            raise ConfigError(f"no {kind} named {name!r}{self._hint(name, [kind])}")
        self.manager.mention_failures()
        return table[name]

    def find_any(self, name: str) -> list[str]:
        """The kinds that have a component of this name, at least one.

        Raises:
            ConfigError: there is none; the message gives the nearest name of any kind and the plugins that failed.
        """
        kinds = self.kinds(name)
        if not kinds:
            raise ConfigError(f"no component named {name!r}{self._hint(name, list(self.manager.components))}")
        self.manager.mention_failures()
        return kinds

    def _hint(self, name: str, kinds: list[str]) -> str:
        """A hint about a name that is missing from ``kinds``: another kind, the plugin that failed to bring it, a near name."""
        elsewhere = self.kinds(name)
        failed = "; ".join(str(failure) for failure in self.failures)
        if elsewhere:
            hint = f"; {name!r} is a {' and a '.join(elsewhere)}"
        elif any(_plain(name) in _plain(f.origin.scoped) for f in self.failures):
            hint = ""  # its own plugin failed: another name is not what was meant
        else:
            hint = nearest(name, (known for kind in kinds for known in self.manager.components[kind]))
        if failed:
            return f"{hint} ({failed})"
        if self.manager.disabled:
            return f"{hint} (plugins switched off: {', '.join(self.manager.disabled)})"
        return hint

    def factory(self, kind: str, name: str) -> Callable[..., Any]:
        """The factory of a component, imported if necessary.

        Raises:
            ConfigError: there is no such component, or its module cannot be imported.
        """
        entry = self.find(kind, name)
        try:
            with plugin_output_to_stderr():
                return entry.record.load()
        except PASSING:
            raise
        except BaseException as error:  # SystemExit among others: importing a component may not end the program
            raise ConfigError(f"{entry} cannot be loaded: {describe(error)}") from error

    def options(self, kind: str, name: str) -> Options:
        """The options that a component takes.

        Raises:
            ConfigError: there is no such component, or its module cannot be imported.
        """
        return options_of(self.factory(kind, name), self.find(kind, name).record.secrets)

    def make(self, kind: str, name: str, **options: Any) -> Component:
        """Make a component.

        Raises:
            ConfigError: unknown name or option (with the nearest known one), a value that the component refuses, or a factory that fails;
                the message then names plugin and distribution.
        """
        entry = self.find(kind, name)
        factory = self.factory(kind, name)
        options_of(factory, entry.record.secrets).check(f"{kind} {name!r}", options)
        wanted = KINDS[kind].interface
        try:
            with plugin_output_to_stderr():
                made = factory(**options)
                fits = isinstance(made, wanted)
        except PASSING:
            raise
        except CtxbenchError:
            raise
        except ValueError as error:
            raise ConfigError(f"{kind} {name!r}: {_message(error)}") from error
        except TypeError as error:  # an option of the wrong type, an abstract class, or a mistake in the factory
            raise ConfigError(f"{entry} cannot be made: {_message(error)}") from error
        except BaseException as error:  # SystemExit among others: a factory may not end the program
            raise ConfigError(f"{entry} cannot be made: {describe(error)}") from error
        if not fits:
            raise ConfigError(f"{entry} cannot be made: its factory made {type(made).__name__}, which is no {wanted.__name__}")
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
        takes = self.options("model", base)
        for key, value in (("reference", reference), ("adapter", adapter)):
            if value and key not in takes.known:
                raise ConfigError(f"model {base!r} takes no {key}, but was given {value!r}")
            if value:
                options[key] = value
        return cast(Model, self.make("model", base, **options))

    def token_counter(self, name: str, **options: Any) -> TokenCounter:
        """Make a token counter of a model family; ``name`` may carry options: ``deepseek-ocr:mode=base``."""
        from ctxbench.config.loading import parse_component  # which imports this module

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
