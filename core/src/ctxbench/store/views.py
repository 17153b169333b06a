"""The views. They hold no data, so they are made anew whenever their definition or the set of score names changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import duckdb

from ctxbench.store.rows import TRIAL_COLUMNS

Z = 1.959963984540054
"""The standard normal distribution's 97.5 % quantile: intervals are 95 % intervals."""

CELL = ("model", "adapter", "task", "bucket", "language", "codec", "augmentation")
"""What makes a cell of an experiment. ``adapter`` and ``language`` may be NULL, which groups like any value."""

NAMES = ("results", "summary", "frontier", "attribution", "errors")

_RUN_COLUMNS = (
    "name",
    "config_hash",
    "config",
    "seed",
    "command",
    "started_at",
    "ctxbench_version",
    "versions",
    "python",
    "platform",
    "git_revision",
    "planned",
    "status",
    "finished_at",
)
_SECONDS = ("encode", "augment", "channel", "read", "prefill", "generate", "score")
_CORRECT = "(CASE WHEN t.status = 'error' THEN FALSE ELSE t.outcome = 'correct' END)"


def quoted(name: str) -> str:
    """An SQL identifier that means exactly ``name``."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal that means exactly ``text``."""
    return "'" + text.replace("'", "''") + "'"


def fixed_columns() -> list[str]:
    """Columns of ``results`` that are there whatever was scored."""
    trials = [column.name for column in TRIAL_COLUMNS]
    return [*trials, "created_at", "correct", "run_id", *(f"run_{name}" for name in _RUN_COLUMNS)]


