"""What the measurements of a reader share: how their cells are run, and how what came back is told."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctxbench
from ctxbench.config import make_config
from ctxbench.statistics import wilson
from ctxbench.store import Store

METRICS = ["exact_match", "character_error_rate"]

Rows = list[dict[str, Any]]


def run(
    name: str,
    tasks: list[dict[str, Any]],
    codecs: Sequence[str],
    store: Path,
    *,
    model: str = "tiny",
    adapter: str | None = None,
    augmentations: Sequence[str] = ("clean",),
    samples: int | str = "all",
    buckets: Sequence[int | None] = (None,),
    prompt: str = "",
) -> None:
    """Run what is not stored yet, on pages laid out as the reader was trained on; contexts are whole unless ``buckets`` says a length."""
    ctxbench.run(
        make_config(
            {
                "name": name,
                "samples": samples,
                "buckets": list(buckets),
                "models": [model],
                "adapters": [adapter],
                "tasks": tasks,
                "codecs": list(codecs),
                "metrics": METRICS,
                "augmentations": list(augmentations),
                "prompt": prompt,
                "run": {"channel": False, "batch_size": 32, "executor": {"name": "local", "workers": 1}},
                "store": str(store),
            }
        )
    ).close()
    print(f"{name}: done", flush=True)


def stored(path: Path, name: str | None = None) -> Rows:
    """The trials in the order of their cells, of those that were run again after an update the last ones.

    They are those of the run of that name, or of all runs.
    ``errors`` is the character error rate, 1 at most; an error of the run is a text that did not come back.
    """
    with Store.open_read_only(path) as store:
        table = store.query(
            """
            SELECT task, coalesce(adapter, 'base') AS reader, codec, augmentation, sample_index, sample_metadata, reference_tokens,
                encoded_tokens, exact_match AS exact, least(coalesce(character_error_rate, 1), 1) AS errors
            FROM results
            WHERE $name IS NULL OR run_name = $name
            QUALIFY row_number() OVER (PARTITION BY task, reader, codec, augmentation, sample_index ORDER BY created_at DESC) = 1
            ORDER BY task, reader, codec, augmentation, sample_index
            """,
            {"name": name},
        )
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def exact(rows: Rows) -> int:
    """How many came back exactly."""
    return sum(row["exact"] == 1 for row in rows)


def median_errors(rows: Rows) -> float:
    """Median character error rate, in percent."""
    return 100 * statistics.median(row["errors"] for row in rows)


def proportion(rows: Rows) -> list[str]:
    """Exact answers in percent, their 95 % Wilson interval, and the mean character error rate in percent."""
    hits = exact(rows)
    low, high = wilson(hits, len(rows))
    errors = statistics.mean(row["errors"] for row in rows)
    return [f"{100 * hits / len(rows):.0f}", f"{100 * low:.0f} to {100 * high:.0f}", f"{100 * errors:.0f}"]
