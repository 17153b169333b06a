"""What a helper loss on the visual tokens is worth: ``python -m benchmarks.auxiliary_losses [--steps 600] [--records 3000]``.

A new adapter for the embedded model's base learns to read squares of four bytes (``codebook:preset=aligned,cell=7,colors=4,columns=12``),
which the base has never seen, on ``json_restore`` of 32 tokens. The reference is the answers' loss alone; the other run asks each visual
token for its cells as well (``page_cells``), and lets the vision part learn alone for the first quarter of its steps. Both take the same
records in the same order, the same number of steps and the same rates, each on one thread. Printed are, every tenth of the steps, the loss
of held-out answers (nats a byte); in the end the loss of the cells, the right answers and the CPU seconds of both.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from ctxbench_tiny.model import base_folder
from ctxbench_transformers import settings
from ctxbench_transformers.data import DataConfig, build
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.log import read_log
from ctxbench_transformers.training.loop import train

SQUARES = {"name": "codebook", "preset": "aligned", "cell": 7, "colors": 4, "columns": 12}
ALONE, HELPED = "answers alone", "page_cells"


def config(kind: str, folder: Path, steps: int) -> TrainConfig:
    """One of the two runs."""
    values: dict[str, Any] = {
        "model": str(base_folder()),
        "data": str(folder / "data"),
        "output": str(folder / kind.replace(" ", "-")),
        "lora": {"r": 48, "alpha": 48, "dropout": 0.0, "target_modules": ["all"]},
        "epochs": 0,
        "max_steps": steps,
        "batch_size": 8,
        "accumulation": 1,
        "optimizer": "muon",
        "muon_lr": 2e-3,
        "lr": 1e-3,
        "beta2": 0.98,
        "schedule": "linear",
        "warmup": 0.05,
        "min_lr": 0.02,
        "evaluate_every": max(1, steps // 10),
        "evaluate_samples": 64,
        "evaluate_batch_size": 32,
        "save_every": 0,
        "device": "cpu",
    }
    if kind == HELPED:
        values |= {"auxiliary": [{"loss": "page_cells", "options": {"cells": 4}}], "answer_begin": steps // 4}
    return settings.make(TrainConfig, values)


def once(kind: str, folder: Path, steps: int) -> None:
    """Run one; print its CPU seconds and validation losses as JSON."""
    torch.set_num_threads(1)
    made = config(kind, folder, steps)
    train(made)
    used = resource.getrusage(resource.RUSAGE_SELF)
    log = read_log(Path(made.output))
    lines = [line for line in log if "val_loss" in line]
    found: dict[str, Any] = {
        "steps": [line["step"] for line in lines],
        "losses": [line["val_loss"] for line in lines],
        "right": lines[-1]["val_score"],
    }
    found["cells"] = next((line["loss/page_cells"] for line in reversed(log) if "loss/page_cells" in line), None)
    print(json.dumps({"cpu": used.ru_utime + used.ru_stime, **found}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--one", nargs=3, metavar=("KIND", "FOLDER", "STEPS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, folder, steps = arguments.one
        once(kind, Path(folder), int(steps))
        return
    with tempfile.TemporaryDirectory() as work:
        values = {"codecs": [SQUARES], "tasks": ["json_restore"], "buckets": [32], "samples": arguments.records, "format": "parquet"}
        build(settings.make(DataConfig, values | {"output": str(Path(work) / "data")}))
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.auxiliary_losses", "--one", kind, work, str(arguments.steps)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for kind in (ALONE, HELPED)
        ]
        outputs = [process.communicate()[0] for process in started]
    alone, helped = (json.loads(out.splitlines()[-1]) for out in outputs)
    print(f"{'step':>6} {ALONE:>14} {HELPED:>12} {'share':>7}")
    for step, left, right in zip(alone["steps"], alone["losses"], helped["losses"], strict=True):
        print(f"{step:6} {left:14.3f} {right:12.3f} {right / left:7.2f}")
    print(f"\nloss of the cells in the last step, nats a cell: {helped['cells']:.4f}")
    print(f"right answers of 64: {64 * alone['right']:.0f} and {64 * helped['right']:.0f}")
    print(f"CPU seconds with {HELPED} over those with {ALONE}: {helped['cpu'] / alone['cpu']:.2f}")


if __name__ == "__main__":
    main()
