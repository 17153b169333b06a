"""The documents of ``json_restore`` are counted stretch by stretch: the sum must be what the whole text costs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench.tokens import count_text
from ctxbench_json_restore.draft import Draft
from ctxbench_json_restore.structure import Shape

INDENT = st.sampled_from([None, 0, 2])
# Letters, digits, every kind of punctuation JSON puts beside them, contractions, Chinese, blanks and line breaks.
TEXT = st.text(st.sampled_from("ab'stX7 0.,:;-_/\\\"\n\t{}[]李雷，。"), max_size=12)
KEYS = st.text(st.sampled_from("ab's7_李"), min_size=1, max_size=6).filter(lambda key: any(c.isalnum() for c in key))
SCALARS = TEXT | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | st.booleans() | st.none()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5)
FIELDS = st.dictionaries(KEYS, VALUES, max_size=6)


def whole(draft: Draft) -> int:
    return count_text(draft.shape.write(draft.entries)) if draft.entries else count_text("{" + draft.shape.close)


@settings(max_examples=400, deadline=None)
@given(FIELDS, INDENT, st.data())
def test_the_sum_is_the_whole(fields, indent, data):
    """After each step: one field, several at once, one taken away, one inserted anywhere."""
    draft = Draft(Shape(3, None, indent))
    items = list(fields.items())
    first = data.draw(st.integers(0, len(items)))
    for item in items[:first]:
        draft.add([item])
        assert draft.tokens == whole(draft)
    if items[first:]:
        draft.add(items[first:])
        assert draft.tokens == whole(draft)
    if draft.entries:
        draft.pop()
        assert draft.tokens == whole(draft)
    place = data.draw(st.integers(0, len(draft.entries)))
    value = data.draw(VALUES)
    expected = draft.tokens + draft.cost(place, "serial", value)
    text = draft.insert(place, "serial", value)
    assert count_text(text) == expected
    assert json.loads(text) == draft.entries
    assert list(draft.entries)[place] == "serial"
    assert text == draft.shape.write(draft.entries)


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_changed_values_are_counted_again(indent):
    """Values that are shortened in place leave no stale count."""
    draft = Draft(Shape(2, None, indent))
    draft.add([("a", {"b": "a long text of several words"}), ("c", [1, 2])])
    draft.entries["a"]["b"] = "x"
    draft.rewrite()
    assert draft.tokens == whole(draft)
    assert draft.entries == {"a": {"b": "x"}, "c": [1, 2]}
