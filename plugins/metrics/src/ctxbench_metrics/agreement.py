"""How far two parsed JSON documents agree, path by path.

A leaf is a scalar, or an object or array without content; its path leads to it through object keys and list indices. Two scalars are
equal as JSON values are: numbers by value, so 1, 1.0 and 1e0 are one number while 1 and ``true`` or ``"1"`` differ; strings code point
by code point.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen
class Agreement:
    """How far two documents agree, in leaves.

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
    def key_f1(self) -> float:
        """F1 of the paths: the harmonic mean of the shares of each document's paths that the other has."""
        return 2 * self.matched / (self.predicted + self.expected)

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
        if is_leaf(left) and is_leaf(right):
            matched += 1
            equal += same_leaf(left, right)
        elif isinstance(left, dict) and isinstance(right, dict):
            pairs += [(left[key], right[key]) for key in left.keys() & right.keys()]
        elif isinstance(left, list) and isinstance(right, list):
            pairs += zip(left, right, strict=False)
    return Agreement(count_leaves(predicted), count_leaves(expected), matched, equal)


def is_leaf(value: Any) -> bool:
    """A scalar, or an object or array without content."""
    return not isinstance(value, (dict, list)) or not value


def same_leaf(left: Any, right: Any) -> bool:
    """Two leaves are equal: of one type and one value."""
    return type(left) is type(right) and bool(left == right)


def count_leaves(value: Any) -> int:
    """Number of leaves of a document."""
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if is_leaf(item):
            count += 1
        else:
            waiting += item.values() if isinstance(item, dict) else item
    return count
