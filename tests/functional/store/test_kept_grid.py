"""Reading of damaged pages, told apart by whether a page keeps its rows and columns of visual tokens."""

from __future__ import annotations

from store_records import page_row, run_record, score_row, trial

from benchmarks import grid
from ctxbench.store import Store


def test_each_page_counts_once_and_where_it_belongs(tmp_path):
    """A trial that was run again counts by its last result; wrong answers and pages of no reading count among all."""
    pages = {
        "both kept": page_row(),
        "another number of rows": page_row(processed_height=308),
        "another number of columns": page_row(processed_width=168),
        "both others": page_row(processed_width=168, processed_height=308),
    }
    wrong = {"score": 0.0, "outcome": "wrong", "scores": (score_row(value=0.0),)}
    with Store.open(tmp_path / "s.duckdb") as store:
        store.start_run(run_record())
        trials = [trial(10 * i + j, bucket=64, pages=(page,)) for i, page in enumerate(pages.values()) for j in range(i + 1)]
        trials.append(trial(80, bucket=64, pages=(pages["both kept"],), **wrong))
        trials.append(trial(81, bucket=128, pages=(pages["both others"],), **wrong))
        again = trial(90, bucket=64, sample_index=80, pages=(pages["another number of rows"],))  # an update made it another trial
        store.append("r1", trials)
        store.append("r1", [again])
    assert grid.counted(tmp_path / "s.duckdb") == {
        ("needle", 64, "both kept"): (1, 1),
        ("needle", 64, "another number of rows"): (3, 3),
        ("needle", 64, "another number of columns"): (3, 3),
        ("needle", 64, "both others"): (4, 4),
        ("needle", 128, "both others"): (0, 1),
    }


def test_the_table_leaves_empty_what_was_not_measured():
    """Shares stand beside their counts."""
    page = grid.report({("needle", 128, "both others"): (0, 4), ("json_restore", 64, "both kept"): (3, 4)}).splitlines()
    assert "| task | length | both kept | another number of rows | another number of columns | both others |" in page
    assert "| needle | 128 |  |  |  | 0 of 4 (0, 0 to 49) |" in page
    assert "| json_restore | 64 | 3 of 4 (75, 30 to 95) |  |  |  |" in page
