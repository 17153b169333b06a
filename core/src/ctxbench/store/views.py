"""The views. They hold no data, so they are made anew whenever their definition or the set of score names changes."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping

import duckdb

from ctxbench.statistics import normal_quantile, wilson_sql
from ctxbench.store.rows import TRIAL_COLUMNS

CELL = ("model", "adapter", "task", "bucket", "language", "codec", "augmentation")
"""What makes a cell of an experiment. ``adapter`` and ``language`` may be NULL, which groups like any value."""

NAMES = ("results", "summary", "ratios", "frontier", "attribution", "trust", "prior_gap", "costs", "errors")

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
    "environment",
    "planned",
    "status",
    "finished_at",
)
_SECONDS = ("encode", "augment", "channel", "read", "prefill", "generate", "score")
MARGIN = 0.05
"""Accuracy that a cheaper cell may be lower by and still beat a dearer one, in ``frontier``."""

REPLICATES = 200
"""Bootstrap replicates of ``ratios``."""

_POISSON = tuple(itertools.accumulate(math.exp(-1) / math.factorial(k) for k in range(10)))
"""Cumulative probabilities of a Poisson(1) variable."""


def correct_sql(table: str) -> str:
    """SQL of whether a trial was answered right: an error is wrong, a trial without an outcome is neither."""
    return f"(CASE WHEN {table}.status = 'error' THEN FALSE ELSE {table}.outcome = 'correct' END)"


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
    from ctxbench.store import trust

    return {
        "results": _results(score_columns(pairs)),
        "summary": _summary(),
        "ratios": _ratios(),
        "frontier": _frontier(),
        "attribution": _attribution(),
        "trust": trust.trust(),
        "prior_gap": trust.prior_gap(),
        "costs": trust.costs(),
        "errors": _errors(),
    }


def _groups(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """The definitions that change together. What was scored decides ``results`` alone, and no other view reads it."""
    others = definitions(pairs)
    return {"results": others.pop("results")}, others


def refresh(connection: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[str, str]]) -> bool:
    """Make the views anew that are not what this program and these score names want; true if there were any.

    The checksum of a group of definitions is kept as a comment on its first view, so that a store that is up to date is not written to.
    """
    outdated = [group for group in _groups(pairs) if not _current(connection, group)]
    for group in outdated:
        for name, sql in group.items():
            connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
        connection.execute(f"COMMENT ON VIEW {next(iter(group))} IS '{_mark(group)}'")
    return bool(outdated)


def outdated(connection: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Statements that give a connection which cannot write temporary views in place of outdated ones; none if those stored are up to date.

    A store that another release of this program has written, and that is only read now, answers as this one's would.
    """
    groups = _groups(pairs)
    if all(_current(connection, group) for group in groups):
        return []
    return [f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}" for group in groups for name, sql in group.items()]


def _mark(group: Mapping[str, str]) -> str:
    return "ctxbench views " + hashlib.sha256("\n".join(group.values()).encode("utf-8")).hexdigest()[:16]


def _current(connection: duckdb.DuckDBPyConnection, group: Mapping[str, str]) -> bool:
    sql = "SELECT comment FROM duckdb_views() WHERE view_name = ? AND NOT internal AND NOT temporary"
    return connection.execute(sql, [next(iter(group))]).fetchall() == [(_mark(group),)]


def _results(columns: dict[tuple[str, str], str]) -> str:
    keys = _keys("t")
    trial = ", ".join(f"{keys.get(column.name, 't.' + column.name)} AS {column.name}" for column in TRIAL_COLUMNS)
    run = ", ".join(f"r.{name} AS run_{name}" for name in _RUN_COLUMNS)
    select = f"SELECT {trial}, {correct_sql('t')} AS correct"
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


def _keys(t: str) -> dict[str, str]:
    """SQL of the hashes that tell cells and variants apart; for rows of before they were stored, one made of what there is.

    ``CASE`` and not ``coalesce``: in two calls of ``coalesce`` DuckDB finds the same expression, and hashes every row that needs none.
    """
    parts = (
        *CELL,
        "model_fingerprint",
        "adapter_fingerprint",
        "model_config",
        "task_config",
        "codec_config",
        "augmentation_config",
        "seed",
    )
    old = "md5(concat_ws('|', " + ", ".join(f"coalesce({t}.{name}::VARCHAR, '-')" for name in parts) + "))"
    return {name: f"CASE WHEN {t}.{name} <> '' THEN {t}.{name} ELSE {old} END" for name in ("variant", "cell")}


def keyed_sql(alias: str = "t") -> str:
    """The same as two columns of a query."""
    return ", ".join(f"{sql} AS {name}" for name, sql in _keys(alias).items())


