"""Differences between the two sides of a comparison: estimate, interval, test and a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from ctxbench.statistics import wilson
from ctxbench_stats.matching import Matched, Row
from ctxbench_stats.power import detectable
from ctxbench_stats.proportions import ALPHA, Pairs, holm, mcnemar, paired_interval, square_and_add
from ctxbench_stats.resampling import (
    MOST_RESAMPLED,
    Numbers,
    bootstrap,
    clustered_mean,
    codes_of,
    permutation,
    sums,
)

MARGIN = 0.05
"""Rates or scores from 0 to 1 that are shown to differ by less than this are called equivalent."""


@attrs.frozen(kw_only=True)
class Difference:
    """A measure of A less that of B, over the pairs of one stratum or of all.

    Attributes:
        measure: ``accuracy``, ``score``, another score's name, or ``ratio``.
        stratum: labels that the pairs share; empty for all pairs.
        n, clusters: pairs, and contexts among them.
        a, b: the measure of each side. ``low``, ``high``: 95 % interval of ``difference``, ``None`` if the pairs give none.
        p: of the hypothesis that they do not differ; ``p_holm``: adjusted for the strata of this measure.
        interval, test: by which methods.
        detectable: for accuracy, the smallest difference that so many pairs show with 80 % power.
        verdict: in words.
    """

    measure: str
    stratum: dict[str, Any]
    n: int
    clusters: int
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None = None
    interval: str
    test: str
    detectable: float | None = None
    verdict: str = ""


def compare(matched: Matched, *, measure: str | None = None, margin: float = MARGIN) -> list[Difference]:
    """Accuracy, the primary score where it is more than right and wrong, and the compression ratio: by stratum, then over all pairs.

    Args:
        measure: name of a score that the rows hold as ``value``; only this one is compared then.
        margin: differences below it are called equivalent.
    """
    measures: list[tuple[str, Callable[..., Difference | None]]] = [("accuracy", _accuracy), ("score", _score), ("ratio", _ratio)]
    if measure is not None:
        measures = [(measure, _score)]
    strata: dict[tuple[Any, ...], list[tuple[Row, Row]]] = {}
    for a, b in matched.pairs:
        strata.setdefault(tuple(a[name] for name in matched.strata), []).append((a, b))
    varied = [i for i, _ in enumerate(matched.strata) if len({key[i] for key in strata}) > 1]
    found: list[Difference] = []
    for name, measured in measures:
        rows = []
        for key in sorted(strata, key=lambda values: tuple((value is not None, value) for value in values)):
            labels = {matched.strata[i]: key[i] for i in varied}
            if (row := measured(name, strata[key], labels)) is not None:
                rows.append(row)
        rows = _adjusted(rows)
        overall = measured(name, matched.pairs, {}) if len(rows) > 1 else None
        found += [attrs.evolve(row, verdict=verdict(row, matched.a, matched.b, margin)) for row in [*rows, *([overall] if overall else [])]]
    return found


def _adjusted(rows: list[Difference]) -> list[Difference]:
    tested = [row for row in rows if row.p is not None]
    adjusted = iter(holm([row.p for row in tested if row.p is not None]))
    return [row if row.p is None else attrs.evolve(row, p_holm=next(adjusted)) for row in rows]


def _clusters(pairs: Sequence[tuple[Row, Row]]) -> Any:
    """Pairs whose contexts are the same belong together."""
    return codes_of([a["context_sha256"] or b["context_sha256"] or (a["task"], a["bucket"], a["sample_seed"]) for a, b in pairs])


def _head(measure: str, stratum: dict[str, Any], n: int, clusters: int, a: float, b: float) -> dict[str, Any]:
    """The fields that every measure has."""
    return {"measure": measure, "stratum": stratum, "n": n, "clusters": clusters, "a": a, "b": b, "difference": a - b}


def _accuracy(name: str, pairs: Sequence[tuple[Row, Row]], stratum: dict[str, Any]) -> Difference | None:
    if not pairs:
        return None
    counts = Pairs.count([bool(a["correct"]) for a, _ in pairs], [bool(b["correct"]) for _, b in pairs])
    codes = _clusters(pairs)
    clusters = int(codes.max()) + 1
    a, b = (counts.both + counts.only_a) / counts.n, (counts.both + counts.only_b) / counts.n
    common = _head(name, stratum, counts.n, clusters, a, b)
    if clusters == counts.n:
        low, high = paired_interval(counts)
        least = detectable(counts.n, counts.discordance)
        p = mcnemar(counts)
        return Difference(**common, low=low, high=high, p=p, interval="Newcombe, paired", test="McNemar, exact", detectable=least)
    signs = np.array([float(bool(x["correct"])) - float(bool(y["correct"])) for x, y in pairs])
    return Difference(**common, **_clustered(signs, codes, a, b))


def _clustered(differences: Numbers, codes: Any, a: float, b: float) -> dict[str, Any]:
    """Interval and p of a mean difference of values from 0 to 1 whose clusters are alike."""
    clusters = int(codes.max()) + 1
    fit = clustered_mean(differences, codes) if clusters > 1 else None
    if fit is None or fit.error < 1e-12:  # nothing varies between contexts: as if there were one pair a context
        low, high = square_and_add((a, *wilson(a * clusters, float(clusters))), (b, *wilson(b * clusters, float(clusters))))
        p = 1.0 if not np.any(differences) else None
        return {"low": low, "high": high, "p": p, "interval": "Newcombe, one pair a context", "test": "none"}
    low, high = max(-1.0, fit.low), min(1.0, fit.high)
    return {"low": low, "high": high, "p": fit.p, "interval": "clustered t", "test": "clustered t"}


def _score(name: str, pairs: Sequence[tuple[Row, Row]], stratum: dict[str, Any]) -> Difference | None:
    key = "score" if name == "score" else "value"
    known = [(a, b) for a, b in pairs if a[key] is not None and b[key] is not None]
    if not known:
        return None
    x, y = (np.array([float(pair[side][key]) for pair in known]) for side in (0, 1))
    if name == "score" and set(x) | set(y) <= {0.0, 1.0}:
        return None  # says what accuracy says
    codes = _clusters(known)
    ones, total_x, total_y = sums(np.ones_like(x), codes), sums(x, codes), sums(y, codes)
    a, b = float(x.mean()), float(y.mean())
    common = _head(name, stratum, len(x), len(ones), a, b)
    if len(ones) > MOST_RESAMPLED:
        fit = clustered_mean(x - y, codes)
        return Difference(**common, low=fit.low, high=fit.high, p=fit.p, interval="clustered t", test="clustered t")
    found = bootstrap([total_x - total_y, ones], lambda d, n: d / n)
    p = permutation(total_x, total_y, lambda s, t: s - t) if len(ones) > 1 else None
    bounded = min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= 1
    if found is None or found.method == "constant":  # the pairs do not vary; the bounds of the scale still say something
        if not bounded:
            return Difference(**common, low=None, high=None, p=p, interval="none", test="permutation")
        n = float(len(ones))
        low, high = square_and_add((a, *wilson(a * n, n)), (b, *wilson(b * n, n)))
        return Difference(**common, low=low, high=high, p=p, interval="Wilson, squared and added", test="permutation")
    return Difference(**common, low=found.low, high=found.high, p=p, interval=found.method, test="permutation")


def _ratio(name: str, pairs: Sequence[tuple[Row, Row]], stratum: dict[str, Any]) -> Difference | None:
    """Ratios of mean costs of the carriers as encoded, over pairs whose both costs are known."""
    known = [(a, b) for a, b in pairs if a["encoded_tokens"] and b["encoded_tokens"] and a["reference_tokens"]]
    if not known:
        return None
    codes = _clusters(known)
    reference, cost_a, cost_b = (
        sums(np.array(values, dtype=float), codes)
        for values in (
            [a["reference_tokens"] for a, _ in known],
            [a["encoded_tokens"] for a, _ in known],
            [b["encoded_tokens"] for _, b in known],
        )
    )
    if np.array_equal(cost_a, cost_b):
        return None  # nothing that could differ, as between two models or two levels
    whole = float(reference.sum())
    a, b = whole / float(cost_a.sum()), whole / float(cost_b.sum())
    common = _head(name, stratum, len(known), len(reference), a, b)
    if len(reference) > MOST_RESAMPLED:  # the ratio made linear at its mean (delta method)
        items = float(len(reference))
        moves = (reference - a * cost_a) / (cost_a.sum() / items) - (reference - b * cost_b) / (cost_b.sum() / items)
        error = float(moves.std(ddof=1)) / items**0.5
        low, high = a - b - 1.959963984540054 * error, a - b + 1.959963984540054 * error
        return Difference(**common, low=low, high=high, p=None, interval="delta method", test="none")
    found = bootstrap([reference, cost_a, cost_b], lambda r, s, t: r / s - r / t)
    p = permutation(cost_a, cost_b, lambda s, t: whole / s - whole / t) if len(reference) > 1 else None
    low_high = (found.low, found.high, found.method) if found else (None, None, "none")
    return Difference(
        **common, low=low_high[0], high=low_high[1], p=p, interval=low_high[2], test="permutation" if p is not None else "none"
    )


def verdict(row: Difference, a: str, b: str, margin: float) -> str:
    """What a difference says, in words."""
    if row.measure == "ratio":
        better, factor = (a, row.a / row.b) if row.a >= row.b else (b, row.b / row.a)
        return f"{better} needs {factor:.2f} times fewer tokens" if factor >= 1.005 else "the same cost"
    p = row.p_holm if row.p_holm is not None else row.p
    rate = row.measure == "accuracy"
    shown = p is not None and p < ALPHA
    if shown:
        better, other = (a, b) if row.difference > 0 else (b, a)
        return f"{better} is right more often than {other}" if rate else f"{better} has the higher {row.measure}"
    if row.low is not None and row.high is not None and -margin < row.low and row.high < margin:
        return f"equivalent: they differ by less than {_points(margin, rate)}"
    told = "no difference shown"
    if not rate:
        return told
    if row.detectable is not None:
        return f"{told}; so many pairs show one from {_points(row.detectable, rate)} on"
    return f"{told}; too few pairs to show one" if row.clusters == row.n else told


def _points(value: float, rate: bool) -> str:
    return f"{100 * value:.3g} points" if rate else f"{value:.3g}"
