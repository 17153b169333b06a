"""Comparing two of anything, from Python."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctxbench import UsageError, nearest
from ctxbench.store import Store
from ctxbench_stats import comparing, sides
from ctxbench_stats.comparing import MARGIN, Difference
from ctxbench_stats.matching import Matched, match, newest, rows_of

FILTERS = ("model", "adapter", "task", "bucket", "codec", "augmentation")
ALL = sides.Side("all", "TRUE")


def compare(
    store: Store | Path | str,
    a: str,
    b: str,
    *,
    filters: Mapping[str, Sequence[Any]] | None = None,
    measure: str | None = None,
    margin: float = MARGIN,
) -> tuple[Matched, list[Difference]]:
    """Compare two codecs, models, adapters, levels, runs, variants or stores on the samples that both were run on.

    Args:
        store: an open store or a path; not used where ``a`` and ``b`` are store files themselves.
        a, b: names, as ``ctxbench compare`` takes them.
        filters: column to the values that are let through, as ``{"task": ["needle"]}``.
        measure: a score's column of ``results``, compared in place of accuracy, primary score and ratio.
        margin: accuracies that are shown to differ by less are called equivalent.

    Returns:
        what was matched, and the differences: by stratum, then over all pairs, for each measure.

    Raises:
        UsageError: an unknown or ambiguous name, or nothing is shared; the message says why.
        StoreError: a store cannot be opened.
    """
    wanted = {column: list(values) for column, values in (filters or {}).items() if values}
    if sides.stores(a, b):
        if Path(a).resolve() == Path(b).resolve():
            raise UsageError(f"{a} and {b} are the same file")
        matched = match("store", (a, _all_of(a, wanted, measure)), (b, _all_of(b, wanted, measure)))
    else:
        with contextlib.ExitStack() as stack:
            opened = store if isinstance(store, Store) else stack.enter_context(Store.open_read_only(store))
            _check(opened, wanted, measure)
            kind, first, second = sides.resolve(opened, a, b)
            found = [rows_of(opened, side, wanted, measure) for side in (first, second)]
        if kind not in ("run", "variant"):
            found = [newest(rows) for rows in found]
        matched = match(kind, (first.name, found[0]), (second.name, found[1]))
    if not matched.pairs:
        raise UsageError(_nothing_shared(matched))
    return matched, comparing.compare(matched, measure=measure, margin=margin)


def _all_of(path: str, filters: Mapping[str, Sequence[Any]], measure: str | None) -> list[dict[str, Any]]:
    with Store.open_read_only(path) as store:
        _check(store, filters, measure)
        return newest(rows_of(store, ALL, filters, measure))


def _check(store: Store, filters: Mapping[str, Sequence[Any]], measure: str | None) -> None:
    """Refuse a filter's value that the store does not have, and a score that is none of its own."""
    for column, values in filters.items():
        if column not in FILTERS:
            raise UsageError(f"no filter {column!r}{nearest(column, FILTERS)}")
        known = [value for (value,) in store.query(f"SELECT DISTINCT {column} FROM trials ORDER BY ALL").rows]
        for value in values:
            if value not in known:
                hint = nearest(value, [name for name in known if name]) if isinstance(value, str) else f"; known: {known}"
                raise UsageError(f"{store.path}: no trial has {column} {value!r}{hint}")
    if measure is not None:
        known = [str(name) for (name,) in store.query("SELECT DISTINCT name FROM scores ORDER BY name").rows]
        columns = {str(name) for name, *_ in store.query("DESCRIBE results").rows}
        if measure not in columns or not any(measure == name or measure.endswith(f".{name}") for name in known):
            raise UsageError(f"{store.path}: no score {measure!r}{nearest(measure, known)}")


def _nothing_shared(matched: Matched) -> str:
    told = []
    for name, reasons in ((matched.a, matched.unmatched_a), (matched.b, matched.unmatched_b)):
        total = sum(reasons.values())
        told.append(f"{name} has {total} trials" + (f" ({'; '.join(list(reasons)[:3])})" if reasons else ""))
    return f"nothing to compare: no sample was run with both {matched.a} and {matched.b}. {'. '.join(told)}"
