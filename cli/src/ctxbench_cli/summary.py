"""What ``ctxbench run`` prints when it is done: one row for each model, task, length and codec, one column for each augmentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ctxbench.config import ExperimentConfig
from ctxbench.engine import RunReport
from ctxbench.store import Store
from ctxbench_cli.output import percent, print_json, print_table

CELLS = """
SELECT model, adapter, task, bucket, language, codec, augmentation,
       any_value(token_family) AS token_family, count(*) AS n, count(*) FILTER (status = 'error') AS errors,
       avg(CASE WHEN correct THEN 1.0 ELSE 0.0 END) AS accuracy,
       avg(CASE WHEN channel_ok THEN 1.0 WHEN channel_ok IS NOT NULL THEN 0.0 END) AS channel,
       avg(channel_cer) AS channel_cer,
       avg(reference_tokens) AS reference_tokens, avg(encoded_tokens) AS encoded_tokens,
       avg(carrier_tokens) AS carrier_tokens,
       count(encoded_tokens) AS n_counted,
       sum(reference_tokens) FILTER (encoded_tokens IS NOT NULL) / nullif(sum(encoded_tokens), 0) AS encoded_ratio,
       sum(reference_tokens) FILTER (carrier_tokens IS NOT NULL) / nullif(sum(carrier_tokens), 0) AS compression_ratio,
       sum(context_bytes) FILTER (payload_bytes IS NOT NULL) / nullif(sum(payload_bytes), 0) AS text_compression,
       avg(score) AS score, avg(f1.value) AS json_f1
FROM results LEFT JOIN (SELECT trial_id, value FROM scores WHERE name = 'json_f1') AS f1 USING (trial_id)
WHERE cell IN ({cells}) AND sample_index < {samples}
GROUP BY ALL
ORDER BY model, adapter, task, bucket, language, codec, augmentation
"""


EVERY = 2**31 - 1
"""More samples than a cell can have."""


def cells(store: Store, ids: Iterable[str], samples: int) -> list[dict[str, Any]]:
    """One record for each of the cells named, over its first ``samples`` samples."""
    names = ", ".join(f"'{cell}'" for cell in ids)
    table = store.query(CELLS.format(cells=names or "NULL", samples=samples))
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def print_summary(store: Store, report: RunReport, config: ExperimentConfig, output: str) -> None:
    """The table of a run, or its records as JSON."""
    found = cells(store, report.cells, config.samples or EVERY)
    if output == "json":
        counts: dict[str, float] = {
            "planned": report.planned,
            "stored_before": report.stored_before,
            "finished": report.finished,
            "errors": report.errors,
        }
        counts |= {} if report.spent_usd is None else {"spent_usd": report.spent_usd}
        print_json({"name": config.name, "config_hash": report.config_hash, "store": config.store, **counts, "cells": found})
        return
    levels = [part.label for part in config.augmentations]
    columns, rows = _table(found, config, levels)
    print_table(columns, rows, right=[name for name in columns if name not in ("model", "task", "codec")])
    _explain(report, config, found)


def _table(found: list[dict[str, Any]], config: ExperimentConfig, levels: list[str]) -> tuple[list[str], list[list[str]]]:
    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for cell in found:
        key = (cell["model"], cell["adapter"], cell["task"], cell["bucket"], cell["codec"])
        groups.setdefault(key, {})[cell["augmentation"]] = cell
    order = _orders(config)
    columns = ["model", "task", "bucket", "codec", "tokens", "ratio", *levels]
    has_errors = any(cell["errors"] for cell in found)
    rows = []
    for key in sorted(groups, key=lambda k: (order["models"][k[0]], k[1] or "", order["tasks"][k[2]], k[3], order["codecs"][k[4]])):
        model, adapter, task, bucket, codec = key
        by_level = groups[key]
        first = by_level.get(levels[0]) or next(iter(by_level.values()))
        tokens = "" if first["encoded_tokens"] is None else f"{first['encoded_tokens']:.0f}"
        ratio = "" if first["encoded_ratio"] is None else f"{first['encoded_ratio']:.2f}"
        name = model if adapter is None else f"{model} + {adapter}"
        row = [name, task, str(bucket or "whole"), codec, tokens, ratio]
        row += [_share(by_level[level]) if level in by_level else "" for level in levels]
        if has_errors:
            row.append(str(sum(cell["errors"] for cell in by_level.values())))
        rows.append(row)
    return columns + (["errors"] if has_errors else []), rows


def _share(cell: dict[str, Any]) -> str:
    """Share of right answers, and the F1 of the values that came back where not all were right."""
    f1 = cell["json_f1"]
    partial = f" (F1 {f1:.2f})" if f1 is not None and cell["accuracy"] < 1 else ""
    return percent(cell["accuracy"]) + partial


def _orders(config: ExperimentConfig) -> dict[str, dict[str, int]]:
    keys = ("models", "tasks", "codecs")
    return {key: {part.label: i for i, part in enumerate(getattr(config, key))} for key in keys}


def _explain(report: RunReport, config: ExperimentConfig, found: list[dict[str, Any]]) -> None:
    sizes = sorted({cell["n"] for cell in found})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}" if sizes else "0"
    click.echo()
    rules = sorted({cell["token_family"] for cell in found if cell["token_family"]}) or [config.tokens.rule]
    plural = "s" if len(rules) > 1 else ""
    click.echo(f"tokens: what the codec's pages or text cost as encoded, markers included ({', '.join(rules)} rule{plural})")
    click.echo(
        "ratio:  reference text tokens of the contexts / tokens (column encoded_ratio; compression_ratio is that of the pages as sent)"
    )
    left_out = sum(cell["n"] - cell["n_counted"] for cell in found)
    if left_out:
        who = "1 trial is" if left_out == 1 else f"{left_out} trials are"
        click.echo(f"        {who} left out, which ended before tokens were counted (n and n_counted in the view summary)")
    click.echo(f"{', '.join(part.label for part in config.augmentations)}: share of right answers, {n} trials a cell")
    if any(cell["json_f1"] is not None and cell["accuracy"] < 1 for cell in found):
        click.echo("F1:     share of the JSON's values that came back in their places, where not every document came back exactly")
    if any(part.name == "channel" for part in config.models):
        click.echo("model channel: no neural model; a perfect reader of what each codec's own decoder recovers from the pixels")
    click.echo()
    done = f"{report.finished} trials run" + (f", {report.errors} of them errors" if report.errors else "")
    click.echo(f"{done}, {report.stored_before} found finished; stored in {config.store}")
    if report.idle_share is not None:
        click.echo(f"idle: models waited {percent(report.idle_share)} of the time from first prompt to last answer (runs.idle_share)")
    if report.spent_usd is not None:
        click.echo(f"spent: ${report.spent_usd:.6f}, by the models' prices (column cost_usd)")
    where = "" if config.store == "ctxbench.duckdb" else f" --store {config.store}"
    click.echo(f'next: ctxbench report{where}   or   ctxbench sql "SELECT * FROM summary"{where}')
