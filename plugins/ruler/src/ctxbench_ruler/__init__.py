"""ctxbench tasks: RULER's thirteen, with its templates and scores."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import MetricRecord, TaskRecord, hookimpl

_NEEDLES = {
    "niah_single_1": "one number in repeated sentences",
    "niah_single_2": "one number in essays",
    "niah_single_3": "one UUID in essays",
    "niah_multikey_1": "one number among four in essays",
    "niah_multikey_2": "one number among nothing but numbers",
    "niah_multikey_3": "one UUID among nothing but UUIDs",
    "niah_multivalue": "four numbers of one key in essays",
    "niah_multiquery": "the numbers of four keys in essays",
}
_OTHERS = {
    "vt": ("tracking:VariableTracking", "variables that were assigned one value, directly or not"),
    "cwe": ("frequency:CommonWords", "the ten most common words of a list"),
    "fwe": ("frequency:FrequentWords", "the three most frequent words of a coded text"),
    "qa_1": ("questions:squad", "SQuAD's questions among its paragraphs"),
    "qa_2": ("questions:hotpotqa", "HotpotQA's questions among its paragraphs"),
}


@hookimpl
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """RULER's tasks, each as ``ruler_`` and RULER's own name of it."""
    for name, summary in _NEEDLES.items():
        yield TaskRecord(f"ruler_{name}", f"RULER: {summary}.", f"ctxbench_ruler.needles:{name}")
    for name, (factory, summary) in _OTHERS.items():
        yield TaskRecord(f"ruler_{name}", f"RULER: {summary}.", f"ctxbench_ruler.{factory}")


@hookimpl
def ctxbench_metrics() -> Iterable[MetricRecord]:
    """RULER's two scores."""
    yield MetricRecord("string_match_all", "RULER: share of the expected strings that occur in the answer.", "ctxbench_ruler.scores:All")
    yield MetricRecord("string_match_part", "RULER: 1 if any of the accepted strings occurs in the answer.", "ctxbench_ruler.scores:Part")
