"""``ctxbench compare A B``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ctxbench_stats.comparing import Difference
    from ctxbench_stats.matching import Matched


@click.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--store", type=click.Path(), default="ctxbench.duckdb", show_default=True, help="The store that both are in.")
@click.option("-m", "--model", "models", multiple=True, help="Only trials of this model. Repeatable, as are the next five.")
@click.option("--adapter", "adapters", multiple=True, help="Only trials with this adapter.")
@click.option("-t", "--task", "tasks", multiple=True, help="Only this task.")
@click.option("-b", "--bucket", "buckets", multiple=True, type=click.IntRange(1), help="Only this context length in tokens.")
@click.option("-c", "--codec", "codecs", multiple=True, help="Only this codec.")
@click.option("-a", "--augment", "augmentations", multiple=True, help="Only this level of augmentation.")
@click.option("--measure", help="A score to compare, such as character_error_rate, in place of accuracy, score and ratio.")
@click.option("--margin", default="5pp", show_default=True, help="What differs by less than this is called equivalent.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON document.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(a: str, b: str, store: str, measure: str | None, margin: str, as_json: bool, output: str, **filters: tuple[Any, ...]) -> None:
    """Compare A and B on the samples that both were run on.

    A and B are two codecs, models, adapters, levels of augmentation, runs (id, the beginning of one, or the config's name), variants, or
    store files. KIND:NAME says which is meant, NAME@VARIANT which of several variants, 'tiny + codebook' a model with an adapter, and
    'base' no adapter. Trials are paired by task, length, sample and damage; everything else that is not compared must agree.
    """
    from ctxbench_stats.api import compare
    from ctxbench_stats.power import parse_points

    names = {"models": "model", "adapters": "adapter", "tasks": "task", "buckets": "bucket", "codecs": "codec"}
    names["augmentations"] = "augmentation"
    chosen = {names[key]: list(values) for key, values in filters.items()}
    matched, found = compare(store, a, b, filters=chosen, measure=measure, margin=parse_points(margin))
    if as_json or output == "json":
        _print_json(matched, found)
    else:
        _print(matched, found)


def _print_json(matched: Matched, found: list[Difference]) -> None:
    import attrs

    from ctxbench_cli.output import print_json

    head = {"kind": matched.kind, "a": matched.a, "b": matched.b, "shared": len(matched.pairs)}
    left = {"unmatched_a": matched.unmatched_a, "unmatched_b": matched.unmatched_b, "notes": matched.notes}
    print_json({**head, **left, "differences": [attrs.asdict(row) for row in found]})


def _print(matched: Matched, found: list[Difference]) -> None:
    from ctxbench_cli.output import print_table

    click.echo(f"{matched.kind} {matched.a} (A) against {matched.b} (B): {len(matched.pairs):,} samples shared")
    for name, reasons in ((matched.a, matched.unmatched_a), (matched.b, matched.unmatched_b)):
        if reasons:
            click.echo(f"  {sum(reasons.values()):,} trials of {name} have no partner:")
            for reason, count in reasons.items():
                click.echo(f"    {count:,}  {reason}")
    errors = [sum(pair[side]["status"] == "error" for pair in matched.pairs) for side in (0, 1)]
    if any(errors):
        click.echo(f"  errors count as not right: {errors[0]:,} of A, {errors[1]:,} of B")
    for note in matched.notes:
        click.echo(f"  note: {note}")
    labels = list(dict.fromkeys(label for row in found for label in row.stratum))
    for measure in dict.fromkeys(row.measure for row in found):
        rows = [row for row in found if row.measure == measure]
        click.echo()
        columns = [*labels, "n", "A", "B", "A - B", "95 % interval", "p", *(["p (Holm)"] if len(rows) > 1 else []), "verdict"]
        print_table(columns, [_cells(row, columns) for row in rows], title=measure, right=columns[len(labels) : -1])
    click.echo()
    for line in _method(found):
        click.echo(line)


def _cells(row: Difference, columns: list[str]) -> list[str]:
    show = _rate if row.measure == "accuracy" else _number
    known = {
        "n": str(row.n) if row.clusters == row.n else f"{row.n} in {row.clusters} contexts",
        "A": show(row.a),
        "B": show(row.b),
        "A - B": show(row.difference, True),
        "95 % interval": "" if row.low is None or row.high is None else f"{show(row.low, True)} to {show(row.high, True)}",
        "p": _p(row.p),
        "p (Holm)": _p(row.p_holm),
        "verdict": row.verdict,
    }
    labels = {name: "all" if not row.stratum else _label(row.stratum.get(name)) for name in columns if name not in known}
    return [labels[name] if name in labels else known[name] for name in columns]


def _label(value: Any) -> str:
    return "base" if value is None else str(value)


def _rate(value: float, signed: bool = False) -> str:
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f} %"


def _number(value: float, signed: bool = False) -> str:
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _method(found: list[Difference]) -> list[str]:
    """How the figures were found, a line for each measure."""
    lines = []
    for measure in dict.fromkeys(row.measure for row in found):
        rows = [row for row in found if row.measure == measure]
        intervals = ", ".join(dict.fromkeys(row.interval for row in rows))
        tests = ", ".join(dict.fromkeys(row.test for row in rows))
        lines.append(f"{measure}: interval {intervals}; test {tests}")
    if any(row.p_holm is not None for row in found):
        lines.append("p (Holm): adjusted for the rows of a table; 'all' is one more test, of the pairs together, clustered by context")
    return lines
