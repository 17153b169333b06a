"""Whether the embedded model reads damaged pages whose squares no longer stand on visual tokens: ``python -m benchmarks.grid``.

A page of the codec ``codebook`` with the preset ``aligned`` has a square for each visual token. ``light`` scales and turns it, and the
processor then resizes what comes of it to a multiple of 28 px: it may have a row or a column of visual tokens more or fewer than it had of
squares. Both tasks, by whether it has. Runs are stored and go on where they stopped. ``--model hf:FOLDER --adapter FOLDER`` and a store of
their own measure weights that do not ship.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import reading
from ctxbench.statistics import wilson
from ctxbench.store import Store

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "grid.duckdb"
OUT = ROOT / "benchmarks" / "results" / "grid.md"
TASKS = ("json_restore", "needle")
LENGTHS = (64, 128)
KEPT = ("both kept", "another number of rows", "another number of columns", "both others")

INTRODUCTION = """# Damaged pages, by whether their squares still stand on visual tokens

`python -m benchmarks.grid`. Pages of the code under `light`, read by the adapter for it: right answers, and in brackets their share in
percent with its 95 % interval. Rows and columns are those of visual tokens in the page as the model gets it, against those of squares in
the page as it was made.
"""

Counts = dict[tuple[str, int, str], tuple[int, int]]
"""Right answers and all, by task, length and what was kept."""


def measure(model: str, adapter: str, samples: int, store: Path) -> Counts:
    """Run what is not stored yet, and count."""
    reading.run(
        "grid",
        [{"name": task} for task in TASKS],
        ["codebook"],
        store,
        model=model,
        adapter=adapter,
        augmentations=["light"],
        samples=samples,
        buckets=LENGTHS,
    )
    return counted(store)


def counted(path: Path) -> Counts:
    """The trials of one page by what it kept, of those that were run again after an update the last ones.

    An error is no right answer.
    """
    with Store.open_read_only(path) as store:
        rows = store.query(
            """
            WITH latest AS (
                SELECT * FROM results
                QUALIFY row_number() OVER (PARTITION BY task, bucket, sample_index ORDER BY created_at DESC) = 1
            )
            SELECT task, bucket, processed_height = encoded_height AS rows, processed_width = encoded_width AS columns,
                count(*) FILTER (WHERE coalesce(correct, false)), count(*)
            FROM latest JOIN pages USING (trial_id)
            WHERE n_pages = 1
            GROUP BY ALL
            """
        ).rows
    return {(task, bucket, what(same_rows, same_columns)): (right, of) for task, bucket, same_rows, same_columns, right, of in rows}


def what(rows: bool, columns: bool) -> str:
    """Which of :data:`KEPT` it is."""
    return KEPT[(not rows) + 2 * (not columns)]


def report(found: Counts) -> str:
    """The page."""
    lines = [f"| task | length | {' | '.join(KEPT)} |", "|---" * (len(KEPT) + 2) + "|"]
    for task in TASKS:
        for length in LENGTHS:
            cells = [cell(*found.get((task, length, kept), (0, 0))) for kept in KEPT]
            lines.append(f"| {task} | {length} | {' | '.join(cells)} |")
    return "\n".join([INTRODUCTION, *lines]) + "\n"


def cell(right: int, of: int) -> str:
    """Counts with their share and its interval."""
    if not of:
        return ""
    low, high = wilson(right, of)
    return f"{right} of {of} ({100 * right / of:.0f}, {100 * low:.0f} to {100 * high:.0f})"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200, help="contexts of each task and length")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--adapter", default="codebook")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    text = report(measure(options.model, options.adapter, options.samples, options.store))
    print(text, end="")
    options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