def _summary() -> str:
    """Per cell: counts, accuracy and mean score with intervals, ratios of mean costs, mean times.

    The interval of a mean score in [0, 1] is Wilson's for as many successes as the scores sum to: a variable in [0, 1] of mean m has no
    larger variance than a rate of m, so it is never too narrow for that reason, and it cannot leave [0, 1]. Scores outside [0, 1] get the
    normal interval.
    """
    labels = ", ".join(CELL)
    seconds = ", ".join(f"avg({name}_seconds) AS {name}_seconds" for name in _SECONDS)
    low, high = wilson_sql("k", "judged")
    score_low, score_high = wilson_sql("sum_score", "n_scored::DOUBLE")
    times = ", ".join(f"{name}_seconds" for name in _SECONDS)
    normal = f"{normal_quantile()} * sd_score / sqrt(n_scored)"
    return f"""
WITH keyed AS (SELECT t.* EXCLUDE (variant, cell), {keyed_sql()} FROM trials t),
cells AS (
    SELECT {labels}, variant, cell, any_value(seed) AS seed, any_value(token_family) AS token_family,
        any_value(model_version) AS model_version, any_value(task_version) AS task_version,
        any_value(codec_version) AS codec_version, any_value(augmentation_version) AS augmentation_version,
        max(created_at) AS newest, count(*) AS n, count_if(status = 'error')::BIGINT AS errors,
        count({correct_sql("keyed")})::DOUBLE AS judged, count_if({correct_sql("keyed")})::DOUBLE AS k,
        count(score) AS n_scored, avg(score) AS mean_score, sum(score) AS sum_score, stddev_samp(score) AS sd_score,
        min(score) AS least_score, max(score) AS most_score,
        avg(reference_tokens) AS reference_tokens, avg(carrier_tokens) AS carrier_tokens, avg(encoded_tokens) AS encoded_tokens,
        avg(prompt_tokens) AS prompt_tokens, count(carrier_tokens) AS n_counted,
        sum(reference_tokens) FILTER (carrier_tokens IS NOT NULL) / nullif(sum(carrier_tokens), 0) AS compression_ratio,
        sum(reference_tokens) FILTER (encoded_tokens IS NOT NULL) / nullif(sum(encoded_tokens), 0) AS encoded_ratio,
        sum(text_prompt_tokens) FILTER (formula_prompt_tokens IS NOT NULL) / nullif(sum(formula_prompt_tokens), 0) AS prompt_ratio,
        sum(context_bytes) FILTER (payload_bytes IS NOT NULL) / nullif(sum(payload_bytes), 0) AS text_compression,
        count(token_flag) AS n_flagged, avg(n_pages) AS n_pages,
        avg(channel_ok::INTEGER) AS channel_ok, avg(channel_correct::INTEGER) AS channel_correct, avg(channel_cer) AS channel_cer,
        max(training_overlap) AS training_overlap, avg(cost_usd) AS cost_usd, {seconds}
    FROM keyed GROUP BY cell, variant, {labels}
),
ranked AS (
    SELECT *, row_number() OVER release = 1 AS is_newest, sum(n) OVER (PARTITION BY {labels}, variant) - n AS n_superseded
    FROM cells WINDOW release AS (PARTITION BY {labels}, variant ORDER BY newest DESC, cell)
)
SELECT {labels}, variant, n, errors, k / nullif(judged, 0) AS accuracy, {low} AS accuracy_low, {high} AS accuracy_high,
    n_scored, mean_score AS score,
    CASE WHEN least_score >= 0 AND most_score <= 1 THEN {score_low} ELSE mean_score - {normal} END AS score_low,
    CASE WHEN least_score >= 0 AND most_score <= 1 THEN {score_high} ELSE mean_score + {normal} END AS score_high,
    reference_tokens, encoded_tokens, carrier_tokens, prompt_tokens, n_counted, encoded_ratio, compression_ratio, prompt_ratio,
    text_compression, n_flagged, n_pages, channel_ok, channel_correct, channel_cer, training_overlap, cost_usd, {times},
    seed, token_family, model_version, task_version, codec_version, augmentation_version,
    count(*) OVER (PARTITION BY {labels}) AS n_variants, n_superseded, cell
FROM ranked WHERE is_newest ORDER BY {labels}, variant"""


