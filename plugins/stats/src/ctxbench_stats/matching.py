"""Trials of A and trials of B on the same samples, under the same damage; and why the others have no partner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ctxbench import UsageError
from ctxbench.store import Store
from ctxbench_stats.sides import Side

LABELS = ("model", "adapter", "task", "bucket", "codec", "augmentation")
"""What a comparison is broken down by, without what is compared."""

_OPTIONS = {
    "task": ("task_config", "task_fingerprint"),
    "model": ("model_config", "model_fingerprint", "model_runtime"),
    "adapter": ("adapter_fingerprint",),
    "codec": ("codec_config", "codec_fingerprint"),
    "augmentation": ("augmentation_config", "augmentation_fingerprint"),
}
"""What else must agree where a label does: options, data, weights."""

_VERSIONS = ("task_version", "model_version", "codec_version", "augmentation_version")
_COMPARED = {"codec": ("codec",), "model": ("model",), "reader": ("model", "adapter"), "adapter": ("adapter",), "level": ("augmentation",)}
_WORDS = {"augmentation": "level", "seed": "experiment seed", "token_config": "counting rules", "sample_index": "sample"}
_VALUES = ("correct", "score", "status", "reference_tokens", "encoded_tokens", "carrier_tokens")

Row = Mapping[str, Any]


@attrs.frozen
class Matched:
    """What came of the matching.

    Attributes:
        kind: what is compared.
        a, b: names of the sides.
        pairs: trials on the same sample.
        unmatched_a, unmatched_b: trials without a partner, counted by the reason.
        notes: what else differs between the partners of pairs.
        strata: labels that pairs may differ in.
    """

    kind: str
    a: str
    b: str
    pairs: list[tuple[Row, Row]]
    unmatched_a: dict[str, int]
    unmatched_b: dict[str, int]
    notes: list[str]
    strata: tuple[str, ...]


def rows_of(store: Store, side: Side, filters: Mapping[str, Sequence[Any]], measure: str | None = None) -> list[dict[str, Any]]:
    """The trials of a side, of each variant the newest release, as dictionaries.

    Args:
        filters: column to the values that are let through.
        measure: a score's column in ``results``, read as ``value``.
    """
    columns = [*LABELS, *(name for group in _OPTIONS.values() for name in group), *_VERSIONS, *_VALUES]
    columns += ["seed", "token_config", "sample_index", "sample_seed", "augmentation_seed", "context_sha256", "question"]
    columns += ["variant", "cell", "trial_id", "created_at"]
    where, parameters = [f"({side.where})"], list(side.parameters)
    for column, values in filters.items():
        where.append(f"{column} IN ({', '.join('?' * len(values))})")
        parameters += values
    chosen = ", ".join(columns) + (', "' + measure.replace('"', '""') + '" AS value' if measure else "")
    table = store.query(f"SELECT {chosen} FROM results WHERE {' AND '.join(where)} ORDER BY trial_id", parameters)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each variant the release that was run last."""
    rows = list(rows)
    last: dict[Any, tuple[Any, str]] = {}
    for row in rows:
        key = _variant_key(row)
        last[key] = max(last.get(key, (row["created_at"], row["cell"])), (row["created_at"], row["cell"]))
    return [row for row in rows if last[_variant_key(row)][1] == row["cell"]]


def _variant_key(row: Row) -> tuple[Any, ...]:
    return (*(row[name] for name in LABELS), row["variant"])


def match(kind: str, a: tuple[str, list[dict[str, Any]]], b: tuple[str, list[dict[str, Any]]]) -> Matched:
    """Pair the trials of two sides, each a name and its rows.

    Raises:
        UsageError: several trials of one side stand for the same sample: the name means several variants.
    """
    compared = _COMPARED.get(kind, ())
    loose = kind in ("run", "store", "variant")  # their parts may be other ones; what is, is told
    steps = _steps(compared, loose)
    (name_a, rows_a), (name_b, rows_b) = a, b
    table_a, table_b = _by_key(name_a, rows_a, steps), _by_key(name_b, rows_b, steps)
    reasons_a, reasons_b = Counter[str](), Counter[str]()
    pairs: list[tuple[Row, Row]] = []
    for key, row in table_a.items():
        partner = table_b.get(key)
        if partner is None:
            continue
        if reason := _unfit(row, partner):
            reasons_a[reason] += 1
            reasons_b[reason] += 1
        else:
            pairs.append((row, partner))
    _explain(table_a, table_b, steps, name_b, reasons_a)
    _explain(table_b, table_a, steps, name_a, reasons_b)
    strata = tuple(name for name in LABELS if name not in compared)
    order = lambda item: (-item[1], item[0])  # noqa: E731
    return Matched(
        kind,
        name_a,
        name_b,
        pairs,
        dict(sorted(reasons_a.items(), key=order)),
        dict(sorted(reasons_b.items(), key=order)),
        _notes(pairs, compared, loose),
        strata,
    )


