"""json_f1: an F1 of leaves in which lists are aligned by content, against a plain search of all alignments."""

from __future__ import annotations

import functools
import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench import Sample
from ctxbench_metrics.agreement import count_leaves
from ctxbench_metrics.alignment import MAX_PAIRS, align
from ctxbench_metrics.documents import JsonExactMatch, JsonF1, JsonKeyValueMean
from ctxbench_metrics.extraction import parse_json


def f1(said, expected) -> tuple[float, float, float]:
    """``json_f1``, precision and recall of two values or JSON texts."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in (said, expected)]
    values = JsonF1().score(texts[0], Sample("...", "?", texts[1], 64)).values
    return values["json_f1"], values["json_precision"], values["json_recall"]


def test_an_empty_list_is_no_empty_object():
    """The paper's mean gives 0.5: the place is right, and nothing else."""
    assert f1([], {}) == (0, 0, 0)
    assert f1([], []) == f1({}, {}) == (1, 1, 1)
    assert JsonKeyValueMean().score("[]", Sample("...", "?", "{}", 64)).values["json_key_value_mean"] == 0.5


@pytest.mark.parametrize("lost", range(8))
def test_a_lost_element_costs_one_wherever_it_stood(lost):
    """Eight elements, one lost: recall 7/8 and no wrong value. At fixed indices the first one lost leaves 0.47."""
    whole = list(range(100, 108))
    said = whole[:lost] + whole[lost + 1 :]
    assert f1(said, whole) == pytest.approx((14 / 15, 1, 7 / 8))
    assert f1(whole, said) == pytest.approx((14 / 15, 7 / 8, 1))
    mean = JsonKeyValueMean().score(json.dumps(said), Sample("...", "?", json.dumps(whole), 64)).values["json_key_value_mean"]
    assert lost or mean == pytest.approx(0.4667, abs=1e-4)


@pytest.mark.parametrize(
    ("said", "expected", "right"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 2),
        ({"a": 1}, {"b": 1}, 0),
        ([1, 2, 3], [3, 2, 1], 1),  # a list has an order
        ([1, 1, 1], [1], 1),  # no element has two partners
        ([[1, 2], [3, 4]], [[3, 4]], 2),
        ([[1, 2, 3]], [1, 2, 3], 0),  # another nesting
        ([{"a": 1, "b": 2}, {"a": 3, "b": 4}], [{"a": 3, "b": 5}], 1),  # the element that has most in common
        ([{"a": 0, "b": 2}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1, "b": 2}], 3),
        ([1, {"a": 1}], [{"a": 1}, 1], 1),
        ({"a": True}, {"a": 1}, 0),
        ({"a": 1.0}, {"a": 1}, 1),
        ({"a": "1"}, {"a": 1}, 0),
        ({"a": None}, {"a": False}, 0),
        ({"a": []}, {"a": {}}, 0),
        ({"a.b": 1}, {"a": {"b": 1}}, 0),
        ('{"a": 1, "a": 1}', '{"a": 1}', 1),  # a key said twice is a key too many
    ],
)
def test_pairs_that_can_be_counted_by_hand(said, expected, right):
    a, b = (parse_json(value if isinstance(value, str) else json.dumps(value)) for value in (said, expected))
    assert align(a, b) == (right, count_leaves(a), count_leaves(b))
    assert align(b, a) == (right, count_leaves(b), count_leaves(a))


def by_search(left, right) -> int:
    """All alignments, one by one."""
    if isinstance(left, dict) and isinstance(right, dict) and left and right:
        return sum(by_search(left[key], right[key]) for key in left.keys() & right.keys())
    if isinstance(left, list) and isinstance(right, list) and left and right:
        sizes = range(min(len(left), len(right)) + 1)
        return max(
            sum(by_search(left[i], right[j]) for i, j in zip(a, b, strict=True))
            for size in sizes
            for a in itertools.combinations(range(len(left)), size)
            for b in itertools.combinations(range(len(right)), size)
        )
    return int(type(left) is type(right) and left == right)


LEAVES = st.sampled_from([0, 1, True, None, "x"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=12
)


@settings(max_examples=400, deadline=None)
@given(VALUES, VALUES)
def test_no_alignment_is_better(left, right):
    """Whatever is trimmed, remembered or counted as equal: the best of all alignments, and the same both ways."""
    found = align(left, right)
    assert found == (by_search(left, right), count_leaves(left), count_leaves(right))
    assert align(right, left)[0] == found[0]


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_full_marks_mean_equality(left, right):
    """F1 is 1 if and only if the documents are equal, and every score is a share."""
    left, right = {"r": left}, {"r": right}
    scores = f1(left, right)
    assert all(0 <= score <= 1 for score in scores)
    exact = JsonExactMatch().score(json.dumps(left), Sample("...", "?", json.dumps(right), 64)).values["json_exact_match"]
    assert (scores == (1, 1, 1)) == bool(exact)


def test_long_lists_of_objects_pair_equal_elements():
    """Beyond the table's size whole elements are compared, at the cost of a longest common subsequence."""
    rng = random.Random(1)
    rows = [{"id": i, "name": rng.choice("abc")} for i in range(3000)]
    assert len(rows) ** 2 > MAX_PAIRS
    said = [row for row in rows if row["id"] % 100]
    said[5] = {"id": -1, "name": "?"}
    right, total, wanted = align(said, rows)
    assert (right, total, wanted) == (2 * (2970 - 1), 2 * 2970, 6000)


@pytest.mark.parametrize(("size", "right"), [(100, 100), (300, 0)])
def test_the_limit_of_the_table(size, right):
    """Each row has one right value of two: found up to 40,000 pairs; beyond, only elements that are equal as a whole count."""
    assert (size**2 > MAX_PAIRS) == (right == 0)
    rows, said = ([{"id": i, "name": name} for i in range(size)] for name in "ab")
    assert align(said, rows) == (right, 2 * size, 2 * size)


def test_nested_lists_do_not_multiply():
    """Every two parts are compared once: nine hundred levels, or a table in each cell of a table."""
    deep, other = (functools.reduce(lambda inner, i: [i, inner], range(900), end) for end in (0, "?"))
    assert align(deep, other) == (900, 901, 901)
    wide = [[[i, j] for j in range(30)] for i in range(30)]
    assert align(wide[1:], wide)[0] == 29 * 30 * 2
