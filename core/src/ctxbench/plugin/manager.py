"""Finds plugins, loads each one alone, and keeps what failed so that it can be told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import attrs
import pluggy

from ctxbench.errors import PluginError
from ctxbench.plugin import spec
from ctxbench.plugin.failures import PASSING, PluginFailure, describe, in_short
from ctxbench.plugin.kinds import KINDS, Kind, Registered
from ctxbench.plugin.origins import GROUP, Origin, entry_points
from ctxbench.plugin.output import plugin_output_to_stderr

STRICT = "CTXBENCH_STRICT_PLUGINS"
DISABLE = "CTXBENCH_DISABLE_PLUGINS"


def _is_worker() -> bool:
    """Whether this is a worker process, which has :mod:`multiprocessing` loaded; no other process needs it to start."""
    module = sys.modules.get("multiprocessing")
    return module is not None and module.parent_process() is not None


@attrs.define
class PluginManager:
    """pluggy's manager, with every plugin's failures kept apart from the others'.

    Attributes:
        strict: raise the first failure.
        failures: what was left out, and why.
        origins: every loaded plugin, by its scoped name (``distribution:entry point``).
        components: what the plugins offer, by kind and name.
        disabled: entry-point names of the plugins that were switched off.
        quiet: nobody needs to be told of failures (any more). True from the start in worker processes: their parent has said it.
    """

    strict: bool = False
    failures: list[PluginFailure] = attrs.field(factory=list)
    origins: dict[str, Origin] = attrs.field(factory=dict)
    components: dict[str, dict[str, Registered]] = attrs.field(factory=lambda: {kind: {} for kind in KINDS})
    disabled: list[str] = attrs.field(factory=list)
    quiet: bool = attrs.field(factory=_is_worker)
    _pm: pluggy.PluginManager = attrs.field(factory=lambda: pluggy.PluginManager(spec.PROJECT), repr=False)
    _raised: set[str] = attrs.field(factory=set, repr=False)

    def __attrs_post_init__(self) -> None:
        self._pm.add_hookspecs(spec)

    def load(self, disable: Iterable[str] = ()) -> None:
        """Load every entry point of the group. What plugins print meanwhile goes to stderr."""
        blocked = set(disable)
        with plugin_output_to_stderr():
            for point, origin in entry_points():
                if origin.names & blocked:
                    self.disabled.append(origin.plugin)
                else:
                    self._load_entry_point(point, origin)
            self._collect()

    def _load_entry_point(self, point: EntryPoint, origin: Origin) -> None:
        try:
            module = point.load()
        except PASSING:
            raise
        except BaseException as error:  # SystemExit among others: a plugin may not end the program
            self._fail(origin, "import", error)
            return
        self.register(module, origin)

    def register(self, module: object, origin: Origin) -> None:
        """Register one plugin object (a module, as a rule) without reading its components yet."""
        try:
            other = self._pm.get_name(module)
            if other is not None:
                raise PluginError(f"{getattr(module, '__name__', module)} is loaded already, as {other}")
            self._pm.register(module, name=origin.scoped)
            unknown = self._unknown_hooks(origin.scoped)
            if unknown:
                raise PluginError(f"no such hook: {', '.join(unknown)}")
        except Exception as error:
            if self._pm.has_plugin(origin.scoped):
                self._pm.unregister(name=origin.scoped)
            self._fail(origin, "registration", error)
            return
        self.origins[origin.scoped] = origin

    def _unknown_hooks(self, scoped: str) -> list[str]:
        callers = self._pm.get_hookcallers(self._pm.get_plugin(scoped)) or []
        return sorted(caller.name for caller in callers if not caller.has_spec())

    def _implementations(self, hook: str) -> Iterator[tuple[Origin, Callable[..., Any]]]:
        """Implementations by themselves: calling the hook as a whole would let one that raises stop the others."""
        implementations = {impl.plugin_name: impl.function for impl in getattr(self._pm.hook, hook).get_hookimpls()}
        for scoped, origin in self.origins.items():
            if scoped in implementations:
                yield origin, implementations[scoped]

    def _collect(self) -> None:
        for kind in KINDS.values():
            for origin, function in list(self._implementations(kind.hook)):
                try:
                    offered = list(function())
                except PASSING:
                    raise
                except BaseException as error:
                    self._fail(origin, kind.hook, error)
                    continue
                for record in offered:
                    self._take(kind, origin, record)

    def _take(self, kind: Kind, origin: Origin, record: object) -> None:
        if not isinstance(record, kind.record):
            wanted = kind.record.__name__
            self._fail(origin, kind.hook, PluginError(f"expected {wanted}, got {type(record).__name__}"))
            return
        table = self.components[kind.name]
        if record.name in table:
            other = table[record.name].origin
            both = f"{other.distribution} and {origin.distribution}"
            clash = f"{kind.name} {record.name!r} is offered by both {both}; kept the one of {other.distribution}"
            self._fail(origin, kind.hook, PluginError(clash))
            return
        table[record.name] = Registered(record, origin)

    def hooks(self, scoped: str) -> list[str]:
        """The names of the hooks that a loaded plugin (``distribution:entry point``) implements."""
        callers = self._pm.get_hookcallers(self._pm.get_plugin(scoped)) or []
        return sorted(caller.name for caller in callers)

    def add_commands(self, cli: Any, reserved: Collection[str] = ()) -> None:
        """Let every plugin add its commands to ``cli``, except those whose name another has, or is ``reserved``."""
        for origin, function in self._implementations("ctxbench_commands"):
            before = dict(cli.commands)
            try:
                with plugin_output_to_stderr():
                    function(cli=cli)
            except PASSING:
                raise
            except BaseException as error:
                cli.commands.clear()
                cli.commands.update(before)
                self._fail(origin, "ctxbench_commands", error)
                continue
            for name in sorted({*before, *reserved}):
                if cli.commands.get(name) is not before.get(name):
                    cli.commands.pop(name, None)
                    cli.commands.update({name: before[name]} if name in before else {})
                    self._fail(origin, "ctxbench_commands", PluginError(f"command {name!r} is taken"))

    def trial_finished(self, result: Any) -> None:
        """Tell every plugin of a stored trial; a plugin that raises is reported once, at that moment."""
        for origin, function in self._implementations("ctxbench_trial_finished"):
            try:
                with plugin_output_to_stderr():
                    function(result=result)
            except PASSING:
                raise
            except BaseException as error:
                if origin.scoped not in self._raised:
                    self._raised.add(origin.scoped)
                    self._fail(origin, "ctxbench_trial_finished", error)
                    print(f"ctxbench: {self.failures[-1]}", file=sys.stderr)

    def _fail(self, origin: Origin, stage: str, error: BaseException) -> None:
        failure = PluginFailure(origin, stage, describe(error))
        if self.strict:
            raise PluginError(f"{failure} ({STRICT}=1)") from error
        self.failures.append(failure)

    def mention_failures(self) -> None:
        """One line on stderr that something was left out, the first time that components are used; afterwards nothing."""
        if self.failures and not self.quiet:
            print(f"ctxbench: {in_short(self.failures)}", file=sys.stderr)
        self.quiet = True


def from_environment() -> tuple[bool, list[str]]:
    """(strict, disabled plugins) as ``CTXBENCH_STRICT_PLUGINS`` and ``CTXBENCH_DISABLE_PLUGINS`` say."""
    strict = os.environ.get(STRICT, "").strip().lower() in {"1", "true", "yes", "on"}
    disable = [name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()]
    return strict, disable


__all__ = [
    "DISABLE",
    "GROUP",
    "KINDS",
    "STRICT",
    "Kind",
    "Origin",
    "PluginFailure",
    "PluginManager",
    "Registered",
    "describe",
    "from_environment",
]