def _steps(compared: Sequence[str], loose: bool) -> list[tuple[str, tuple[str, ...]]]:
    """What partners must agree in, from the coarsest to the finest: (its name in a reason, columns)."""
    steps: list[tuple[str, tuple[str, ...]]] = []
    for label in ("task", "bucket", "model", "adapter", "codec", "augmentation"):
        if label in compared:
            continue
        steps.append((label, (label,)))
        if label in _OPTIONS and not loose:
            steps.append((f"options of {_WORDS.get(label, label)}", _OPTIONS[label]))
    if not loose:
        steps.append(("seed", ("seed",)))
        steps.append(("token_config", ("token_config",)))
    steps.append(("sample_index", ("sample_index",)))
    steps.append(("sample seed", ("sample_seed",)))
    if "augmentation" not in compared:
        steps.append(("damage", ("augmentation_seed",)))
    return steps


def _key(row: Row, steps: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[Any, ...]:
    return tuple(tuple(row[column] for column in columns) for _, columns in steps)


def _by_key(name: str, rows: Iterable[dict[str, Any]], steps: Sequence[tuple[str, tuple[str, ...]]]) -> dict[tuple[Any, ...], Row]:
    table: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        other = table.setdefault(_key(row, steps), row)
        if other is not row:
            _ambiguous(name, other, row)
    return table


def _ambiguous(name: str, first: Row, second: Row) -> None:
    differing = [
        column for column in first if "config" in column or "fingerprint" in column or column in (*LABELS, "model_runtime", "seed")
    ]
    differing = [column for column in differing if first[column] != second[column]]
    what = "; ".join(f"{column} {first[column]} or {second[column]}" for column in differing) or "they differ in the system message"
    raise UsageError(
        f"{name!r} stands for several variants: {what}. Name one: {name}@{first['variant'][:8]} or {name}@{second['variant'][:8]}, "
        "or leave all but one out by an option such as --model"
    )


def _unfit(a: Row, b: Row) -> str | None:
    """Why two trials of one sample cannot be compared."""
    if a["correct"] is None or b["correct"] is None:
        return "nothing decides whether the answer was right"
    if a["context_sha256"] and b["context_sha256"] and (a["context_sha256"], a["question"]) != (b["context_sha256"], b["question"]):
        return "the same seed made another context or question (another version of the task)"
    return None


def _explain(
    table: Mapping[tuple[Any, ...], Row],
    other: Mapping[tuple[Any, ...], Row],
    steps: Sequence[tuple[str, tuple[str, ...]]],
    other_name: str,
    reasons: Counter[str],
) -> None:
    """Count why rows have no partner: the coarsest thing that the other side lacks."""
    prefixes = [{key[: depth + 1] for key in other} for depth in range(len(steps))]
    for key in table.keys() - other.keys():
        depth = next(depth for depth in range(len(steps)) if key[: depth + 1] not in prefixes[depth])
        reasons[_reason(steps[depth][0], key[depth], other_name)] += 1


def _reason(step: str, values: tuple[Any, ...], other: str) -> str:
    if step in LABELS or step == "seed":
        value = "none" if values[0] is None else values[0]
        return f"not run with {other}: {_WORDS.get(step, step)} {value}"
    if step == "sample_index":
        return f"sample not run with {other}"
    if step == "damage":
        return f"other draw of damage than with {other}"
    return f"other {_WORDS.get(step, step)} than with {other}"


def _notes(pairs: Sequence[tuple[Row, Row]], compared: Sequence[str], loose: bool) -> list[str]:
    """What partners differ in beside what is compared."""
    watched = [*_VERSIONS]
    if loose:
        watched += [name for group in _OPTIONS.values() for name in group] + ["token_config", "seed"]
    own = {f"{name}_{what}" for name in compared for what in ("version", "config", "fingerprint")}
    notes = []
    for column in watched:
        if column in own:
            continue
        differing = [(a[column], b[column]) for a, b in pairs if a[column] != b[column]]
        if differing:
            first, second = differing[0]
            notes.append(f"{column} differs in {len(differing)} pairs, for example {first or 'unknown'} and {second or 'unknown'}")
    return notes
