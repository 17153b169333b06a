"""Metrics: JSON exact match, F1 and key-value mean; hit@1, contains, exact match, character error rate."""

from __future__ import annotations

from collections.abc import Iterable

import ctxbench


@ctxbench.hookimpl
def ctxbench_metrics() -> Iterable[ctxbench.MetricRecord]:
    record = ctxbench.MetricRecord
    yield record("json_exact_match", "1 if the answer parses to the same JSON value.", "ctxbench_metrics.documents:JsonExactMatch")
    yield record("json_f1", "F1 of the leaves, lists aligned by content.", "ctxbench_metrics.documents:JsonF1")
    yield record("json_key_value_mean", "Mean of key F1 and value accuracy, by path.", "ctxbench_metrics.documents:JsonKeyValueMean")
    yield record("hit_at_1", "1 if the answer given is the expected one, or says that there is none.", "ctxbench_metrics.answers:HitAt1")
    yield record("contains", "1 if every expected answer is mentioned anywhere.", "ctxbench_metrics.answers:Contains")
    yield record("exact_match", "1 if the answer is the expected text.", "ctxbench_metrics.answers:ExactMatch")
    yield record("character_error_rate", "Edits per expected character; lower is better.", "ctxbench_metrics.answers:CharacterErrorRate")
