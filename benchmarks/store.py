"""How fast rows go into the store, and how fast it is asked: ``python -m benchmarks.store [--rows 100000] [--slow-rows 2000]``.

The same rows by the store's own bulk append and, fewer of them, by DuckDB's ``executemany`` into the same table, in the same run; then the
view ``summary`` over ``--many`` trials (a million), beside pandas with the same rows in memory and a part of the same aggregation.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from ctxbench.results import PageRow, ScoreRow, TrialResult
from ctxbench.store import Store
from ctxbench.store.rows import TRIAL_COLUMNS, json_text

BATCH = 256
"""Rows that the engine stores at once."""


def trial(number: int) -> TrialResult:
    """A trial with two scores, one page and a prediction of 160 characters, in one of 48 cells."""
    name = f"{number:032x}"
    cell = hashlib.md5(str(number % 48).encode()).hexdigest()
    return TrialResult(
        trial_id=name,
        cell=cell,
        variant=cell,
        seed=0,
        model_version="0.1.0/1",
        task_version="0.1.0/1",
        codec_version="0.1.0/1",
        augmentation_version="0.1.0/1",
        model="channel",
        adapter=None,
        model_config={},
        model_fingerprint="",
        adapter_fingerprint="",
        task="needle",
        task_config={"variant": "single"},
        bucket=512 * (1 + number // 12 % 4),
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
        encoded_tokens=100 + number % 50,
        prompt_tokens=150 + number % 50,
        formula_prompt_tokens=140 + number % 50,
        text_prompt_tokens=560,
        context_bytes=2_000,
        payload_bytes=900,
        token_family="qwen2-vl",
        compression_ratio=512 / (100 + number % 50),
        n_pages=1,
        channel_ok=number % 7 > 0,
        channel_correct=number % 7 > 0,
        channel_cer=float(number % 7 == 0) / 3,
        encode_seconds=0.01 + number % 11 / 1000,
        augment_seconds=0.002,
        channel_seconds=0.03 + number % 13 / 1000,
        read_seconds=0.5 + number % 17 / 100,
        score_seconds=0.001,
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


def multiplied(folder: Path, wanted: int) -> Path:
    """A store of ``wanted`` trials: ten thousand that the store itself took in, copied under other ids."""
    path = folder / "many.duckdb"
    base = min(wanted, 10_000)
    with Store.open(path) as store:
        store.append("r", [trial(number) for number in range(base)])
    names = [column.name for column in TRIAL_COLUMNS if column.name != "trial_id"] + ["run_id", "created_at"]
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"INSERT INTO trials (trial_id, {', '.join(names)}) SELECT printf('%032x', copy * {base} + sample_index), {', '.join(names)} "
            f"FROM trials, range(1, {wanted // base}) copies(copy)"
        )
        connection.execute("CHECKPOINT")
    return path


CELL = ["model", "adapter", "task", "bucket", "language", "codec", "augmentation", "variant", "cell"]


def with_pandas(frame: Any) -> Any:
    """What ``summary`` says of each cell, but for intervals, releases and names: counts, accuracy, mean score, costs and times."""
    means = ["score", "reference_tokens", "encoded_tokens", "carrier_tokens", "prompt_tokens", "n_pages", "channel_cer"]
    means += ["encode_seconds", "augment_seconds", "channel_seconds", "read_seconds", "score_seconds"]
    work = frame.assign(right=(frame["outcome"] == "correct") & (frame["status"] != "error"), error=frame["status"] == "error")
    groups = work.groupby(CELL, dropna=False, observed=True, sort=True)
    found = groups[means].mean()
    found["n"], found["accuracy"], found["errors"] = groups.size(), groups["right"].mean(), groups["error"].sum()
    found["channel_ok"] = work.assign(ok=work["channel_ok"].astype("float64")).groupby(CELL, dropna=False, observed=True)["ok"].mean()
    for name, (top, under) in {
        "encoded_ratio": ("reference_tokens", "encoded_tokens"),
        "compression_ratio": ("reference_tokens", "carrier_tokens"),
        "prompt_ratio": ("text_prompt_tokens", "formula_prompt_tokens"),
        "text_compression": ("context_bytes", "payload_bytes"),
    }.items():
        found[name] = groups[top].sum() / groups[under].sum()
    return found


def timed(work: Callable[[], Any], times: int = 5) -> tuple[float, float]:
    """Smallest wall and CPU seconds of a few runs, of which the first is not counted."""
    work()
    walls, cpus = [], []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def summary_against_pandas(folder: Path, wanted: int) -> None:
    """One line for ``summary`` and one for pandas, and whether they agree."""
    path = multiplied(folder, wanted)
    with Store.open_read_only(path) as store:
        ours, our_cpu = timed(lambda: store.query("SELECT * FROM summary"))
        columns = "status, outcome, channel_ok, text_prompt_tokens, formula_prompt_tokens, context_bytes, payload_bytes, score"
        columns += (
            ", reference_tokens, encoded_tokens, carrier_tokens, prompt_tokens, n_pages, channel_cer, encode_seconds, augment_seconds"
        )
        columns += ", channel_seconds, read_seconds, score_seconds"
        start = time.perf_counter()
        frame = store.df(f"SELECT {', '.join(CELL)}, {columns} FROM trials")
        loading = time.perf_counter() - start
        rows = {row[0]: row[1:] for row in store.query("SELECT cell, n, accuracy, encoded_ratio FROM summary").rows}
    theirs, their_cpu = timed(lambda: with_pandas(frame), times=2)
    found = with_pandas(frame).reset_index().set_index("cell")
    same = all(abs(found.loc[cell, "accuracy"] - a) < 1e-9 and found.loc[cell, "n"] == n for cell, (n, a, _) in rows.items())
    print(f"SELECT * FROM summary, {wanted:,} trials, {len(rows)} cells, {os.cpu_count()} cores: {ours:.2f} s, {our_cpu:.2f} CPU seconds")
    print(f"pandas, means, counts and ratios of the same: {theirs:.2f} s, {their_cpu:.2f} CPU seconds, after {loading:.2f} s of loading")
    print(f"ratio: {theirs / ours:.1f} by the clock, {their_cpu / our_cpu:.1f} in CPU time; same accuracies: {'yes' if same else 'NO'}")


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--slow-rows", type=int, default=2_000, help="rows for executemany")
    parser.add_argument("--many", type=int, default=1_000_000, help="trials that summary is asked for; 0 leaves it out")
    parser.add_argument("--only-summary", action="store_true", help="leave the writing out")
    options = parser.parse_args()
    if options.only_summary:
        with tempfile.TemporaryDirectory() as name:
            summary_against_pandas(Path(name), options.many)
        return
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
        if options.many:
            summary_against_pandas(folder, options.many)


if __name__ == "__main__":
    main()
