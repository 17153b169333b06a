"""How fast rows go into the store: ``python -m benchmarks.store [--rows 100000] [--slow-rows 2000]``.

The same rows by the store's own bulk append and, fewer of them, by DuckDB's ``executemany`` into the same table, in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from ctxbench.results import PageRow, ScoreRow, TrialResult
from ctxbench.store import Store
from ctxbench.store.rows import TRIAL_COLUMNS, json_text

BATCH = 256
"""Rows that the engine stores at once."""


def trial(number: int) -> TrialResult:
    """A trial with two scores, one page and a prediction of 160 characters."""
    name = f"{number:032x}"
    return TrialResult(
        trial_id=name,
        model="channel",
        adapter=None,
        model_config={},
        model_fingerprint="",
        adapter_fingerprint="",
        task="needle",
        task_config={"variant": "single"},
        bucket=512 * (1 + number % 4),
        language="en",
        sample_index=number,
        sample_seed=number,
        codec=("text", "render", "codebook", "codebook_external")[number % 4],
        codec_config={"cell": 4},
        augmentation=("clean", "light", "heavy")[number % 3],
        augmentation_config={},
        augmentation_seed=number,
        status="ok",
        outcome="correct" if number % 5 else "confabulated",
        primary_score="hit_at_1",
        score=float(number % 5 > 0),
        question="What is the number?",
        expected="7319",
        prediction="x" * 160,
        reference_tokens=512,
        carrier_tokens=100 + number % 50,
        compression_ratio=512 / (100 + number % 50),
        channel_ok=number % 7 > 0,
        scores=tuple(ScoreRow(metric, "1", metric, 1.0, True) for metric in ("hit_at_1", "character_error_rate")),
        pages=(PageRow(0, 280, 280, 280, 280, 280, 280, 1.0, False, 100, name * 2),),
    )


def bulk(folder: Path, trials: list[TrialResult], batch: int) -> float:
    """Seconds for storing the trials with their scores and pages, ``batch`` at a time."""
    with Store.open(folder / f"bulk-{batch}.duckdb") as store:
        start = time.perf_counter()
        for first in range(0, len(trials), batch):
            store.append("r", trials[first : first + batch])
        return time.perf_counter() - start


def row_by_row(folder: Path, trials: list[TrialResult]) -> float:
    """Seconds for storing the trials alone, without scores and pages, by ``executemany`` in one transaction."""
    path = folder / "slow.duckdb"
    Store.open(path).close()
    names = [column.name for column in TRIAL_COLUMNS]
    sql = f"INSERT INTO trials (run_id, created_at, {', '.join(names)}) VALUES ('r', now(), {', '.join('?' * len(names))})"
    with duckdb.connect(str(path)) as connection:
        start = time.perf_counter()
        rows = [[json_text(getattr(row, c.name)) if c.is_json else getattr(row, c.name) for c in TRIAL_COLUMNS] for row in trials]
        connection.execute("BEGIN")
        connection.executemany(sql, rows)
        connection.execute("COMMIT")
        return time.perf_counter() - start


def query_seconds(path: Path, sql: str) -> float:
    """Median seconds of five runs of a query."""
    times = []
    with Store.open_read_only(path) as store:
        for _ in range(5):
            start = time.perf_counter()
            store.query(sql)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--slow-rows", type=int, default=2_000, help="rows for executemany")
    options = parser.parse_args()
    trials = [trial(number) for number in range(options.rows)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        all_at_once = bulk(folder, trials, len(trials))
        in_batches = bulk(folder, trials[: 40 * BATCH], BATCH)
        slow = row_by_row(folder, trials[: options.slow_rows])
        path = folder / f"bulk-{len(trials)}.duckdb"
        per_row, slow_per_row = all_at_once / len(trials), slow / min(options.slow_rows, len(trials))
        batched = min(len(trials), 40 * BATCH)
        print(f"append, one batch of {len(trials):,} trials with scores and pages: {all_at_once:.2f} s, {1e6 * per_row:.0f} us a trial")
        print(f"append, {batched:,} trials in batches of {BATCH}: {in_batches:.2f} s, {1e6 * in_batches / batched:.0f} us a trial")
        print(f"executemany, {options.slow_rows:,} trials alone: {slow:.2f} s, {1e6 * slow_per_row:.0f} us a trial")
        print(f"ratio: {slow_per_row / per_row:.0f} in one batch, {slow_per_row * batched / in_batches:.0f} in batches of {BATCH}")
        print(f"file: {path.stat().st_size / 2**20:.1f} MiB, {path.stat().st_size / len(trials):.0f} bytes a trial")
        for view in ("summary", "frontier", "attribution"):
            print(f"SELECT * FROM {view}: {1000 * query_seconds(path, view):.0f} ms")


if __name__ == "__main__":
    main()
