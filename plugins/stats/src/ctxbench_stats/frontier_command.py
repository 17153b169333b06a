"""``ctxbench frontier CODEC --vary OPTION=LOW..HIGH``"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ctxbench_stats.frontier import Frontier, Point


@click.command("frontier")
@click.argument("codec", metavar="CODEC")
@click.option("--vary", required=True, metavar="OPTION=VALUES", help="Density option: cell=2..8, scale=0.2..1:0.1 or colors=2,4,8.")
@click.option("-m", "--model", default="channel", show_default=True, help="Model that reads.")
@click.option("--adapter", help="LoRA adapter.")
@click.option("-t", "--task", default="needle", show_default=True, help="Task, with options like a codec's.")
@click.option("-b", "--bucket", type=click.IntRange(1), default=512, show_default=True, help="Context length in reference tokens.")
@click.option("-a", "--augment", default="clean", show_default=True, help="Level of augmentation.")
@click.option("-n", "--samples", type=click.IntRange(1), default=40, show_default=True, help="Samples of each density.")
@click.option("--tau", type=click.FloatRange(0, 1, min_open=True), default=0.9, show_default=True, help="Share of text's accuracy to keep.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="All randomness is derived from it.")
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Set any config value. Repeatable.")
@click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="DuckDB file for the results.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON document.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(codec: str, vary: str, tau: float, sets: tuple[str, ...], as_json: bool, output: str, **flags: Any) -> None:
    """Search for the densest CODEC that a model still reads: its effective compression ratio, ECR@tau.

    The values of one option are ordered by what they cost, and bisected: a value passes if the lower bound of its accuracy (95 %, Wilson)
    lies above tau times the same model's accuracy on plain text, on the same samples. All trials go through the normal run into the
    store; the same command again runs only what is missing. CODEC may carry options: codebook:colors=2.
    """
    from ctxbench.config import parse_component
    from ctxbench_cli.progress import make_progress
    from ctxbench_stats.density import parse_vary
    from ctxbench_stats.frontier import Search

    option, values = parse_vary(vary)
    part = parse_component(codec)
    options = {} if isinstance(part, str) else {key: value for key, value in part.items() if key not in ("name", "label")}
    name = part if isinstance(part, str) else str(part["name"])
    search = Search(
        config=_config(flags, sets),
        codec=name,
        options=options,
        option=option,
        values=values,
        tau=tau,
        progress=make_progress,
        command="ctxbench " + shlex.join(sys.argv[1:]),
        say=lambda line: click.echo(line, err=True),
    )
    found = search.run()
    if as_json or output == "json":
        _print_json(found, name, option)
    else:
        _print(found, name, option)


def _config(flags: dict[str, Any], sets: tuple[str, ...]) -> Any:
    from ctxbench.config import apply_overrides, make_config, parse_component

    data = make_config({"name": "frontier"}, "frontier").plain()
    data |= {"models": [flags["model"]], "adapters": [flags["adapter"]], "tasks": [parse_component(flags["task"])]}
    data |= {"buckets": [flags["bucket"]], "augmentations": [parse_component(flags["augment"])]}
    data |= {"samples": flags["samples"], "seed": flags["seed"], "store": flags["store"]}
    return make_config(apply_overrides(data, sets), "frontier")


def _print_json(found: Frontier, codec: str, option: str) -> None:
    import attrs

    from ctxbench_cli.output import print_json

    def plain(point: Point | None) -> dict[str, Any] | None:
        return None if point is None else {**attrs.asdict(point), "accuracy": point.accuracy}

    print_json(
        {
            "codec": codec,
            "option": option,
            "tau": found.tau,
            "ecr": found.ecr,
            "threshold": found.threshold,
            "best": plain(found.best),
            "text": plain(found.text),
            "points": [plain(point) for point in found.points],
            "baselines": [{**attrs.asdict(row, recurse=False), "point": plain(row.point)} for row in found.baselines],
            "skipped": [attrs.asdict(candidate) for candidate in found.skipped],
            "notes": found.notes,
        }
    )


def _print(found: Frontier, codec: str, option: str) -> None:
    from ctxbench_cli.output import print_table

    columns = ["carrier", "tokens", "ratio", "n", "accuracy", "95 % interval", "channel", ""]
    points = sorted(found.points, key=lambda point: point.ratio or 0.0)
    rows = [_row(found.text, "the bar"), *(_row(point, "passes" if point.passes else "does not pass") for point in points)]
    print_table(columns, rows, title=f"{codec}: accuracy over ratio", right=columns[1:-1])
    click.echo()
    if found.best is None:
        click.echo(f"ECR@{found.tau:g}: none of these values passes")
    else:
        click.echo(f"ECR@{found.tau:g} = {found.ecr:.2f}, at {option}={found.best.value}")
    click.echo(f"passes: lower bound above {found.tau:g} x accuracy on text = {100 * found.threshold:.1f} %")
    click.echo("channel: share that a perfect reader of what the codec's decoder recovers would answer right; the ceiling of this decoder")
    for candidate in found.skipped:
        click.echo(f"not encoded: {option}={candidate.value}: {candidate.error}")
    for note in found.notes:
        click.echo(f"note: {note}")
    if not found.baselines:
        return
    click.echo()
    beside = found.best or found.points[0]
    columns = ["baseline", "tokens", "ratio", "n", "accuracy", "95 % interval", "channel", f"{codec} is better by", "p"]
    rows = [
        [*_row(row.point, "")[:-1], f"{_signed(row.difference)} ({_signed(row.low)} to {_signed(row.high)})", _p(row.p)]
        for row in found.baselines
    ]
    print_table(columns, rows, title=f"baselines at the tokens of {beside.label}, in points", right=columns[1:])


def _row(point: Point, verdict: str) -> list[str]:
    return [
        point.label,
        "" if point.tokens is None else f"{point.tokens:.0f}",
        "" if point.ratio is None else f"{point.ratio:.2f}",
        str(point.n),
        f"{100 * point.accuracy:.1f} %",
        f"{100 * point.low:.1f} to {100 * point.high:.1f}",
        "" if point.channel is None else f"{100 * point.channel:.0f} %",
        verdict,
    ]


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
