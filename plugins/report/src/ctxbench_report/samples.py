"""The trials that a report lets people look at: chosen over all cells and outcomes, within bounds of number and size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

from ctxbench.store import Store
from ctxbench_report.data import Filters

TEXT_BYTES = 6_000_000
"""Bound on the texts of all samples together, as UTF-8. A text that several samples share counts once."""

LONGEST = {"question": 2_000, "expected": 20_000, "prediction": 20_000, "prompt": 2_000, "error_message": 2_000, "channel_error": 500}
"""Characters that are kept of each text."""

_PLAIN = (
    "sample_index",
    "outcome",
    "status",
    "error_stage",
    "error_type",
    "primary_score",
    "score",
    "finish_reason",
    "context_chars",
    "reference_tokens",
    "carrier_text_tokens",
    "carrier_visual_tokens",
    "carrier_tokens",
    "prompt_tokens",
    "completion_tokens",
    "compression_ratio",
    "token_source",
    "token_flag",
    "channel_ok",
    "channel_correct",
    "channel_cer",
    "encode_seconds",
    "augment_seconds",
    "channel_seconds",
    "read_seconds",
    "prefill_seconds",
    "generate_seconds",
    "score_seconds",
)

COLUMNS = ("trial_id", "cell", *_PLAIN, *LONGEST, "metadata", "pages")
"""Of a sample in the page: ``cell`` is the place of its cell in the table of cells; the columns of :data:`LONGEST` are places in the list
of texts; ``pages`` is a list of (SHA-256, path or null, width, height, visual tokens)."""


@attrs.frozen
class Samples:
    """Chosen trials.

    Attributes:
        rows: by :data:`COLUMNS`.
        texts: every text once.
        total: trials that there were to choose from.
        clipped: texts that were cut at their bound.
    """

    rows: list[list[Any]]
    texts: list[str]
    total: int
    clipped: int


def choose(store: Store, filters: Filters, places: dict[str, int], most: int) -> Samples:
    """At most ``most`` trials: of every outcome in every cell the same number, as far as there are any, the first samples first.

    Args:
        places: the place of each cell, by its id; trials of other cells are left out.
    """
    texts: dict[str, int] = {}
    rows: list[list[Any]] = []
    size = clipped = 0
    ids = ", ".join(map(_literal, places)) or "NULL"
    chosen_from = f"FROM results WHERE {filters.where()} AND cell IN ({ids})"
    total = store.query(f"SELECT count(*) {chosen_from}").rows[0][0]
    for trial in _ranked(store, chosen_from, most):
        places_of_text: list[int | None] = []
        for name, longest in LONGEST.items():
            text = trial[name]
            if text is None:
                places_of_text.append(None)
                continue
            if len(text) > longest:
                text = f"{text[:longest]} … [{len(text) - longest:,} more characters]"
                clipped += 1
            if text not in texts:
                size += len(text.encode("utf-8", "replace"))
                texts[text] = len(texts)
            places_of_text.append(texts[text])
        if size > TEXT_BYTES:
            break
        metadata = json.dumps(json.loads(trial["sample_metadata"] or "{}"), ensure_ascii=False)[:2_000]
        rows.append([trial["trial_id"], places[trial["cell"]], *(trial[name] for name in _PLAIN), *places_of_text, metadata, []])
    _add_pages(store, rows)
    rows.sort(key=lambda row: (row[1], row[2]))
    return Samples(rows, list(texts), total, clipped)


def _ranked(store: Store, chosen_from: str, most: int) -> Iterator[dict[str, Any]]:
    columns = ", ".join(("trial_id", "cell", *_PLAIN, *LONGEST, "sample_metadata"))
    ranked = f"""
        SELECT trial_id, row_number() OVER (PARTITION BY cell, coalesce(outcome, status) ORDER BY sample_index, trial_id) AS rank,
            coalesce(outcome, status) = 'correct' AS dull, sample_index {chosen_from}"""
    # The trials first and their texts afterwards: sorting texts of 100,000 trials takes many times longer.
    first = (
        f"SELECT trial_id, row_number() OVER (ORDER BY rank, dull, sample_index, trial_id) AS place FROM ({ranked}) QUALIFY place <= {most}"
    )
    table = store.query(f"SELECT {columns} FROM results JOIN ({first}) USING (trial_id) ORDER BY place")
    for row in table.rows:
        yield dict(zip(table.columns, row, strict=True))


def _add_pages(store: Store, rows: list[list[Any]]) -> None:
    by_id = {row[0]: row[-1] for row in rows}
    ids = ", ".join(map(_literal, by_id)) or "NULL"
    sql = f"SELECT trial_id, sha256, path, width, height, visual_tokens FROM pages WHERE trial_id IN ({ids}) ORDER BY trial_id, page"
    for trial_id, *page in store.query(sql).rows:
        by_id[trial_id].append(page)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
