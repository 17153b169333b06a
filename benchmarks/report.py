"""How long a report takes and how large it is: ``python -m benchmarks.report [--trials 100000] [--samples 2000] [--keep FOLDER]``.

A synthetic store of an experiment with 3 readers, 2 tasks, 4 lengths, 5 codecs and 3 levels of damage (360 cells of about 278 trials),
with questions, answers of 300 to 3,000 characters, wrong answers that differ from them, timings and pages that were not kept. The
reference (1.0) is ``pandas.DataFrame.to_html`` of twelve columns of the view ``results`` of the same store: every trial as a row, without
plots, filters or bounds. Seconds are of wall time and of CPU time of all processes, once each, reading the store included; where other work
shares the cores, CPU time over the number of cores says more than the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ctxbench.results import PageRow, RunRecord, ScoreRow, TrialResult
from ctxbench.store import Store

READERS = (("hf:small", None), ("hf:large", None), ("hf:large", "adapters/code"))
TASKS, BUCKETS = ("needle", "json_restore"), (512, 1024, 2048, 4096)
CODECS = {"text": 1.0, "render": 1.6, "codebook": 4.8, "codebook_external": 1.1, "half_resolution": 3.1}
SHOWN = ("trial_id", "model", "adapter", "task", "bucket", "codec", "augmentation", "outcome", "carrier_tokens", "question", "expected")
SHOWN = (*SHOWN, "prediction")
LEVELS = {"clean": 1.0, "light": 0.9, "heavy": 0.55}


def trials(count: int) -> Iterator[TrialResult]:
    """Trials that go through all cells again and again, each round with the next sample."""
    draw = random.Random(0)
    cells = [(r, t, b, c, a) for r in READERS for t in TASKS for b in BUCKETS for c in CODECS for a in LEVELS]
    answers = ["".join(draw.choices('abcdefghij {}":,0123456789', k=draw.randrange(300, 3000))) for _ in range(500)]
    for number in range(count):
        (model, adapter), task, bucket, codec, level = cells[number % len(cells)]
        sample = number // len(cells)
        chance = LEVELS[level] * (1.0 if codec == "text" else 0.85) * (1.0 if adapter or codec != "codebook" else 0.1)
        right = draw.random() < chance
        answer = answers[(sample * 7 + bucket) % len(answers)] if task == "json_restore" else f"{sample:06d}"
        said = answer if right else answer[: len(answer) // 2] + "".join(draw.choices("xyz", k=max(1, len(answer) // 10)))
        cost = max(1, round(bucket / CODECS[codec] * draw.uniform(0.97, 1.03)))
        name = f"{number:032x}"
        cell = f"{number % len(cells):032x}"
        yield TrialResult(
            trial_id=name,
            cell=cell,
            variant=cell,
            seed=0,
            model=model,
            adapter=adapter,
            model_config={"dtype": "bfloat16"},
            model_fingerprint="f" * 16,
            adapter_fingerprint="a" * 16 if adapter else "",
            task=task,
            task_config={},
            bucket=bucket,
            language="en",
            sample_index=sample,
            sample_seed=sample,
            codec=codec,
            codec_config={},
            augmentation=level,
            augmentation_config={},
            augmentation_seed=number,
            status="ok",
            outcome="correct" if right else ("confabulated", "truncated", "unparsable")[number % 3],
            primary_score="hit_at_1",
            score=float(right),
            question="What is the access number?" if task == "needle" else "Write the document again.",
            expected=answer,
            prompt="Read the page and answer.",
            prediction=said,
            sample_metadata={"depth": sample % 20 / 20} if task == "needle" else {},
            context_bytes=bucket * 4,
            reference_tokens=bucket,
            carrier_tokens=cost,
            encoded_tokens=cost,
            prompt_tokens=cost + 40,
            formula_prompt_tokens=cost + 40,
            text_prompt_tokens=bucket + 40,
            encoded_ratio=bucket / cost,
            compression_ratio=bucket / cost,
            n_pages=int(codec != "text"),
            channel_ok=draw.random() < LEVELS[level] + 0.05,
            channel_correct=draw.random() < LEVELS[level] + 0.1,
            channel_cer=0.0,
            read_seconds=draw.uniform(0.1, 2),
            scores=(ScoreRow("hit_at_1", "1", "hit_at_1", float(right), True),),
            pages=() if codec == "text" else (PageRow(0, 280, 280, 280, 280, 280, 280, 1.0, False, cost, name * 2),),
        )


def fill(path: Path, count: int) -> None:
    """Make the synthetic store."""
    import datetime

    when = datetime.datetime(2031, 4, 1, tzinfo=datetime.UTC)
    record = RunRecord(
        run_id="r",
        name="synthetic",
        config_hash="0" * 64,
        config={"samples": count // 360},
        seed=0,
        command="ctxbench run",
        started_at=when,
        ctxbench_version="0.1.0",
        versions={},
        python="3",
        platform="any",
        git_revision=None,
        planned=count,
    )
    with Store.open(path) as store:
        store.start_run(record)
        batch: list[TrialResult] = []
        for trial in trials(count):
            batch.append(trial)
            if len(batch) == 20_000:
                store.append("r", batch)
                batch.clear()
        store.append("r", batch)
        store.finish_run("r", "finished", {"finished": count, "errors": 0})


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=2_000, help="trials to inspect in the report")
    parser.add_argument("--keep", type=Path, help="put store and report here, and use a store that is there")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"synthetic-{options.trials}.duckdb"
        if not path.exists():
            fill(path, options.trials)
        import ctxbench_report

        start, busy = time.perf_counter(), cpu_seconds()
        made = ctxbench_report.report(path, folder / "report.html", samples=options.samples)
        seconds, cpu, size = time.perf_counter() - start, cpu_seconds() - busy, made.path.stat().st_size
        start, busy = time.perf_counter(), time.process_time()
        with Store.open_read_only(path) as store:
            store.df(f"SELECT {', '.join(SHOWN)} FROM results").to_html(folder / "pandas.html")
        pandas_seconds, pandas_cpu = time.perf_counter() - start, time.process_time() - busy
        pandas_size = (folder / "pandas.html").stat().st_size
        told = f"{seconds:.1f} s, {cpu:.1f} s of CPU, {size / 1e6:.1f} MB"
        print(f"ctxbench report, {options.trials:,} trials: {told}, {made.plots} plots, {made.samples:,} trials to look at")
        print(f"pandas to_html: {pandas_seconds:.1f} s, {pandas_cpu:.1f} s of CPU, {pandas_size / 1e6:.1f} MB")
        print(f"ratio to pandas: CPU time {cpu / pandas_cpu:.2f}, size {size / pandas_size:.3f}")


if __name__ == "__main__":
    main()
