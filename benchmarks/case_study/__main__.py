"""Measures the case study and makes its page: ``python -m benchmarks.case_study [--out docs/case-study.md]``.

Writes the documents, runs what is not yet in the stores below ``case-study`` (about a quarter of an hour of CPU time from nothing, most of
it for reading damaged print; an interrupted run goes on where it stopped), and writes the tables to ``benchmarks/results/case_study.csv``,
the page and its figure. ``--only documents`` stops after the first step, ``--only page`` makes page and figure of the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.case_study import commands, documents, figure, tables
from benchmarks.case_study.page import page
from ctxbench import CtxbenchError

PAGE = commands.ROOT / "docs" / "case-study.md"
FIGURE = PAGE.parent / "images" / "case-study.png"


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE, help="the page; its figure goes into the folder images beside it")
    parser.add_argument("--only", choices=("documents", "page"), help="write the documents, or the page, and nothing else")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the runs")
    options = parser.parse_args()
    if options.only != "page":
        try:
            documents.write(commands.ROOT / "case-study")
        except CtxbenchError as error:
            raise SystemExit(f"error: {error}") from None
    if options.only == "documents":
        return
    if options.only != "page":
        commands.measure(options.workers)
        tables.save(tables.measured())
    found = tables.load()
    options.out.write_text(page(found), "utf-8")
    drawn = options.out.parent / "images" / FIGURE.name
    drawn.parent.mkdir(exist_ok=True)
    figure.draw(found["equal"], drawn)


if __name__ == "__main__":
    main()
