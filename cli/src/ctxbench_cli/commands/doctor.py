"""``ctxbench doctor``"""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

import ctxbench
from ctxbench import CtxbenchError, Registry, tokens
from ctxbench.plugin import describe, plugin_work
from ctxbench_cli.checks import Check, codec_round_trip

LIBRARIES = ("duckdb", "numpy", "pillow", "pyarrow", "pluggy", "torch", "transformers", "peft", "bitsandbytes")


@click.command("doctor")
def command() -> None:
    """Check this installation: plugins, tokenizer, codecs, store, accelerator."""
    click.echo(f"ctxbench {ctxbench.__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(_versions()))
    failures = 0
    for check in _checks(ctxbench.load_plugins()):
        failures += not check.ok
        click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.text}")
    if failures:
        raise CtxbenchError(f"{failures} checks failed")
    click.echo("everything works")


def _versions() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"no {name}"


def _checks(registry: Registry) -> Iterator[Check]:
    registry.manager.quiet = True  # what failed is told here in full
    for failure in registry.failures:
        yield Check(False, str(failure))
    yield Check(True, f"{len(registry.manager.origins)} plugins loaded")
    try:
        yield Check(True, f"reference tokenizer: 'hello world' is {tokens.count_text('hello world')} tokens")
    except CtxbenchError as error:
        yield Check(False, f"reference tokenizer: {error}")
    for name in registry.names("codec"):
        try:
            with plugin_work(f"codec {name!r}"):
                found = codec_round_trip(registry.codec(name))
            yield Check(True, f"codec {name}: {found}")
        except Exception as error:
            yield Check(False, f"codec {name}: {describe(error)}")
    yield _store()


def _store() -> Check:
    from ctxbench.store import Store

    try:
        with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "doctor.duckdb"):
            pass
    except CtxbenchError as error:
        return Check(False, f"store: {error}")
    return Check(True, "store: DuckDB file made and opened")
