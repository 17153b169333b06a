"""Scores of a JSON answer against the expected document.

Two values are equal as JSON values are: the order of keys does not matter; numbers are equal by value, so 1, 1.0 and 1e0 are one
number while 1 and ``true`` or ``"1"`` differ; strings are equal code point by code point; an object that repeats a key equals no other.
Where the answer stands in a prediction: :func:`ctxbench_metrics.extraction.extract_json`.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import attrs

from ctxbench import Metric, Sample, Scores
from ctxbench_metrics.agreement import compare
from ctxbench_metrics.alignment import align
from ctxbench_metrics.extraction import Extracted, extract_json, parse_json


@attrs.frozen
class JsonExactMatch(Metric):
    """1 if the answer, wherever it stands in the prediction, parses to a value equal to the expected one; else 0."""

    version: ClassVar[int] = 2

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``json_exact_match``."""
        expected, found = _pair(prediction, sample)
        return Scores({"json_exact_match": float(found.how != "none" and compare(found.value, expected).exact)}, found.how)


@attrs.frozen
class JsonF1(Metric):
    """How much of the content came back: precision, recall and F1 of the leaves, with lists aligned by content.

    A leaf of the answer is right if an equal leaf of the expected document is its partner: under the same keys of objects, and in lists
    in elements that the alignment pairs. The alignment keeps the order of the elements and pairs as many equal leaves as possible, so
    that a lost or an added element costs its own leaves and moves none (see :mod:`ctxbench_metrics.alignment`). ``json_precision`` is
    the share of the answer's leaves that are right, ``json_recall`` the share of the expected leaves that are there, and ``json_f1``
    their harmonic mean. All are 0 if there is no JSON in the prediction; ``json_f1`` is 1 if and only if the documents are equal.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("json_f1", "json_precision", "json_recall")

    def score(self, prediction: str, sample: Sample) -> Scores:
        """The three scores."""
        expected, found = _pair(prediction, sample)
        if found.how == "none":
            return Scores(dict.fromkeys(self.NAMES, 0.0), found.how)
        right, said, wanted = align(found.value, expected)
        return Scores(dict(zip(self.NAMES, (2 * right / (said + wanted), right / said, right / wanted), strict=True)), found.how)


@attrs.frozen
class JsonKeyValueMean(Metric):
    """The mean of a key F1 and a value accuracy, leaf by leaf at fixed paths. It is no F1, and an element lost at the front of a list
    moves all that follow it: :class:`JsonF1` has neither fault. Kept so that results compare with those that use this formula.

    With *keys* the paths of the leaves (through object keys and list indices): ``key_precision`` is the share of the answer's keys
    that are expected, ``key_recall`` the share of the expected keys that are there, ``key_f1`` their harmonic mean,
    ``value_accuracy`` the share of the matching keys whose values are equal (0 if none match), and ``json_key_value_mean`` the mean of
    ``key_f1`` and ``value_accuracy``. All are 0 if there is no JSON in the prediction.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("json_key_value_mean", "key_precision", "key_recall", "key_f1", "value_accuracy")

    def score(self, prediction: str, sample: Sample) -> Scores:
        """The five scores."""
        expected, answer = _pair(prediction, sample)
        if answer.how == "none":
            return Scores(dict.fromkeys(self.NAMES, 0.0), answer.how)
        found = compare(answer.value, expected)
        accuracy = found.equal / found.matched if found.matched else 0.0
        mean = (found.key_f1 + accuracy) / 2
        values = (mean, found.matched / found.predicted, found.matched / found.expected, found.key_f1, accuracy)
        return Scores(dict(zip(self.NAMES, values, strict=True)), answer.how)


@functools.lru_cache(maxsize=16)
def reference(answer: str) -> Any:
    """The expected document.

    Raises:
        ValueError: the sample's answer is no JSON, so this metric cannot score its task.
    """
    try:
        return parse_json(answer)
    except ValueError as error:
        raise ValueError(f"the expected answer is not JSON ({error}); JSON metrics score tasks whose answer is a JSON document") from None


def _pair(prediction: str, sample: Sample) -> tuple[Any, Extracted]:
    """The expected document, and the one found in the prediction."""
    return reference(sample.answer), extract_json(prediction, sample.answer, sample.question)
