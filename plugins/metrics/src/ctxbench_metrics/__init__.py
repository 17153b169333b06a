"""Metrics: JSON exact match and structural F1, hit@1, exact match, character error rate."""

from __future__ import annotations

from collections.abc import Iterable

import ctxbench


@ctxbench.hookimpl
def ctxbench_metrics() -> Iterable[ctxbench.MetricRecord]:
    record = ctxbench.MetricRecord
    yield record("json_exact_match", "1 if the answer parses to the same JSON value.", "ctxbench_metrics.documents:JsonExactMatch")
    yield record("json_structural_f1", "Keys found and values right, by path.", "ctxbench_metrics.documents:JsonStructuralF1")
    yield record("hit_at_1", "1 if every expected answer occurs, or its absence is stated.", "ctxbench_metrics.answers:HitAt1")
    yield record("exact_match", "1 if the answer is the expected text.", "ctxbench_metrics.answers:ExactMatch")
    yield record("character_error_rate", "Edits per expected character; lower is better.", "ctxbench_metrics.answers:CharacterErrorRate")
