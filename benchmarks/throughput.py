"""How busy a run keeps its model: ``python -m benchmarks.throughput [--samples 128] [--seconds 1.25] [--batch 8] [--channel]``.

A model that takes a fixed time a batch reads pages of up to 980 px. Printed are the share of the time from its first batch to its last
answer in which it worked (``runs.idle_share`` is the rest), the time of the whole run as a multiple of the model's own, and the CPU seconds
that everything but the model took for each prompt: times the batch, divided by the cores, that is the shortest batch to keep up with.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from ctxbench import Model, ModelRecord, Prompt, Reading
from ctxbench.config import make_config
from ctxbench.engine import RunReport, run


@attrs.frozen
class Steady(Model):
    """Sleeps a fixed time for each batch, as a GPU would keep Python waiting."""

    beside = True
    seconds: float = 1.25

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """The same answer for every prompt."""
        time.sleep(self.seconds)
        return [Reading("no") for _ in prompts]


def cpu_seconds() -> float:
    """Of this process and of workers that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    """One run, and what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=1.25, help="the model's time for a batch")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--bucket", type=int, default=2048)
    parser.add_argument("--channel", action="store_true", help="decode every page classically as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(
            {
                "models": [{"name": "steady", "seconds": args.seconds}],
                "tasks": ["json_restore"],
                "codecs": [{"name": "render", "page_height": 980}],
                "augmentations": ["light"],
                "buckets": [args.bucket],
                "samples": args.samples,
                "store": str(Path(folder) / "throughput.duckdb"),
                "run": {"batch_size": args.batch, "channel": args.channel, "executor": {"name": "local", "workers": args.workers}},
            }
        )
        report = RunReport()
        before, start = cpu_seconds(), time.perf_counter()
        with run(config, components=[ModelRecord("steady", "A fixed time a batch.", Steady)], report=report) as store:
            whole = time.perf_counter() - start
            pages = store.query("SELECT count(*), max(width), max(height) FROM pages").rows[0]
    model = args.seconds * -(-args.samples // args.batch)
    print(
        f"{report.finished} prompts, {report.errors} errors, {pages[0]} pages of up to {pages[1]} x {pages[2]} px, {args.workers} workers"
    )
    print(f"model busy: {100 * (1 - (report.idle_share or 0)):.1f} % from its first batch to its last answer")
    print(f"run / model: {whole / model:.2f}   CPU seconds a prompt: {(cpu_seconds() - before) / args.samples:.3f}")


if __name__ == "__main__":
    main()
