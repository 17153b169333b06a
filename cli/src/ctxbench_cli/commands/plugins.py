"""``ctxbench plugins`` and ``ctxbench plugins check NAME``"""

from __future__ import annotations

from typing import Any

import click

import ctxbench
from ctxbench import CtxbenchError
from ctxbench.plugin import KINDS
from ctxbench.registry import Registry, nearest
from ctxbench_cli.output import print_json, print_table


def _listing(registry: Registry) -> list[dict[str, Any]]:
    found = []
    for kind in KINDS:
        for name in registry.names(kind):
            entry = registry.find(kind, name)
            origin = {"plugin": entry.origin.plugin, "distribution": entry.origin.distribution, "version": entry.origin.version}
            found.append({"kind": kind, "name": name, "summary": entry.record.summary, **origin})
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
    plugins = [
        {"plugin": o.plugin, "distribution": o.distribution, "version": o.version, "hooks": manager.hooks(o.plugin)}
        for o in manager.origins.values()
    ]
    failures = [
        {"plugin": f.origin.plugin, "distribution": f.origin.distribution, "version": f.origin.version, "stage": f.stage, "error": f.error}
        for f in registry.failures
    ]
    listing = _listing(registry)
    if as_json:
        print_json({"plugins": plugins, "components": listing, "failures": failures, "disabled": manager.disabled})
        return
    print_table(
        ["kind", "name", "distribution", "version", "summary"],
        [[item[key] for key in ("kind", "name", "distribution", "version", "summary")] for item in listing],
    )
    silent = [p for p in plugins if not any(item["plugin"] == p["plugin"] for item in listing)]
    for plugin in silent:
        click.echo(f"{plugin['distribution']} {plugin['version']}: {', '.join(plugin['hooks']) or 'no hook'}")
    for failure in failures:
        click.echo(
            f"left out: {failure['plugin']} ({failure['distribution']} {failure['version']}) at {failure['stage']}: {failure['error']}"
        )
    if manager.disabled:
        click.echo(f"switched off: {', '.join(manager.disabled)}")


@command.command("check")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Which component, if several kinds have this name.")
def check(name: str, kind: str | None) -> None:
    """Make the component NAME with its default options and try it on a small input."""
    from ctxbench_cli.checks import check_component

    registry = ctxbench.load_plugins()
    kinds = [k for k in KINDS if name in registry.names(k) and kind in (None, k)]
    if not kinds:
        known = [n for k in KINDS for n in registry.names(k)]
        failed = "".join(f"; {failure}" for failure in registry.failures)
        raise CtxbenchError(f"no component named {name!r}{nearest(name, known)}{failed}")
    failures = 0
    for found in kinds:
        for result in check_component(registry, found, name):
            failures += not result.ok
            click.echo(f"{'ok  ' if result.ok else 'FAIL'}  {found} {name}: {result.text}")
    if failures:
        raise CtxbenchError(f"{failures} of the checks of {name!r} failed")
