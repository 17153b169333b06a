"""The commands ``ctxbench data build``, ``ctxbench data import``, ``ctxbench train`` and ``ctxbench train export``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from ctxbench import UsageError

_SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the config (key.path=value).")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def add_commands(cli: click.Group) -> None:
    """Add them to the ``ctxbench`` command line."""
    cli.add_command(data)
    cli.add_command(train)


@click.group()
def data() -> None:
    """Make training data."""


@data.command()
@click.argument("config", type=click.Path())
@_SET
@click.option("-o", "--output", metavar="FOLDER", help="Folder that takes the data; overrides the config's.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes; changes no record.")
@click.option("--overwrite", is_flag=True, help="Replace training data that is there.")
@_JSON
def build(config: str, overrides: tuple[str, ...], output: str | None, workers: int, overwrite: bool, as_json: bool) -> None:
    """Make (pages, question, answer) records as CONFIG (YAML) says."""
    from ctxbench_transformers import settings
    from ctxbench_transformers.data import DataConfig
    from ctxbench_transformers.data import build as make

    wanted = settings.load(DataConfig, config, [*overrides, *([f"output={json.dumps(output)}"] if output else [])])
    _say(make(wanted, workers=workers, overwrite=overwrite), wanted.output, as_json)


@data.command("import")
@click.argument("files", type=click.Path(), nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Folder that takes the data.")
@click.option("-c", "--codec", metavar="CODEC", default="text", show_default=True, help="What carries texts that come without pages.")
@_SET
@click.option("--overwrite", is_flag=True, help="Replace training data that is there.")
@_JSON
def import_(files: tuple[str, ...], output: str, codec: str, overrides: tuple[str, ...], overwrite: bool, as_json: bool) -> None:
    """Make records of your own questions in FILES: JSON lines, a JSON list or Parquet.

    Columns: question, answer, and what is asked about: pages (paths of images, or images), or text, which CODEC carries.
    """
    from ctxbench.config import parse_component
    from ctxbench_transformers import settings
    from ctxbench_transformers.data import OwnConfig, import_records

    given = {"files": list(files), "output": output, "codec": parse_component(codec)}
    _say(import_records(settings.make(OwnConfig, given, "data import", overrides), overwrite=overwrite), output, as_json)


def _say(manifest: dict[str, Any], output: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    counts: dict[str, Any] = manifest["records"]
    click.echo(f"{output}: {', '.join(f'{n} {split}' for split, n in counts['split'].items())} records, {manifest['format']}")
    for key in ("codec", "task"):
        click.echo(f"  {key:9} {', '.join(f'{name} {n}' for name, n in counts[key].items())}")
    for key, value in manifest["tokens"].items():
        click.echo(f"  {key:9} {value['mean']:g} tokens on average, {value['max']} at most")
    click.echo(f"  fingerprint {manifest['fingerprint']}")


class _Train(click.Command):
    """A command whose first argument may name another one, which then takes the rest: a config of that name is given as ``./NAME``."""

    beside: dict[str, click.Command]

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """The context of this command, or of the one that the first argument names."""
        other = self.beside.get(args[0]) if args else None
        if other is not None:
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each way to call it."""
        super().format_usage(ctx, formatter)
        for name, command in self.beside.items():
            with click.Context(command, info_name=name, parent=ctx) as inner:
                pieces = " ".join(command.collect_usage_pieces(inner))
            formatter.write_usage(f"{ctx.command_path} {name}", pieces, prefix=" " * len("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, and the other commands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(formatter.width)) for name, command in self.beside.items()])


@click.command(cls=_Train)
@click.argument("config", type=click.Path())
@_SET
@click.option("--resume", metavar="CHECKPOINT", help="Go on from a checkpoint's folder, or from the 'latest' of this output.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Print parameters, memory and steps; read no weights.")
@_JSON
def train(config: str, overrides: tuple[str, ...], resume: str | None, only_estimate: bool, as_json: bool) -> None:
    """Train a LoRA adapter (or the whole model) as CONFIG (YAML) says.

    Several GPUs: torchrun --nproc-per-node N -m ctxbench_transformers.training CONFIG
    """
    from ctxbench_transformers import settings
    from ctxbench_transformers.training.config import TrainConfig

    wanted = settings.load(TrainConfig, config, overrides)
    if only_estimate:
        _estimate(wanted, as_json)
        return
    from ctxbench_transformers.training.distributed import is_first
    from ctxbench_transformers.training.loop import train as run
    from ctxbench_transformers.training.trainer import Interrupted

    try:
        result = run(wanted, resume)
    except Interrupted as error:
        if error.kept is not None:
            click.echo(f"go on with: {_command(config, overrides)} --resume latest", err=True)
        raise
    if is_first():
        click.echo(json.dumps(result) if as_json else f"{result['output']}: {result['steps']} steps")


def _command(config: str, overrides: tuple[str, ...]) -> str:
    """The command that was given, as a shell takes it."""
    from ctxbench_transformers.training.distributed import launched

    command = ["...", "-m", "ctxbench_transformers.training"] if launched() else ["ctxbench", "train"]
    return shlex.join([*command, config, *(part for override in overrides for part in ("--set", override))])


def _estimate(config: Any, as_json: bool) -> None:
    from ctxbench_transformers.training.estimate import estimate

    found = estimate(config)
    click.echo(json.dumps(found.plain(), indent=2) if as_json else "\n".join(found.lines()))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="New folder to write.")
@click.option("--merge", is_flag=True, help="Merge the adapter into its base: a whole model, for transformers and vLLM.")
@click.option("--base", metavar="MODEL", help="With --merge: folder or hub id of the base, in place of the one it was trained on.")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    help="With --merge: dtype of the weights.  [default: auto, the base's]",
)
@click.option("--trust-remote-code", "code", is_flag=True, help="With --merge: let Python code that comes with the base run.")
@click.option("--log", is_flag=True, help="With log.jsonl.")
@click.option(
    "--push-to-hub", "repository", metavar="OWNER/NAME", help="Upload it to the hub; the token is HF_TOKEN's or that of hf auth login."
)
@click.option("--private", is_flag=True, help="With --push-to-hub: into a private repository.")
@_JSON
def export(
    folder: Path,
    output: Path,
    merge: bool,
    base: str | None,
    dtype: str | None,
    code: bool,
    log: bool,
    repository: str | None,
    private: bool,
    as_json: bool,
) -> None:
    """Write what a run left in FOLDER as a folder to hand out.

    It holds the weights, the record of what they were trained on, and a model card; no checkpoints.
    """
    for option, given in (("--base", base), ("--dtype", dtype), ("--trust-remote-code", code)):
        if given and not merge:
            raise UsageError(f"{option} goes with --merge")
    if private and repository is None:
        raise UsageError("--private goes with --push-to-hub")
    from ctxbench_transformers.training import hub
    from ctxbench_transformers.training.export import Merging
    from ctxbench_transformers.training.export import export as write

    if repository is not None:
        hub.check_repository(repository)
    made = write(folder, output, merge=Merging(base, dtype or "auto", code) if merge else None, log=log)
    if not as_json:
        dtype_said = f" in {made['dtype']}" if made["dtype"] else ""
        click.echo(f"{output}: {made['kind']}{dtype_said}, {made['bytes'] / 1e6:,.1f} MB")
    if repository is not None:
        made["url"] = hub.push(output, repository, private=private)
        if not as_json:
            click.echo(made["url"])
    if as_json:
        click.echo(json.dumps(made))


train.beside = {"export": export}
