"""``ctxbench config init|show|schema``"""

from __future__ import annotations

from pathlib import Path

import click

from ctxbench import CtxbenchError
from ctxbench.config import json_schema, parse_config, read_text
from ctxbench.files import write_whole
from ctxbench_cli.configs import EXAMPLES, read_example
from ctxbench_cli.output import print_json


@click.group("config")
def command() -> None:
    """Write, show and check experiment configs."""


@command.command("init")
@click.option("--example", type=click.Choice(EXAMPLES), default="commented", show_default=True, help="Which example to write.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; the default is stdout.")
def init(example: str, output: Path | None) -> None:
    """Write a config to start from."""
    text = read_example(example)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise CtxbenchError(f"{output}: exists already; choose another name")
    write_whole(output, text.encode())
    click.echo(f"wrote {output}; check it with: ctxbench run {output} --dry-run")


@command.command("show")
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Set any config value. Repeatable.")
def show(config: str | None, sets: tuple[str, ...]) -> None:
    """The whole of CONFIG (or of the quickstart) with every default filled in, and its hash."""
    text, source = (read_text(Path(config)), config) if config else (read_example("quickstart"), "quickstart")
    experiment = parse_config(text, source, sets)
    click.echo(f"# config hash {experiment.hash}")
    import yaml

    click.echo(yaml.safe_dump(experiment.plain(), sort_keys=False, allow_unicode=True), nl=False)


@command.command("schema")
def schema() -> None:
    """The JSON Schema of a config."""
    print_json(json_schema())
