"""How the measurements of the embedded model count what came back."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import reading


def test_what_does_not_come_back_counts_as_wrong(tmp_path: Path) -> None:
    """Answers much longer than the text, and none at all, since the model has no room for it."""
    question = "Copy the text."
    contexts = ("a" * 8, "b", "too long " * 2000)
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"context": c, "question": question, "answers": c}) + "\n" for c in contexts), "utf-8")
    task = {"label": "copies", "name": "qa", "path": str(source), "instruction": ""}
    store = tmp_path / "store.duckdb"
    for _ in range(2):
        reading.run("copies", [task], ["text"], store)  # the second time nothing is left to be run
    rows = reading.stored(store)
    assert sorted(row["sample_index"] for row in rows) == [0, 1, 2]
    assert sum(row["exact"] is None for row in rows) == 1
    assert all(row["errors"] == 1 for row in rows if row["exact"] is None)
    assert all(0 <= row["errors"] <= 1 for row in rows)
    assert reading.stored(store, "copies") == rows
    assert reading.stored(store, "others") == []
    hits = reading.exact(rows)
    assert hits == sum(row["exact"] == 1 for row in rows) < 3
    assert reading.proportion(rows)[0] == f"{100 * hits / 3:.0f}"