def _ratios() -> str:
    """Per cell of ``summary``: ratios of mean costs with 95 % bootstrap percentile intervals.

    Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy et al. 2012): in each of :data:`REPLICATES` replicates a trial counts as often
    as a Poisson(1) variable says, which is drawn from a hash of the trial's id, so that the same store gives the same interval.
    """
    labels = ", ".join(CELL)
    names = {"encoded_ratio": ("reference_tokens", "encoded_tokens"), "compression_ratio": ("reference_tokens", "carrier_tokens")}
    names |= {"prompt_ratio": ("text_prompt_tokens", "formula_prompt_tokens")}
    point = ", ".join(
        f"sum({top}) FILTER ({under} IS NOT NULL) / nullif(sum({under}), 0) AS {name}" for name, (top, under) in names.items()
    )
    drawn = ", ".join(
        f"sum(w * {top}) FILTER ({under} IS NOT NULL) / nullif(sum(w * {under}), 0) AS {name}" for name, (top, under) in names.items()
    )
    bounds = ", ".join(f"quantile_cont({name}, 0.025) AS {name}_low, quantile_cont({name}, 0.975) AS {name}_high" for name in names)
    chosen = ", ".join(f"p.{name}, d.{name}_low, d.{name}_high" for name in names)
    steps = " ".join(f"WHEN u < {bound!r} THEN {count}" for count, bound in enumerate(_POISSON))
    return f"""
WITH newest AS (SELECT cell FROM summary),
used AS (
    SELECT k.cell, k.trial_id, reference_tokens, encoded_tokens, carrier_tokens, text_prompt_tokens, formula_prompt_tokens
    FROM (SELECT t.* EXCLUDE (variant, cell), {keyed_sql()} FROM trials t) k SEMI JOIN newest USING (cell)
),
points AS (SELECT cell, count(carrier_tokens) AS n_counted, {point} FROM used GROUP BY cell),
weighted AS (
    SELECT *, CASE {steps} ELSE {len(_POISSON)} END AS w
    FROM (SELECT used.*, b, hash(xor(hash(trial_id), hash(b))) / 18446744073709551616.0 AS u FROM used, range({REPLICATES}) r(b))
),
replicates AS (SELECT cell, b, {drawn} FROM weighted GROUP BY cell, b),
intervals AS (SELECT cell, {bounds} FROM replicates GROUP BY cell)
SELECT {", ".join(f"s.{name}" for name in CELL)}, s.variant, p.n_counted, {chosen}, s.text_compression
FROM summary s JOIN points p USING (cell) JOIN intervals d USING (cell) ORDER BY {labels}, s.variant"""


def _frontier() -> str:
    """The cells that no other cell of their group beats, at 95 % confidence.

    A cell is beaten by one that costs no more if that one's accuracy is shown to be at most :data:`MARGIN` lower: the lower bound of the
    difference of the two rates (Newcombe's hybrid score interval, Statistics in Medicine 17, 1998, 873-890, method 10) lies above
    -MARGIN. With few trials hardly anything is shown, and hardly any cell is left out.
    """
    group = [*(name for name in CELL if name != "codec"), "seed", "token_family"]
    same = " AND ".join(f"o.{name} IS NOT DISTINCT FROM c.{name}" for name in group)
    worse = "(o.accuracy - c.accuracy) - sqrt(power(o.accuracy - o.accuracy_low, 2) + power(c.accuracy_high - c.accuracy, 2))"
    columns = (*CELL, "variant", "n", "errors", "carrier_tokens", "accuracy", "accuracy_low", "accuracy_high", "compression_ratio", "score")
    return f"""
SELECT {", ".join(f"c.{name}" for name in columns)}
FROM summary c
WHERE c.carrier_tokens IS NOT NULL AND c.accuracy IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM summary o WHERE {same} AND o.cell <> c.cell AND {worse} > -{MARGIN}
        AND (o.carrier_tokens < c.carrier_tokens OR (o.carrier_tokens = c.carrier_tokens AND o.accuracy > c.accuracy))
)
ORDER BY {", ".join(f"c.{name}" for name in group)}, c.carrier_tokens, c.codec, c.variant"""


def _attribution() -> str:
    """Per cell of ``summary``, as shares of its trials that sum to 1: where the answer was lost, in the pixels or by the reader.

    The channel's verdict is whether the task's own solver answers the question right from what the codec's decoder recovered.
    """
    labels = ", ".join(CELL)
    fates = {
        "correct": "right",
        "in_spite_of_channel": "spite",
        "lost_in_channel": "channel",
        "lost_in_reader": "reader",
        "unknown": "unknown",
        "errors": "error",
    }
    shares = ",\n    ".join(f"(count(*) FILTER (fate = '{fate}')) / count(*) AS {name}" for name, fate in fates.items())
    return f"""
SELECT {labels}, variant, count(*) AS n,
    {shares}
FROM (
    SELECT {", ".join(f"s.{name}" for name in CELL)}, s.variant, CASE
        WHEN t.status = 'error' THEN 'error'
        WHEN {correct_sql("t")} AND NOT coalesce(t.channel_correct, TRUE) THEN 'spite'
        WHEN {correct_sql("t")} THEN 'right'
        WHEN {correct_sql("t")} IS NULL OR t.channel_correct IS NULL THEN 'unknown'
        WHEN t.channel_correct THEN 'reader'
        ELSE 'channel' END AS fate
    FROM (SELECT t.* EXCLUDE (variant, cell), {keyed_sql()} FROM trials t) t JOIN summary s USING (cell)
) GROUP BY {labels}, variant ORDER BY {labels}, variant"""


def _errors() -> str:
    """One row for each distinct error, the most frequent first."""
    parts = ", ".join(f"list_sort(list(DISTINCT {name})) AS {name}s" for name in ("model", "task", "codec", "augmentation"))
    return f"""
SELECT count(*) AS n, error_stage, error_type, error_message, {parts}, max(created_at) AS last_at, min(trial_id) AS example
FROM trials WHERE status = 'error'
GROUP BY error_stage, error_type, error_message ORDER BY n DESC, error_stage, error_type, error_message"""
