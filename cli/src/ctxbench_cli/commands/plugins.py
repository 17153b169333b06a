"""``ctxbench plugins``, ``ctxbench plugins show NAME`` and ``ctxbench plugins check NAME``"""

from __future__ import annotations

import re
from typing import Any

import attrs
import click

import ctxbench
from ctxbench import ConfigError, CtxbenchError, Registry
from ctxbench.plugin import KINDS, Origin
from ctxbench_cli.output import print_json, print_table


def _origin(origin: Origin) -> dict[str, Any]:
    return attrs.asdict(origin)


def _listing(registry: Registry) -> list[dict[str, Any]]:
    found = []
    for kind in KINDS:
        for name in registry.names(kind):
            entry = registry.find(kind, name)
            found.append({"kind": kind, "name": name, "summary": entry.record.summary, **_origin(entry.origin)})
    return found


@click.group("plugins", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List what is installed, from where, and what failed."""
    if context.invoked_subcommand is not None:
        return
    registry = ctxbench.load_plugins()
    manager = registry.manager
    manager.quiet = True  # what failed is listed here in full
    plugins = [{**_origin(origin), "hooks": manager.hooks(scoped)} for scoped, origin in manager.origins.items()]
    failures = [{**_origin(f.origin), "stage": f.stage, "error": f.error} for f in registry.failures]
    listing = _listing(registry)
    if as_json:
        print_json({"plugins": plugins, "components": listing, "failures": failures, "disabled": manager.disabled})
        return
    print_table(
        ["kind", "name", "distribution", "version", "summary"],
        [[item[key] for key in ("kind", "name", "distribution", "version", "summary")] for item in listing],
    )
    offering = {(item["distribution"], item["plugin"]) for item in listing}
    for plugin in plugins:
        if (plugin["distribution"], plugin["plugin"]) not in offering:
            click.echo(f"{plugin['distribution']} {plugin['version']}: {', '.join(plugin['hooks']) or 'no hook'}")
    for failure in registry.failures:
        origin = failure.origin
        click.echo(f"left out: {origin.plugin} ({origin.distribution} {origin.version}) at {failure.stage}: {failure.error}")
    if manager.disabled:
        click.echo(f"switched off: {', '.join(manager.disabled)}")


def _kinds(registry: Registry, name: str, kind: str | None) -> list[str]:
    """The kinds meant by NAME: the one that was asked for, or all that have it."""
    try:
        if kind is None:
            return registry.find_any(name)
        registry.find(kind, name)
    except ConfigError as error:
        raise CtxbenchError(str(error)) from error
    return [kind]


@command.command("show")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Which component, if several kinds have this name.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def show(name: str, kind: str | None, as_json: bool) -> None:
    """Show where the component NAME comes from, and its options with types, defaults and meanings."""
    registry = ctxbench.load_plugins()
    shown = []
    for found in _kinds(registry, name, kind):
        entry = registry.find(found, name)
        options = [option.plain() for option in registry.options(found, name).known.values()]
        shown.append({"kind": found, "name": name, "summary": entry.record.summary, **_origin(entry.origin), "options": options})
    if as_json:
        print_json(shown)
        return
    for i, item in enumerate(shown):
        if i:
            click.echo()
        click.echo(f"{item['kind']} {name}: {item['summary']}")
        click.echo(f"from {item['distribution']} {item['version']}, plugin {item['plugin']}")
        _print_options(item["options"])


def _print_options(options: list[dict[str, Any]]) -> None:
    if not options:
        click.echo("no options")
        return
    click.echo()
    rows = [[o["name"], o["type"], "(required)" if o["required"] else _value(o), _words(o["meaning"])] for o in options]
    print_table(["option", "type", "default", "meaning"], rows)


_IN_YAML = {"None": "null", "True": "true", "False": "false"}


def _words(meaning: str) -> str:
    """A docstring's text without its markup, with the words of a config."""
    return re.sub(r"(?::\w+:)?`+([^`]+)`+", lambda found: _IN_YAML.get(found[1], found[1]), meaning)


def _value(option: dict[str, Any]) -> str:
    """A default as a config would write it; nothing where the component decides."""
    value = option["default"]
    if option["further"]:
        return ""
    if value is None or isinstance(value, bool):
        return _IN_YAML[str(value)]
    if isinstance(value, tuple):
        value = list(value)
    return str(value) if not isinstance(value, str) else value or "''"


@command.command("check")
@click.argument("name", metavar="NAME[:OPTION=VALUE,...]")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Which component, if several kinds have this name.")
@click.option("--rule", "rules", multiple=True, help="Only this rule; the default is all of the kind's. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def check(name: str, kind: str | None, rules: tuple[str, ...], as_json: bool) -> None:
    """Hold the component NAME to the rules of ctxbench.testing.

    One line for each rule: ok, FAIL, or skip where the rule says nothing about this component. The exit code is 1 if any rule is broken.
    """
    from ctxbench_cli.checks import check_component, parse_target

    registry = ctxbench.load_plugins()
    base, options = parse_target(name)
    results = []
    for found in _kinds(registry, base, kind):
        for result in check_component(registry, found, base, options, rules):
            results.append(result)
            if not as_json:
                click.echo(str(result))
    failed = sum(result.outcome == "FAIL" for result in results)
    if as_json:
        print_json({"component": name, "failed": failed, "rules": [attrs.asdict(result) for result in results]})
    if failed:
        raise CtxbenchError(f"{name} breaks {failed} of {len(results)} rules")
