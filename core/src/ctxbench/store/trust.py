"""Views of what a reader can be trusted with and of what it costs: ``trust``, ``prior_gap`` and ``costs``."""

from __future__ import annotations

from ctxbench.statistics import wilson_sql
from ctxbench.store.views import CELL, correct_sql, keyed_sql

OUTCOMES = ("correct", "abstained", "confabulated", "unparsable", "looping", "truncated")
PAYLOADS = {"words": "natural", "realistic": "natural", "word": "natural"}
PAYLOADS |= dict.fromkeys(("random", "shuffled", "number", "uuid", "code", "hex"), "random")
"""Kinds of payload that a task names in its samples' metadata: can a reader guess it, or must it read?"""

PAYLOAD_OPTIONS = ("entropy", "needle_type", "payload")
"""Options of a task, and facts about its samples, that say what the payload is."""

T_975 = (
    *(12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139),
    *(2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963),
    *(2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272),
)
"""The 97.5 % quantile of Student's t for 1 to 30 degrees of freedom; beyond, :data:`T_BEYOND` is off by less than 0.0001."""

T_BEYOND = "1.959964 + 2.372271 / {df} + 2.822497 / ({df} * {df})"
"""The first terms of the Cornish-Fisher expansion of t in 1 / df: z + (z^3 + z) / (4 df) + (5 z^5 + 16 z^3 + 3 z) / (96 df^2)."""


def trust() -> str:
    """Per cell of ``summary``: how trials ended, whether a reader says so when the answer is not there, and exact identifiers.

    The interval of the mean of a precision, which lies in [0, 1], is that of ``summary``'s scores.
    """
    labels = ", ".join(CELL)
    counts = ", ".join(f"count_if(ending = '{name}')::BIGINT AS {name}" for name in OUTCOMES)
    absent_low, absent_high = wilson_sql("k_absent", "n_absent::DOUBLE")
    present_low, present_high = wilson_sql("k_present", "n_present::DOUBLE")
    low, high = wilson_sql("sum_precision", "n_identifiers::DOUBLE")
    return f"""
WITH identifiers AS (
    SELECT trial_id, arg_max(value, (created_at, metric_version)) AS exact FROM scores WHERE name = 'identifier_precision' GROUP BY trial_id
),
used AS (
    SELECT {keyed_sql()}, CASE WHEN t.status = 'error' THEN 'error' ELSE t.outcome END AS ending, {correct_sql("t")} AS correct, i.exact,
        coalesce((t.sample_metadata->>'answerable')::BOOLEAN, TRUE) AS answerable
    FROM trials t LEFT JOIN identifiers i USING (trial_id)
),
counted AS (
    SELECT cell, {counts}, count_if(ending = 'error')::BIGINT AS errors, count_if(ending IS NULL)::BIGINT AS unknown,
        count(CASE WHEN answerable THEN correct END) AS n_present, count_if(answerable AND correct)::DOUBLE AS k_present,
        count(CASE WHEN NOT answerable THEN correct END) AS n_absent, count_if(NOT answerable AND correct)::DOUBLE AS k_absent,
        count(exact) AS n_identifiers, avg(exact) AS precision, sum(exact) AS sum_precision
    FROM used GROUP BY cell
)
SELECT {", ".join(f"s.{name}" for name in CELL)}, s.variant, s.n, {", ".join(OUTCOMES)}, c.errors, unknown,
    n_present, k_present / nullif(n_present, 0) AS present_accuracy, {present_low} AS present_low, {present_high} AS present_high,
    n_absent, k_absent / nullif(n_absent, 0) AS absent_accuracy, {absent_low} AS absent_low, {absent_high} AS absent_high,
    n_identifiers, precision AS identifier_precision, {low} AS identifier_low, {high} AS identifier_high, s.cell
FROM summary s JOIN counted c USING (cell) ORDER BY {labels}, s.variant"""


