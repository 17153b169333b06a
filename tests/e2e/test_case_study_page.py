"""docs/case-study.md: its figures are those of the tracked results, its commands run, and what is cheap to measure again is the same."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.case_study import documents
from benchmarks.case_study.__main__ import FIGURE, PAGE
from benchmarks.case_study.commands import COST, FAMILIES, QUERIES, RUNS
from benchmarks.case_study.figure import source
from benchmarks.case_study.page import cell, page
from benchmarks.case_study.tables import costs_table, documents_table, load
from benchmarks.readme import blocks, commands
from ctxbench import UsageError

ROOT = Path(__file__).parents[2]
DOCUMENT = PAGE.read_text("utf-8")
QUICK = ("text", "brotli64", "codebook", "QR zlib")
"""Carriers that are read back in no time."""
OPTIONS = ("-c", "text", "-c", "brotli64", "-c", "codebook", "-c", "codebook_external:label=QR zlib,compression=zlib")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's commands find what they name: the documents, and this repository's configs and queries."""
    made = tmp_path_factory.mktemp("case")
    (made / "benchmarks").symlink_to(ROOT / "benchmarks")
    documents.write(made / "case-study")
    return made


@pytest.fixture(scope="module")
def stored(folder):
    """The folder, after the run of the page with the quick carriers alone, at every level of damage."""
    ctxbench(folder, *RUNS["documents"].split()[1:], *OPTIONS, "--workers", "0")
    return folder


def ctxbench(folder: Path, *words: str, stdin: str = "") -> str:
    """What the command prints in a folder, messages included."""
    script = Path(sys.executable).with_name("ctxbench")
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run([script, *words], cwd=folder, input=stdin, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout or done.stderr


def test_the_page_is_the_template_with_the_tracked_results():
    """A figure that was changed by hand, or results that the page was not made of, would differ."""
    assert page(load()) == DOCUMENT


def test_the_figure_is_drawn_from_the_tracked_results():
    """It says which rows it was drawn from; and it is light, so that it can be read on paper."""
    from PIL import Image

    with Image.open(FIGURE) as drawn:
        assert drawn.info["Source"] == source(load()["equal"])
        assert drawn.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_the_page_lists_the_commands_that_it_is_made_by():
    """Each command that measured something is on the page, and the page names no other but the one that makes it."""
    listed = [command for block in blocks(DOCUMENT) if block.language == "console" for command in commands(block.text)]
    made_by = {COST, *RUNS.values(), *QUERIES.values()}
    assert made_by <= set(listed)
    assert all(command.startswith("python -m benchmarks.case_study") for command in set(listed) - made_by)


@pytest.mark.parametrize("name", RUNS)
def test_the_runs_can_be_planned(name, folder):
    """Every component, option and file of the configs exists."""
    planned = {"documents": "306 trials", "questions": "96 trials", "tiny": "240 trials"}
    assert planned[name] in ctxbench(folder, *RUNS[name].split()[1:], "--dry-run")


def test_costs_are_those_of_the_page(folder):
    """The whole table of costs but for the profiles of print, and the documents' lengths, measured again."""
    arguments = COST.replace(f"--config {RUNS['documents'].split()[-1]} ", "").split()[1:]
    found = json.loads(ctxbench(folder, *arguments, *OPTIONS, "--format", "json"))
    assert documents_table(found) == load()["documents"]
    expected = {row["carrier"]: row for row in load()["costs"]}
    now = costs_table(found)
    assert [row["carrier"] for row in now] == list(QUICK)
    assert now == [expected[row["carrier"]] for row in now]
    assert all(row[family] for row in now if row["carrier"] in ("codebook", "QR zlib") for family in FAMILIES)


@pytest.mark.parametrize("name", ["ratios", "channel", "equal"])
def test_the_queries_give_the_rows_of_the_page(name, stored):
    """What the quick carriers cost and give back on the real documents is what the tracked results say, in the order of the page."""
    program, query = QUERIES[name].split(" < ")
    printed = ctxbench(stored, *program.split()[1:], "--format", "csv", stdin=(ROOT / query).read_text("utf-8"))
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert len(rows) == len(QUICK)
    assert rows == [row for row in load()[name] if row["carrier"] in QUICK]


def test_what_the_text_says_of_codes_is_in_the_table():
    """No code came back wrong at any level; ``codebook`` and ``camera`` survive heavy damage, ``fine`` and ``aligned`` do not."""
    codes = {row["carrier"]: row["exact/wrong/refused"] for row in load()["channel"] if row["carrier"].startswith(("codebook", "QR"))}
    levels = {carrier: [[int(count) for count in level.split("/")] for level in counts.split(" · ")] for carrier, counts in codes.items()}
    assert len(levels) == 6
    assert all(wrong == 0 and exact + refused == 6 for found in levels.values() for exact, wrong, refused in found)
    exact = {carrier: [found[0] for found in levels[carrier]] for carrier in levels}
    assert exact["codebook"] == exact["codebook camera"] == [6, 6, 6]
    assert exact["codebook fine"] == exact["codebook aligned"] == [6, 6, 0]


def test_a_cell_must_be_one():
    """A figure in the text that could mean two rows is an error, not the first of them."""
    rows = [{"a": "x", "b": "1", "c": "2"}, {"a": "x", "b": "3", "c": "4"}]
    assert cell(rows, "x/3", "c") == "4"
    for row, column in (("x", "c"), ("y", "c"), ("x/1", "d")):
        with pytest.raises(KeyError):
            cell(rows, row, column)


def test_documents_are_not_mixed_with_others(tmp_path):
    """A strange file among the documents would be measured with them."""
    documents.write(tmp_path)
    documents.write(tmp_path)
    assert sorted(path.name for path in (tmp_path / "documents").iterdir()) == sorted(documents.KINDS)
    (tmp_path / "documents" / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        documents.write(tmp_path)
    assert (tmp_path / "documents" / "mine.txt").read_text() == "kept"


def test_what_the_page_links_to_is_there():
    """Links go by the page's own folder."""
    targets = re.findall(r"\]\((?!http)([^)#]+)", DOCUMENT)
    assert len(targets) > 5
    for target in targets:
        assert (PAGE.parent / target).exists(), target