def score_columns(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The column of ``results`` for each (metric, score name).

    It is the score's name where that is clear; ``metric.name`` where several metrics have a score of that name or where another
    column has the name already. SQL identifiers ignore case, and so does this.
    """
    known = sorted(set(pairs))
    names = [name.casefold() for _, name in known]
    taken = {name.casefold() for name in fixed_columns()}
    columns: dict[tuple[str, str], str] = {}
    for metric, name in known:
        column = name
        if names.count(name.casefold()) > 1 or not name or name.casefold() in taken:
            column = base = f"{metric}.{name}"
            number = 2
            while column.casefold() in taken:
                column, number = f"{base}_{number}", number + 1
        taken.add(column.casefold())
        columns[metric, name] = column
    return columns


def definitions(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """SQL of every view, in an order in which they can be made."""
    return {
        "results": _results(score_columns(pairs)),
        "summary": _summary(),
        "frontier": _frontier(),
        "attribution": _attribution(),
        "errors": _errors(),
    }


def refresh(connection: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[str, str]]) -> bool:
    """Make the views anew if they are not what this program and these score names want; true if they were made.

    The definition's checksum is kept as a comment on ``results``, so that a store that is up to date is not written to.
    """
    wanted = definitions(pairs)
    mark = "ctxbench views " + hashlib.sha256("\n".join(wanted.values()).encode("utf-8")).hexdigest()[:16]
    found = connection.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'results' AND NOT internal").fetchall()
    if found == [(mark,)]:
        return False
    for name, sql in wanted.items():
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
    connection.execute(f"COMMENT ON VIEW results IS '{mark}'")
    return True


def _results(columns: dict[tuple[str, str], str]) -> str:
    trial = ", ".join(f"t.{column.name}" for column in TRIAL_COLUMNS)
    run = ", ".join(f"r.{name} AS run_{name}" for name in _RUN_COLUMNS)
    select = f"SELECT {trial}, {_CORRECT} AS correct"
    source = "FROM trials t LEFT JOIN runs r ON r.run_id = t.run_id"
    tail = f"t.run_id, t.created_at, {run}"
    if not columns:
        return f"{select}, {tail} {source}"
    # Where a metric has scored a trial in several versions, its newest score counts.
    aggregates = ", ".join(
        f"arg_max(value, (created_at, metric_version)) FILTER (WHERE metric = {literal(metric)} AND name = {literal(name)}) "
        f"AS {quoted(column)}"
        for (metric, name), column in columns.items()
    )
    wide = ", ".join(f"s.{quoted(column)}" for column in columns.values())
    scores = f"SELECT trial_id, {aggregates} FROM scores GROUP BY trial_id"
    return f"{select}, {wide}, {tail} {source} LEFT JOIN ({scores}) s ON s.trial_id = t.trial_id"


def _summary() -> str:
    """Per cell: counts, accuracy with its Wilson score interval, mean score with its normal interval, mean costs and times.

    Wilson score interval of k successes in n (E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22, 1927, 209-212): centre (k + z^2/2) / (n + z^2), half width z / (n + z^2) * sqrt(k (n - k) / n + z^2/4).
    """
    cell = ", ".join(CELL)
    seconds = ", ".join(f"avg({name}_seconds) AS {name}_seconds" for name in _SECONDS)
    centre, half = f"(k + {Z * Z / 2}) / (judged + {Z * Z})", f"{Z} / (judged + {Z * Z}) * sqrt(k * (judged - k) / judged + {Z * Z / 4})"
    return f"""
WITH cells AS (
    SELECT {cell}, count(*) AS n, count(*) FILTER (t.status = 'error') AS errors,
        count({_CORRECT})::DOUBLE AS judged, (count(*) FILTER ({_CORRECT}))::DOUBLE AS k,
        count(score) AS n_scored, avg(score) AS mean_score, {Z} * stddev_samp(score) / sqrt(count(score)) AS score_half,
        avg(reference_tokens) AS reference_tokens, avg(carrier_tokens) AS carrier_tokens, avg(prompt_tokens) AS prompt_tokens,
        avg(compression_ratio) FILTER (token_flag IS NULL) AS compression_ratio,
        avg(prompt_ratio) FILTER (token_flag IS NULL) AS prompt_ratio,
        count(*) FILTER (token_flag IS NOT NULL) AS n_flagged, avg(n_pages) AS n_pages,
        avg(channel_ok::INTEGER) AS channel_ok, avg(channel_cer) AS channel_cer, {seconds},
        count(DISTINCT (model_fingerprint, adapter_fingerprint, task_config, codec_config, augmentation_config)) AS n_variants
    FROM trials t GROUP BY {cell}
)
SELECT {cell}, n, errors, k / nullif(judged, 0) AS accuracy,
    CASE WHEN judged > 0 THEN greatest(0, {centre} - {half}) END AS accuracy_low,
    CASE WHEN judged > 0 THEN least(1, {centre} + {half}) END AS accuracy_high,
    n_scored, mean_score AS score, mean_score - score_half AS score_low, mean_score + score_half AS score_high,
    reference_tokens, carrier_tokens, prompt_tokens, compression_ratio, prompt_ratio, n_flagged, n_pages,
    channel_ok, channel_cer, {", ".join(f"{name}_seconds" for name in _SECONDS)}, n_variants
FROM cells ORDER BY {cell}"""


def _frontier() -> str:
    """The cells that no other cell of their group beats: none is both as cheap and as accurate, and better in one of the two."""
    group = [name for name in CELL if name != "codec"]
    same = " AND ".join(f"o.{name} IS NOT DISTINCT FROM c.{name}" for name in group)
    return f"""
SELECT {", ".join(f"c.{name}" for name in CELL)}, c.n, c.errors, c.carrier_tokens, c.accuracy, c.accuracy_low, c.accuracy_high,
    c.compression_ratio, c.score
FROM summary c
WHERE c.carrier_tokens IS NOT NULL AND c.accuracy IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM summary o WHERE {same} AND o.carrier_tokens <= c.carrier_tokens AND o.accuracy >= c.accuracy
        AND (o.carrier_tokens < c.carrier_tokens OR o.accuracy > c.accuracy)
)
ORDER BY {", ".join(f"c.{name}" for name in group)}, c.carrier_tokens"""


def _attribution() -> str:
    """Per cell, as shares of its trials that sum to 1: right, lost in the channel, lost by the reader, unknown, errors."""
    cell = ", ".join(CELL)
    return f"""
SELECT {cell}, count(*) AS n,
    (count(*) FILTER (fate = 'correct')) / count(*) AS correct,
    (count(*) FILTER (fate = 'channel')) / count(*) AS lost_in_channel,
    (count(*) FILTER (fate = 'reader')) / count(*) AS lost_in_reader,
    (count(*) FILTER (fate = 'unknown')) / count(*) AS unknown,
    (count(*) FILTER (fate = 'error')) / count(*) AS errors
FROM (
    SELECT {cell}, CASE
        WHEN t.status = 'error' THEN 'error'
        WHEN {_CORRECT} THEN 'correct'
        WHEN {_CORRECT} IS NULL OR channel_ok IS NULL THEN 'unknown'
        WHEN channel_ok THEN 'reader'
        ELSE 'channel' END AS fate
    FROM trials t
) GROUP BY {cell} ORDER BY {cell}"""


def _errors() -> str:
    """One row for each distinct error, the most frequent first."""
    parts = ", ".join(f"list_sort(list(DISTINCT {name})) AS {name}s" for name in ("model", "task", "codec", "augmentation"))
    return f"""
SELECT count(*) AS n, error_stage, error_type, error_message, {parts}, max(created_at) AS last_at, min(trial_id) AS example
FROM trials WHERE status = 'error'
GROUP BY error_stage, error_type, error_message ORDER BY n DESC, error_stage, error_type, error_message"""