def prior_gap() -> str:
    """Pairs of cells that differ in their payload alone: one that can be guessed from language and one that cannot.

    The interval of the gap is Newcombe's hybrid score interval of two independent rates (Statistics in Medicine 17, 1998, 873-890,
    method 10): the payloads are different samples.
    """
    kinds = " ".join(f"WHEN '{name}' THEN '{kind}'" for name, kind in PAYLOADS.items())
    told = ", ".join(f"any_value(t.sample_metadata->>'{name}')" for name in ("payload", "entropy", "needle_type"))
    without = "{" + ", ".join(f'"{name}": null' for name in PAYLOAD_OPTIONS) + "}"
    same = ("model", "adapter", "bucket", "language", "codec", "augmentation", "seed", "token_family", "task_version")
    configs = ("model_config", "model_fingerprint", "adapter_fingerprint", "codec_config", "augmentation_config", "task_options")
    join = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in (*same, *configs))
    shared = ", ".join(f"a.{name}" for name in ("model", "adapter", "bucket", "language", "codec", "augmentation"))
    sides = ", ".join(
        f"{alias}.{column} AS {side}_{column}"
        for column in ("task", "payload", "n", "accuracy", "accuracy_low", "accuracy_high", "score", "carrier_tokens", "variant")
        for alias, side in (("a", "natural"), ("b", "random"))
    )
    low = "sqrt(power(a.accuracy - a.accuracy_low, 2) + power(b.accuracy_high - b.accuracy, 2))"
    high = "sqrt(power(a.accuracy_high - a.accuracy, 2) + power(b.accuracy - b.accuracy_low, 2))"
    return f"""
WITH keyed AS (SELECT t.* EXCLUDE (variant, cell), {keyed_sql()} FROM trials t),
facts AS (
    SELECT cell, coalesce({told}) AS payload, any_value(json_merge_patch(t.task_config, '{without}')) AS task_options,
        {", ".join(f"any_value(t.{name}) AS {name}" for name in configs[:-1])}
    FROM keyed t GROUP BY cell
),
known AS (
    SELECT s.*, f.* EXCLUDE (cell), CASE f.payload {kinds} ELSE f.payload END AS kind FROM summary s JOIN facts f USING (cell)
)
SELECT {shared}, {sides}, a.accuracy - b.accuracy AS gap, a.accuracy - b.accuracy - {low} AS gap_low,
    a.accuracy - b.accuracy + {high} AS gap_high, a.cell AS natural_cell, b.cell AS random_cell
FROM known a JOIN known b ON {join} AND a.kind = 'natural' AND b.kind = 'random'
WHERE a.accuracy IS NOT NULL AND b.accuracy IS NOT NULL
ORDER BY {shared}, a.task, b.task, a.variant, b.variant"""


def costs() -> str:
    """Per cell of ``summary``: seconds of reading and US dollars a trial, with 95 % intervals of their means.

    A batch's time is divided by its prompts, so trials of one batch have the same seconds and are one observation: standard errors are
    clustered by the value (K.-Y. Liang and S. L. Zeger, Biometrika 73, 1986, 13-22, for a mean), with Student's t for the number of batches
    less one. One batch shows no interval.
    """
    labels = ", ".join(CELL)
    quantiles = "[" + ", ".join(map(str, T_975)) + "]"

    def moments(column: str, name: str, batches: str) -> str:
        return f"""{name} AS (
    SELECT cell, sum(m)::BIGINT AS n, count(*) AS batches, sum(m * v) / sum(m) AS mean,
        sqrt(count(*) / nullif(count(*) - 1, 0) * greatest(0, sum(m * m * v * v) - 2 * sum(m * v) / sum(m) * sum(m * m * v)
            + power(sum(m * v) / sum(m), 2) * sum(m * m))) / sum(m) AS error
    FROM (
        SELECT cell, {column} AS v, count(*)::DOUBLE AS m FROM used WHERE {column} IS NOT NULL GROUP BY cell, {column}, {batches}
    ) GROUP BY cell
)"""

    def bounds(name: str) -> str:
        t = f"CASE WHEN {name}.batches <= 31 THEN {quantiles}[{name}.batches - 1] ELSE {T_BEYOND.format(df=f'({name}.batches - 1)')} END"
        low = f"CASE WHEN {name}.error IS NOT NULL THEN greatest(0, {name}.mean - {t} * {name}.error) END"
        return f"{low} AS {{0}}_low, {name}.mean + {t} * {name}.error AS {{0}}_high"

    return f"""
WITH used AS (SELECT {keyed_sql()}, t.trial_id, t.run_id, t.read_seconds, t.cost_usd FROM trials t),
{moments("read_seconds", "times", "run_id")},
{moments("cost_usd", "money", "trial_id")}
SELECT {", ".join(f"s.{name}" for name in CELL)}, s.variant, s.n, coalesce(times.n, 0) AS n_timed, coalesce(times.batches, 0) AS n_batches,
    times.mean AS read_seconds, {bounds("times").format("read_seconds")},
    coalesce(money.n, 0) AS n_priced, money.mean AS cost_usd, {bounds("money").format("cost_usd")}, s.cell
FROM summary s LEFT JOIN times USING (cell) LEFT JOIN money USING (cell) ORDER BY {labels}, s.variant"""
