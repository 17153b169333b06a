"""Finds plugins, loads each one alone, and keeps what failed so that it can be told."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import pluggy

from ctxbench.errors import PluginError
from ctxbench.interfaces import Augmenter, Codec, Executor, Metric, Model, Task, TokenCounter
from ctxbench.plugin import records, spec

GROUP = "ctxbench"
STRICT = "CTXBENCH_STRICT_PLUGINS"
DISABLE = "CTXBENCH_DISABLE_PLUGINS"


@attrs.frozen
class Kind:
    """One kind of component: the hook that registers it, the record the hook yields, the interface the factory makes."""

    name: str
    hook: str
    record: type[records.ComponentRecord]
    interface: type[Any]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("codec", "ctxbench_codecs", records.CodecRecord, Codec),
        Kind("augmenter", "ctxbench_augmenters", records.AugmenterRecord, Augmenter),
        Kind("task", "ctxbench_tasks", records.TaskRecord, Task),
        Kind("metric", "ctxbench_metrics", records.MetricRecord, Metric),
        Kind("model", "ctxbench_models", records.ModelRecord, Model),
        Kind("token_counter", "ctxbench_token_counters", records.TokenCounterRecord, TokenCounter),
        Kind("executor", "ctxbench_executors", records.ExecutorRecord, Executor),
    )
}


@attrs.frozen
class Origin:
    """Where a plugin comes from: its entry-point name, its distribution and that distribution's version."""

    plugin: str
    distribution: str
    version: str


@attrs.frozen
class Registered:
    """A component's record and where it comes from."""

    record: records.ComponentRecord
    origin: Origin


@attrs.frozen
class PluginFailure:
    """Why a plugin, or one thing it registers, was left out."""

    origin: Origin
    stage: str
    error: str

    def __str__(self) -> str:
        o = self.origin
        return f"plugin {o.plugin!r} of {o.distribution} {o.version} left out at {self.stage}: {self.error}"


def describe(error: BaseException) -> str:
    """``Type: message`` on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _load_order(origin: Origin) -> tuple[bool, str, str]:
    return (not origin.distribution.startswith("ctxbench"), origin.distribution, origin.plugin)


@attrs.define
class PluginManager:
    """pluggy's manager, with every plugin's failures kept apart from the others'."""

    strict: bool = False
    failures: list[PluginFailure] = attrs.field(factory=list)
    origins: dict[str, Origin] = attrs.field(factory=dict)
    components: dict[str, dict[str, Registered]] = attrs.field(factory=lambda: {kind: {} for kind in KINDS})
    disabled: list[str] = attrs.field(factory=list)
    _pm: pluggy.PluginManager = attrs.field(factory=lambda: pluggy.PluginManager(spec.PROJECT), repr=False)
    _raised: set[str] = attrs.field(factory=set, repr=False)

    def __attrs_post_init__(self) -> None:
        self._pm.add_hookspecs(spec)

    def load(self, disable: Iterable[str] = ()) -> None:
        """Load every entry point of the group, sorted so that the winner of a name clash does not depend on the machine."""
        blocked = set(disable)
        for point, origin in sorted(self._entry_points(), key=lambda found: _load_order(found[1])):
            if {origin.plugin, origin.distribution} & blocked:
                self.disabled.append(origin.plugin)
                continue
            self._load_entry_point(point, origin)
        self._collect()

    @staticmethod
    def _entry_points() -> Iterator[tuple[importlib.metadata.EntryPoint, Origin]]:
        seen: set[tuple[str, str]] = set()
        for point in importlib.metadata.entry_points(group=GROUP):
            dist = point.dist
            origin = Origin(point.name, dist.name if dist else "unknown", dist.version if dist else "0")
            if (origin.distribution, point.name) not in seen:  # the same distribution twice on sys.path
                seen.add((origin.distribution, point.name))
                yield point, origin

    def _load_entry_point(self, point: importlib.metadata.EntryPoint, origin: Origin) -> None:
        if origin.plugin in self.origins:
            other = self.origins[origin.plugin].distribution
            self._fail(origin, "loading", PluginError(f"the plugin name {origin.plugin!r} is taken by {other}"))
            return
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            self._fail(origin, "import", error)
            return
        self.register(module, origin)

    def register(self, module: object, origin: Origin) -> None:
        """Register one plugin object (a module, as a rule) without reading its components yet."""
        try:
            self._pm.register(module, name=origin.plugin)
            unknown = self._unknown_hooks(origin.plugin)
            if unknown:
                self._pm.unregister(name=origin.plugin)
                raise PluginError(f"no such hook: {', '.join(unknown)}")
        except Exception as error:
            if self._pm.has_plugin(origin.plugin):
                self._pm.unregister(name=origin.plugin)
            self._fail(origin, "registration", error)
            return
        self.origins[origin.plugin] = origin

    def _unknown_hooks(self, plugin: str) -> list[str]:
        module = self._pm.get_plugin(plugin)
        callers = self._pm.get_hookcallers(module) or []
        return sorted(caller.name for caller in callers if not caller.has_spec())

    def _implementations(self, hook: str) -> Iterator[tuple[Origin, Callable[..., Any]]]:
        """Implementations by themselves: calling the hook as a whole would let one that raises stop the others."""
        implementations = {impl.plugin_name: impl.function for impl in getattr(self._pm.hook, hook).get_hookimpls()}
        for name, origin in self.origins.items():
            if name in implementations:
                yield origin, implementations[name]

    def _collect(self) -> None:
        for kind in KINDS.values():
            for origin, function in list(self._implementations(kind.hook)):
                try:
                    offered = list(function())
                except Exception as error:
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

    def hooks(self, plugin: str) -> list[str]:
        """The names of the hooks that a loaded plugin implements."""
        callers = self._pm.get_hookcallers(self._pm.get_plugin(plugin)) or []
        return sorted(caller.name for caller in callers)

    def add_commands(self, cli: Any) -> None:
        """Let every plugin add its commands to ``cli``."""
        for origin, function in self._implementations("ctxbench_commands"):
            before = dict(cli.commands)
            try:
                function(cli=cli)
            except Exception as error:
                cli.commands.clear()
                cli.commands.update(before)
                self._fail(origin, "ctxbench_commands", error)
                continue
            for name, command in before.items():
                if cli.commands.get(name) is not command:
                    cli.commands[name] = command
                    self._fail(origin, "ctxbench_commands", PluginError(f"command {name!r} is taken"))

    def trial_finished(self, result: Any) -> None:
        """Tell every plugin of a stored trial; a plugin that raises is reported once."""
        for origin, function in self._implementations("ctxbench_trial_finished"):
            try:
                function(result=result)
            except Exception as error:
                if origin.plugin not in self._raised:
                    self._raised.add(origin.plugin)
                    self._fail(origin, "ctxbench_trial_finished", error)

    def _fail(self, origin: Origin, stage: str, error: BaseException) -> None:
        failure = PluginFailure(origin, stage, describe(error))
        if self.strict:
            raise PluginError(f"{failure} ({STRICT}=1)") from error
        self.failures.append(failure)
        print(f"ctxbench: {failure}", file=sys.stderr)


def from_environment() -> tuple[bool, list[str]]:
    """(strict, disabled plugins) as ``CTXBENCH_STRICT_PLUGINS`` and ``CTXBENCH_DISABLE_PLUGINS`` say."""
    strict = os.environ.get(STRICT, "").strip().lower() in {"1", "true", "yes", "on"}
    disable = [name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()]
    return strict, disable
