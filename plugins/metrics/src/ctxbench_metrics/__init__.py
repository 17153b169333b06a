"""Metrics: of JSON, of values that were asked for, of answers with several right forms, and of texts that were to be restored."""

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
    yield record("word_error_rate", "Edits per expected word; lower is better.", "ctxbench_metrics.verbatim:WordErrorRate")
    yield record(
        "identifiers", "Numbers, codes and names that came back exactly, apart from the rest.", "ctxbench_metrics.verbatim:Identifiers"
    )
    yield record(
        "semantic_corruption", "Words replaced by other real words, against garbled ones.", "ctxbench_metrics.verbatim:SemanticCorruption"
    )
    yield record("squad_exact_match", "1 if the answer is one of the right ones, normalised.", "ctxbench_metrics.squad:SquadExactMatch")
    yield record("squad_f1", "F1 of words with the best of the right answers.", "ctxbench_metrics.squad:SquadF1")
