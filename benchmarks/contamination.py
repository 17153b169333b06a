"""How much of the evaluated contexts the embedded model was trained on: ``python -m benchmarks.contamination [--samples 200]``.

Overlap of n-grams (``ctxbench.contamination``) between fresh samples of the quickstart's tasks and the records that ship with the base and
with each adapter: mean and highest share of a context, and share of the contexts at which a run warns. The reference is a context that was
trained on, 100 %. A second table has what records take on disk, for training data of 512 reference tokens a context.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

import numpy as np

import ctxbench
import ctxbench_tiny
from ctxbench.contamination import FILE, THRESHOLD, Collector, TrainingData, read

TASKS = {"json_restore": {}, "needle": {}, "needle (zh)": {"language": "zh"}}
BUCKETS = (64, 128, 512)


def contexts(task: str, bucket: int, count: int, what: str) -> list[str]:
    """Fresh contexts; ``what`` keeps the seeds of different uses apart."""
    made = ctxbench.load_plugins().task(task.partition(" ")[0], **TASKS[task])
    return [made.sample(bucket, ctxbench.derive_seed("contamination", what, i)).context for i in range(count)]


def packaged() -> Iterator[tuple[str, TrainingData]]:
    """The records that ship, by the name of what lies beside them."""
    for folder in (ctxbench_tiny.WEIGHTS / "base", *sorted(ctxbench_tiny.WEIGHTS.glob("adapters/*"))):
        for data in read(folder) or ():
            yield folder.name, data


def overlaps(samples: int) -> None:
    """The first table."""
    records = list(packaged())
    for name, data in records:
        size = len((ctxbench_tiny.WEIGHTS / ("base" if name == "base" else f"adapters/{name}") / FILE).read_bytes())
        print(f"{name}: {len(data.hashes):,} n-grams, one of {(1 << 36) / data.limit:.1f} kept, {size:,} bytes; {data.covers}\n")
    print(f"{'record':16}{'task':14}{'bucket':>7}{'mean':>9}{'highest':>9}{f'at {THRESHOLD:.0%}':>9}")
    for task in TASKS:
        for bucket in BUCKETS:
            some = contexts(task, bucket, samples, "fresh")
            for name, data in records:
                shares = np.array([data.overlap(context) for context in some])
                print(f"{name:16}{task:14}{bucket:7}{shares.mean():9.1%}{shares.max():9.1%}{(shares >= THRESHOLD).mean():9.1%}", flush=True)


def sizes(count: int) -> None:
    """The second table."""
    print(f"\n{'1,000 contexts of':22}{'n-grams':>10}{'bytes':>11}{'bytes each':>12}{'taken for known by chance':>27}")
    for task in TASKS:
        collector = Collector()
        for context in contexts(task, 512, count, "training"):
            collector.add(context)
        data = collector.data("", "")
        size = len(json.dumps(data.plain()))
        chance = len(data.hashes) / (1 << 36)
        print(f"{task:22}{len(data.hashes) * 1000 // count:10,}{size * 1000 // count:11,}{size / len(data.hashes):12.2f}{chance:27.1e}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200, help="contexts of each task and bucket")
    samples = parser.parse_args().samples
    overlaps(samples)
    sizes(1000)


if __name__ == "__main__":
    main()
