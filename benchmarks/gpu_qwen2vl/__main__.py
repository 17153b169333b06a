"""Training and reading at the real size of Qwen2-VL-2B, with random weights: nothing is downloaded, and time and memory are real.

    python -m benchmarks.gpu_qwen2vl                                  on a GPU: every figure of docs/results.md that needs one
    python -m benchmarks.gpu_qwen2vl --only read                      the reader's figures alone
    python -m benchmarks.gpu_qwen2vl --device cpu --layers 1 --tiny   a smoke test of this script

Prints one JSON line for each measurement as it ends; one that fails prints its error, and the next begins. Of LoRA on bfloat16 weights
and QLoRA on nf4 weights: peak memory in GiB, seconds a step and tokens/s, of padded batches that are made beforehand. Of the reader:
generated tokens/s of the whole time and of decoding alone, for several batch sizes, each over that of the first of them. Two references
run beside them: transformers' ``Trainer`` over the same model, adapter and batches, and a plain ``generate``, one prompt at a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch

from benchmarks.gpu_qwen2vl.common import Found, memory, reset, write_model
from benchmarks.gpu_qwen2vl.reading import load_reader, measure_generate, measure_reading
from benchmarks.gpu_qwen2vl.training import measure_trainer, measure_training
from ctxbench_transformers.runtime import Runtime

SHARED_MEMORY = Path("/dev/shm")
ROOM = 16 * 2**30
"""Bytes that have to be free in it for the weights to be written there."""


@attrs.define
class Bench:
    """Measures one thing after the other and prints each; ``limit``: seconds after which nothing more is begun."""

    device: torch.device
    limit: float | None
    began: float = attrs.field(factory=time.perf_counter)

    def measure(self, what: str, work: Callable[..., Found], *given: Any) -> Found | None:
        """Print what ``work`` finds; ``None`` if it fails or would begin too late."""
        elapsed = time.perf_counter() - self.began
        if self.limit is not None and elapsed > self.limit:
            self.show(what, {"skipped": f"{elapsed:.0f} s are over"})
            return None
        try:
            gc.collect()
            reset(self.device)
            found = work(*given)
        except Exception as error:  # whatever it is: the next measurement does not depend on it
            self.show(what, {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"})
            return None
        self.show(what, found)
        return found

    def compare(self, what: str, found: Found | None, other: Found | None) -> None:
        """Print the ratio of two rates, where both were measured."""
        if found and other and other["tokens_per_second"]:
            self.show(what, {"ratio": round(found["tokens_per_second"] / other["tokens_per_second"], 2)})

    def show(self, what: str, line: Found) -> None:
        """Print one line."""
        print(json.dumps({"what": what, **line, "at_seconds": round(time.perf_counter() - self.began, 1)}), flush=True)


def run(options: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Every measurement, or those of one kind; those that others are compared with come first."""
    bench = Bench(device, options.seconds)
    if bench.measure("model", write_model, folder, device, options.layers, options.tiny) is None:
        return
    size = (device, options.steps, options.side, options.answer)
    if options.only != "read":
        own = bench.measure("train lora", measure_training, folder, "lora", *size)
        plain = bench.measure("train lora, transformers' Trainer", measure_trainer, folder, "lora", *size)
        bench.compare("train lora over transformers' Trainer", own, plain)
        bench.measure("train qlora", measure_training, folder, "qlora", *size)
    if options.only != "train":
        measure_readers(bench, folder, options)
    if options.only != "read":
        for method in ("lora", "qlora"):
            bench.measure(f"train {method} checkpointed", measure_training, folder, method, *size, True)


def measure_readers(bench: Bench, folder: Path, options: argparse.Namespace) -> None:
    """The reader at every batch size, and the reference after the first; the model is loaded once."""
    loaded: list[Runtime] = []

    def load() -> Found:
        loaded.append(load_reader(folder, bench.device))
        return {"peak_gib": round(memory(bench.device), 2)}

    if bench.measure("load reader", load) is None:
        return
    (runtime,), first = loaded, None
    for batch in options.batches:
        found = bench.measure(
            f"read, batch {batch}", measure_reading, runtime, bench.device, batch, options.prompts, options.side, options.new
        )
        if batch != options.batches[0]:
            bench.compare(f"read, batch {batch} over batch {options.batches[0]}", found, first)
            continue
        first = found
        plain = bench.measure(
            "plain generate, batch 1", measure_generate, runtime, bench.device, options.prompts, options.side, options.new
        )
        bench.compare(f"read, batch {batch} over plain generate, batch 1", found, plain)


def main() -> None:
    """Measure and print one JSON line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, help="layers of both parts, instead of 28 and 32")
    parser.add_argument("--tiny", action="store_true", help="a narrow model, for a smoke test")
    parser.add_argument("--only", choices=("train", "read"), help="measure one of the two alone")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--side", type=int, default=980, help="page side in px; 980 are 1,225 visual tokens")
    parser.add_argument("--answer", type=int, default=512, help="tokens of a training answer")
    parser.add_argument("--new", type=int, default=256, help="tokens of a generated answer")
    parser.add_argument("--prompts", type=int, default=2, help="prompts that are answered; at a larger batch size one full batch")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, help="begin no measurement after so many seconds")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: no GPU here; give --device cpu --layers 1 --tiny for a smoke test of this script")
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(json.dumps({**vars(options), "device": name, "torch": torch.__version__}), flush=True)
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= ROOM
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if roomy else None) as folder:
        run(options, device, Path(folder))


if __name__ == "__main__":
    main()
