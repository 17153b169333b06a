"""The tables of the page, and the file that keeps them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from benchmarks.case_study.commands import FAMILIES, STORES, Table, costs, queried
from benchmarks.case_study.documents import KINDS

RESULTS = Path(__file__).parents[1] / "results" / "case_study.csv"
HEAD = ("table", "row", "column", "value")
LOST = "†"
"""Marks a family that gets fewer pixels than a page has."""


def measured() -> dict[str, Table]:
    """Every table, from the commands' output."""
    found = costs()
    return {"documents": documents_table(found), "costs": costs_table(found), **{name: queried(name) for name in STORES}}


def documents_table(found: dict[str, Any]) -> Table:
    """Length of each document."""
    by_name = {Path(document["file"]).name: document for document in found["documents"]}
    return [
        {
            "document": name,
            "what it is": kind,
            "characters": f"{by_name[name]['characters']:,}",
            "tokens": f"{by_name[name]['reference_tokens']:,}",
            "characters a token": f"{by_name[name]['characters'] / by_name[name]['reference_tokens']:.1f}",
        }
        for name, kind in KINDS.items()
    ]


def costs_table(found: dict[str, Any]) -> Table:
    """Tokens of all documents together in each carrier, by family, and in brackets the ratio to plain text."""
    rows: dict[str, dict[str, str]] = {}
    for cost in found["costs"]:
        if cost["codec"].startswith("truncate"):
            continue
        empty = {"carrier": cost["codec"], "pages": str(cost["pages"]), **dict.fromkeys(FAMILIES, "")}
        row = rows.setdefault(cost["codec"], empty)
        row[cost["family"]] = f"{cost['tokens']:,} ({cost['ratio']:.2f}){LOST if cost['loses_pixels'] else ''}"
    return list(rows.values())


def save(tables: dict[str, Table], path: Path = RESULTS) -> None:
    """Write them, a line for each figure."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        for name, rows in tables.items():
            for number, row in enumerate(rows):
                writer.writerows((name, number, column, value) for column, value in row.items())


def load(path: Path = RESULTS) -> dict[str, Table]:
    """Read them."""
    tables: dict[str, Table] = {}
    for line in csv.DictReader(io.StringIO(path.read_text("utf-8"))):
        rows = tables.setdefault(line["table"], [])
        if int(line["row"]) == len(rows):
            rows.append({})
        rows[-1][line["column"]] = line["value"]
    return tables


def markdown(rows: Table) -> str:
    """A table in Markdown; columns of numbers stand to the right."""
    columns = list(rows[0])
    right = [all(not row[column] or row[column][0].isdigit() for row in rows) for column in columns]
    lines = [columns, [("---:" if side else "---") for side in right], *([row[column] for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
