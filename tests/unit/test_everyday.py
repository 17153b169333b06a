"""The fifty documents that the embedded model is tried on: what the results say of them."""

from __future__ import annotations

import ast
import json

from benchmarks.everyday.__main__ import DOCUMENTS, KINDS, LENGTHS, kind_of
from ctxbench.tokens import count_text

TEXTS = {path.name: path.read_text("utf-8") for path in sorted(DOCUMENTS.iterdir())}


def test_fifty_texts_of_people():
    """As many as are claimed, of every kind, none longer than the results' last row, and none twice."""
    assert len(set(TEXTS.values())) == 50
    assert {name.split("-")[0] for name in TEXTS} == set(KINDS)
    tokens = [count_text(text) for text in TEXTS.values()]
    assert (min(tokens), max(tokens)) == (16, LENGTHS[-1])
    assert sum(count > 128 for count in tokens) >= 10


def test_they_are_what_they_seem():
    """JSON loads, some of it on one line and some with spaces; Python compiles."""
    documents = [text for name, text in TEXTS.items() if name.endswith(".json")]
    for text in documents:
        json.loads(text)
    assert 5 <= sum("\n" not in text.strip() for text in documents) <= len(documents) - 5
    for name, text in TEXTS.items():
        if name.endswith(".py"):
            ast.parse(text)


def test_a_row_is_of_the_kind_of_its_document():
    """Files are named in one task's metadata and counted in the other's."""
    names = list(TEXTS)
    assert kind_of({"task": "new wording", "sample_metadata": '{"source": "letter-02.txt"}'}) == "letter"
    row = {"task": "trained wording", "sample_metadata": json.dumps({"row": names.index("json-03.json")})}
    assert kind_of(row) == "json"
