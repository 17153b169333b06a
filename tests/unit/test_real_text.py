"""The pieces of real text that the embedded model is measured on, and what the results say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import real_text
from ctxbench.tokens import count_text


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three documents of each kind, the first one much the longest."""
    monkeypatch.setattr(real_text, "WORK", tmp_path / "work")
    lines = []
    for kind in real_text.KINDS:
        for document, length in enumerate((400, 100, 100)):
            text = "".join(f"{kind} number {document}, line {i} of a text that has many of them.\n" for i in range(length))
            lines.append(json.dumps({"kind": kind, "text": text}) + "\n")
    (tmp_path / "heldout.jsonl").write_text("".join(lines), "utf-8")
    return tmp_path


def test_pieces_come_evenly_from_the_documents_of_a_kind(texts: Path) -> None:
    """No piece twice, all of about the length asked for, the last from the last document; shuffled and random ones at one length."""
    tasks = real_text.write_inputs(texts, 12)
    assert len(tasks) == len(real_text.KINDS) * (len(real_text.LENGTHS) + len(real_text.PAYLOADS) - 1)
    for task in tasks:
        kind, length, _ = task["label"].split()
        pieces = [json.loads(line)["text"] for line in Path(task["path"]).read_text("utf-8").splitlines()]
        assert len(set(pieces)) == 12
        assert all(0.7 * int(length) <= count_text(piece) <= int(length) for piece in pieces)
        assert pieces[0].startswith(f"{kind} number 0")
        assert f"{kind} number 2" in pieces[-1]


def test_without_texts_it_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"heldout\.jsonl is missing; make it: python plugins/tiny/train/corpus\.py"):
        real_text.write_inputs(tmp_path, 1)


def trial(reader: str, codec: str, exact: int, errors: float, **other: Any) -> dict[str, Any]:
    """A stored trial."""
    row = {
        "reader": reader,
        "codec": codec,
        "augmentation": "clean",
        "sample_index": 0,
        "kind": "Python",
        "length": 64,
        "payload": "natural",
    }
    return row | {"exact": exact, "errors": errors, "reference_tokens": 60, "encoded_tokens": 20} | other


def test_each_cell_is_of_its_own_trials() -> None:
    """Payloads, levels and readers are not mixed, damage to a text is no column, and the base comes first."""
    rows = [
        trial("adapter", "text", 0, 0.5),
        trial("base", "render", 1, 0.0),
        trial("base", "render", 0, 0.2, sample_index=1),
        trial("base", "render", 0, 1.0, payload="random"),
        trial("base", "render", 0, 0.4, augmentation="light"),
        trial("base", "text", 0, 0.9, augmentation="light"),
        trial("base", "text", 0, 0.9, augmentation="heavy"),
    ]
    page = real_text.report(rows).splitlines()
    [head] = [line for line in page if line.startswith("| text | tokens")]
    assert head == "| text | tokens | n | base: render | base: render, `light` | adapter: text |"
    assert "| Python | 64 | 2 | 50 (10; 3.00) | 0 (40; 3.00) | 0 (50; 3.00) |" in page
    assert "| base: render | natural | 2 | 50 | 9 to 91 | 10 |" in page
    assert "| base: render | random | 1 | 0 | 0 to 79 | 100 |" in page
    assert not any("shuffled | 0" in line for line in page)
