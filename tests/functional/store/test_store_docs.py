"""docs/store.md names every column of every table and view, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.cookbook import answer, make_store, questions
from ctxbench.store import views
from ctxbench.store.views import CELL

DOCUMENT = (Path(__file__).parents[3] / "docs" / "store.md").read_text("utf-8")


def section(kind: str, name: str) -> str:
    match = re.search(rf"^## {kind} `{name}`\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    assert match, f"no section for {kind} {name}"
    return match[1]


def in_tables(text: str) -> dict[str, str]:
    """Names in the first column of a section's table, and the type in the second."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            first, second = line.split("|")[1:3]
            found |= dict.fromkeys(re.findall(r"`(\w+)`", first), second.strip())
    return found


@pytest.mark.parametrize("table", ["runs", "trials", "scores", "pages"])
def test_every_column_of_a_table(store, table):
    """Names, order, types and keys as in the schema."""
    documented = in_tables(section("Table", table))
    actual = {}
    for name, kind, _, key, *_ in store.query(f"DESCRIBE {table}").rows:
        actual[name] = kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") + (", key" if key == "PRI" else "")
    assert documented == actual
    assert list(documented) == list(actual)


@pytest.mark.parametrize("view", views.NAMES)
def test_every_column_of_a_view(store, view):
    """Each is named in the view's section; ``results`` refers to the columns of ``trials``."""
    text = section("View", view)
    known = set(in_tables(section("Table", "trials"))) if view == "results" else set()
    named = set(re.findall(r"`(\w+)`", text)) | known
    if view in ("ratios", "frontier", "attribution", "trust", "prior_gap", "costs"):
        named |= set(CELL)  # "the cell's columns"
    columns = {name for name, *_ in store.query(f"DESCRIBE {view}").rows}
    assert columns <= named
    if view in ("summary", "ratios", "attribution", "trust", "prior_gap", "costs"):
        assert set(in_tables(text)) <= columns


def test_the_cookbook_gives_the_answers_that_it_shows(tmp_path):
    """Ten questions on the store that the document's own command makes (``python -m benchmarks.cookbook --write`` writes them anew)."""
    found = list(questions(DOCUMENT))
    assert len(found) == 10
    store = make_store(DOCUMENT, tmp_path)
    for sql, shown in found:
        assert answer(sql, store) == shown
