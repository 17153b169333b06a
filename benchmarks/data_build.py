"""How many workers ``ctxbench data build`` can keep busy: ``python -m benchmarks.data_build [--samples 300]``.

Records are made by the workers and written by one process, whose CPU time for each is what the others cannot take from it. Printed is that
time beside the time of making a record; their ratio is the number of workers beyond which more of them do not help.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from pathlib import Path

from ctxbench_transformers import settings
from ctxbench_transformers.data import DataConfig, build


def spent(who: int) -> float:
    """CPU seconds, of this process or of those that it has waited for."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Build the same data in both formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300, help="records of each codec")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for form in ("jsonl", "parquet"):
            values = {
                "samples": options.samples,
                "validation": 0.0,
                "codecs": ["render", "codebook"],
                "augmentations": ["clean", "light"],
                "format": form,
                "output": str(Path(folder) / form),
            }
            config = settings.make(DataConfig, values)
            before = [spent(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            build(config, workers=max(2, options.workers))
            own, others = (spent(who) - was for who, was in zip((resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN), before, strict=True))
            count = options.samples * len(config.codecs)
            print(f"{form}: {own / count * 1e3:.1f} ms a record to write, {others / count * 1e3:.1f} ms to make; ratio {others / own:.1f}")


if __name__ == "__main__":
    main()
