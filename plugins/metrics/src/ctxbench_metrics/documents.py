"""Scores of a JSON answer against the expected document.

Two values are equal as JSON values are: the order of keys does not matter; numbers are equal by value, so 1, 1.0 and 1e0 are one
number while 1 and ``true`` or ``"1"`` differ; strings are equal code point by code point; an object that repeats a key equals no other.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import attrs

from ctxbench import Metric, Sample, Scores
from ctxbench_metrics.extraction import extract_json, parse_json


@attrs.frozen
class Agreement:
    """How far two documents agree, in leaves: a leaf is a scalar, or an object or array without content; its key is its path.

    Attributes:
        predicted, expected: leaves of each document.
        matched: paths that both have.
        equal: of these, the ones with equal values.
    """

    predicted: int
    expected: int
    matched: int
    equal: int

    @property
    def exact(self) -> bool:
        """The documents are equal: the same leaves in the same places, and nothing else."""
        return self.equal == self.matched == self.predicted == self.expected


def compare(predicted: Any, expected: Any) -> Agreement:
    """Count the leaves of two parsed documents. Paths are never written out, so a key may hold dots or brackets."""
    matched = equal = 0
    pairs = [(predicted, expected)]
    while pairs:
        left, right = pairs.pop()
        if _is_leaf(left) and _is_leaf(right):
            matched += 1
            equal += _same_leaf(left, right)
        elif isinstance(left, dict) and isinstance(right, dict):
            pairs += [(left[key], right[key]) for key in left.keys() & right.keys()]
        elif isinstance(left, list) and isinstance(right, list):
            pairs += zip(left, right, strict=False)
    return Agreement(_leaves(predicted), _leaves(expected), matched, equal)


@attrs.frozen
class JsonExactMatch(Metric):
    """1 if the answer, wherever it stands in the prediction, parses to a value equal to the expected one; else 0."""

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``json_exact_match``."""
        how, agreement = _agreement(prediction, sample)
        return Scores({"json_exact_match": float(agreement is not None and agreement.exact)}, how)


@attrs.frozen
class JsonStructuralF1(Metric):
    """How much of the structure and of the values came back.

    With *keys* the paths of the leaves (through object keys and list indices): ``key_precision`` is the share of the answer's keys
    that are expected, ``key_recall`` the share of the expected keys that are there, ``key_f1`` their harmonic mean,
    ``value_accuracy`` the share of the matching keys whose values are equal (0 if none match), and ``json_structural_f1`` the mean of
    ``key_f1`` and ``value_accuracy``. All are 0 if there is no JSON in the prediction.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("json_structural_f1", "key_precision", "key_recall", "key_f1", "value_accuracy")

    def score(self, prediction: str, sample: Sample) -> Scores:
        """The five scores."""
        how, found = _agreement(prediction, sample)
        if found is None:
            return Scores(dict.fromkeys(self.NAMES, 0.0), how)
        f1 = 2 * found.matched / (found.predicted + found.expected)
        accuracy = found.equal / found.matched if found.matched else 0.0
        values = ((f1 + accuracy) / 2, found.matched / found.predicted, found.matched / found.expected, f1, accuracy)
        return Scores(dict(zip(self.NAMES, values, strict=True)), how)


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


def _agreement(prediction: str, sample: Sample) -> tuple[str, Agreement | None]:
    expected = reference(sample.answer)
    found = extract_json(prediction, sample.answer.lstrip()[:1])
    return found.how, None if found.how == "none" else compare(found.value, expected)


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, (dict, list)) or not value


def _same_leaf(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _leaves(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if _is_leaf(item):
            count += 1
        else:
            waiting += item.values() if isinstance(item, dict) else item
    return count
