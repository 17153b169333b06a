"""``ctxbench run``"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import attrs
import click

from ctxbench import CtxbenchError, UsageError, load_plugins
from ctxbench.config import ExperimentConfig, apply_overrides, make_config, parse_component, read_text, read_yaml
from ctxbench.plugin import plugin_output_to_stderr
from ctxbench.shards import Shard
from ctxbench_cli import signals
from ctxbench_cli.configs import read_example
from ctxbench_cli.status import print_status

MANY_TRIALS, MOST_TRIALS = 10_000, 1_000_000
"""Trials from which on a plan's size is said, and beyond which it has to be confirmed."""

WITH_OPTIONS = ("tasks", "codecs", "augmentations", "metrics")  # a model's colon begins a reference, not options


def _buckets(values: tuple[str, ...]) -> list[int | None]:
    """``512``, ``1k`` and ``512,2k`` as token counts; ``none`` for whole documents."""
    found: list[int | None] = []
    for item in ",".join(values).split(","):
        text = item.strip().lower()
        if text == "none":
            found.append(None)
            continue
        factor = 1024 if text.endswith("k") else 1
        number = text.removesuffix("k")
        if not number.isdigit() or int(number) < 1:
            raise UsageError(f"--bucket {item!r}: expected a number of tokens such as 512 or 2k, or none for whole documents")
        found.append(int(number) * factor)
    return found


class SampleCount(click.IntRange):
    """A number of at least 1, or ``all``."""

    name = "integer or all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or the word."""
        return value if value == "all" else super().convert(value, param, ctx)


def build_config(path: str | None, flags: dict[str, Any], sets: tuple[str, ...]) -> ExperimentConfig:
    """The config of a file (or of the quickstart) with the command line's flags and ``--set`` applied, in this order."""
    text, source = (read_text(Path(path)), path) if path else (read_example("quickstart"), "quickstart")
    data = make_config(read_yaml(text, source), source).plain()
    if not path:
        _only_installed(data, flags)
    for key, values in flags.items():
        if values in (None, (), False):
            continue
        target = data["run"] if key in data["run"] else data
        if key == "executor":
            target[key] = parse_component(values)
        elif key in WITH_OPTIONS:
            target[key] = [parse_component(value) for value in values]
        elif key == "models":
            target[key] = list(values)
        elif key == "adapters":
            target[key] = [None if value in ("none", "base") else value for value in values]
        elif key == "buckets":
            target[key] = _buckets(values)
        elif key == "devices":
            target[key] = [device.strip() for device in values.split(",")]
        elif key == "prompt":
            target[key] = values.replace("\\n", "\n")
        else:
            target[key] = values
    return make_config(apply_overrides(data, sets), source)


def batch_invariant(config: ExperimentConfig) -> ExperimentConfig:
    """The config with ``batch_invariant`` on for every model that has the option.

    Raises:
        UsageError: a model whose answers may depend on the batch has no such option.
    """
    registry = load_plugins()
    models = []
    for model in config.models:
        made = registry.model(model.name, **model.options)
        if "batch_invariant" in made.config:
            model = attrs.evolve(model, options={**model.options, "batch_invariant": True})
        elif not made.instant:
            raise UsageError(f"--batch-invariant: model {model.label!r} has no such option; its batches are formed elsewhere")
        models.append(model)
    return attrs.evolve(config, models=tuple(models))


def _only_installed(data: dict[str, Any], flags: dict[str, Any]) -> None:
    """Leave out of the quickstart what a small installation does not have, and say so. Its adapters belong to its own model."""
    registry = load_plugins()
    missing: list[str] = []
    if flags.get("models") or not set(data["models"]) <= set(registry.names("model")):
        missing += [] if flags.get("models") else data["models"]
        data["models"], data["adapters"] = ["channel"], [None]
    for key, kind in (("tasks", "task"), ("codecs", "codec"), ("augmentations", "augmenter")):
        if flags.get(key):
            continue
        names = [part["name"] if isinstance(part, dict) else part for part in data[key]]
        there = [part for part, name in zip(data[key], names, strict=True) if name in registry.names(kind)]
        missing += [name for name in names if name not in registry.names(kind)]
        if not there:
            raise CtxbenchError(f"no {kind} of the quickstart is installed ({', '.join(names)}); pip install ctxbench")
        data[key] = there
    if missing:
        click.echo(f"not installed, so left out of the quickstart: {', '.join(missing)}", err=True)


@click.command("run")
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option("-m", "--model", "models", multiple=True, help="Model that reads: channel, mock, hf:<id or folder> ... Repeatable.")
@click.option("--adapter", "adapters", multiple=True, help="LoRA adapter; 'none' is the base model. Repeatable.")
@click.option("-c", "--codec", "codecs", multiple=True, help="Codec, with options as NAME:key=value,key=value. Repeatable.")
@click.option("-t", "--task", "tasks", multiple=True, help="Task, with options like a codec's. Repeatable.")
@click.option("-a", "--augment", "augmentations", multiple=True, help="Augmentation: clean, light, heavy, custom:... Repeatable.")
@click.option("--metric", "metrics", multiple=True, help="Metric; the default is each task's own. Repeatable.")
@click.option("-b", "--bucket", "buckets", multiple=True, help="Context length in tokens: 512, 2k, 512,1k, or none (whole). Repeatable.")
@click.option("--prompt", help=r"Template of the text after the pages: '{hint}\n{context}\n{question}'; \n is a line break.")
@click.option("-n", "--samples", type=SampleCount(1), help="Samples in each cell; all: each that the tasks' data has, once.")
@click.option("--seed", type=click.IntRange(0), help="All randomness is derived from it.")
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Set any config value. Repeatable.")
@click.option("--store", type=click.Path(), help="DuckDB file for the results.")
@click.option("--executor", type=str, help="Where CPU work runs, with options like a codec's: local, ray ...")
@click.option("--workers", type=click.IntRange(0), help="Worker processes; 0 works in this process.")
@click.option("--devices", metavar="DEVICE,...", help="Devices with a replica of each model: 0,1 for two GPUs, or cpu,cpu.")
@click.option("--batch-size", type=click.IntRange(1), help="Prompts that a model reads at once.")
@click.option("--batch-invariant", is_flag=True, help="Models answer each prompt alone: no answer depends on its batch, also in bfloat16.")
@click.option("--images", type=click.Choice(["all", "failures", "none"]), help="Page images to keep beside the store.")
@click.option("--no-channel", is_flag=True, help="Skip the classical decoding of every page.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Stop before more than this is spent.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first trial that fails.")
@click.option("--retry-errors", is_flag=True, help="Run again the stored trials that ended in an error.")
@click.option("--shard", metavar="K/N", help="Run the K-th of N parts of the plan, into a store of its own beside the store's name.")
@click.option("--yes", is_flag=True, help=f"Run also more than {MOST_TRIALS:,} trials.")
@click.option(
    "--plan-power", metavar="DIFFERENCE", help="Say first how many samples show a difference such as 5pp, and whether -n is enough."
)
@click.option("--dry-run", is_flag=True, help="Check everything and say what would run; run nothing.")
@click.option("--status", is_flag=True, help="Say what is stored and what is missing, shards and running stores included; run nothing.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    config: str | None,
    sets: tuple[str, ...],
    yes: bool,
    plan_power: str | None,
    dry_run: bool,
    status: bool,
    output: str,
    **flags: Any,
) -> None:
    """Run an experiment and store every trial.

    Without CONFIG it runs the built-in quickstart. Running the same command again goes on where it stopped.
    """
    with signals.imports():
        from ctxbench.engine import RunReport, run
        from ctxbench_cli.progress import make_progress
        from ctxbench_cli.summary import print_summary

    invariant = flags.pop("batch_invariant")
    if flags.pop("no_channel"):
        sets = ("run.channel=false", *sets)
    workers = flags.pop("workers")
    if workers is not None:
        sets = (f"run.executor.workers={workers}", *sets)
    experiment = build_config(config, flags, sets)
    if invariant:
        experiment = batch_invariant(experiment)
    if status:
        print_status(experiment, output)
        return
    if experiment.run.shard is not None:
        experiment = attrs.evolve(experiment, store=Shard.parse(experiment.run.shard).store(experiment.store))
    if plan_power is not None:
        if not experiment.samples:
            raise UsageError("--plan-power: of how many samples? give -n a number")
        _say_power(plan_power, experiment.samples)
    if dry_run:
        _dry_run(experiment, output)
        return
    _say_size(experiment, yes)
    report = RunReport()
    line = "ctxbench " + shlex.join(sys.argv[1:])
    try:
        with plugin_output_to_stderr():
            finished = run(experiment, progress=make_progress(), command=line, report=report)
        with finished as store:
            for note in report.notes:
                click.echo(f"note: {note}", err=True)
            print_summary(store, report, experiment, output)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or signals.exit_code() is not None:
            click.echo(f"interrupted; {report.finished} trials of this run are stored; the same command goes on from here", err=True)
        raise
    if report.all_failed:
        raise CtxbenchError(f"all {report.planned} trials failed; see: ctxbench sql errors --store {experiment.store}")


def _say_power(difference: str, samples: int) -> None:
    """What the samples can show, on stderr. The statistics are a distribution of their own, which a small installation lacks."""
    try:
        from ctxbench_stats.planning import plan_power
    except ImportError:
        raise CtxbenchError("--plan-power needs the statistics: pip install ctxbench-stats") from None
    for line in plan_power(difference, samples):
        click.echo(line, err=True)


def _say_size(experiment: ExperimentConfig, yes: bool) -> None:
    """Say how many trials a large plan has before anything of it is made, and ask before a very large one."""
    from ctxbench.engine import size as plan_size

    with plugin_output_to_stderr():
        size = plan_size(experiment)
    if size > MOST_TRIALS and not yes:
        raise UsageError(f"this is a plan of {size:,} trials; to run it all the same, add --yes (--dry-run says what it is made of)")
    if size >= MANY_TRIALS:
        click.echo(f"{size:,} trials", err=True)


def _dry_run(experiment: ExperimentConfig, output: str) -> None:
    import json

    from ctxbench.engine import preview

    with plugin_output_to_stderr():
        plan = preview(experiment)
    if output == "json":
        click.echo(json.dumps(plan, indent=2, ensure_ascii=False))
        return
    click.echo(f"{experiment.name}: {plan['planned']} trials, {plan['stored']} stored, {plan['to_run']} to run (nothing was run)")
    for key in ("models", "tasks", "buckets", "codecs", "augmentations"):
        click.echo(f"  {key:14}{', '.join(str(value or 'whole') for value in plan[key])}")
    click.echo(f"  {'samples':14}{plan['samples']} in each cell, seed {experiment.seed}")
    click.echo(f"  {'store':14}{experiment.store}")
    click.echo(f"  {'config hash':14}{plan['config_hash']}")
    for note in plan["notes"]:
        click.echo(f"note: {note}", err=True)
