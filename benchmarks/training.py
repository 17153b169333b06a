"""How fast ``ctxbench train`` takes a step: ``python -m benchmarks.training [--steps 20] [--rounds 3]``.

The reference, 1.0, is a plain transformers ``Trainer`` as its documentation uses it: a dataset of the same records, and a collator that
calls the model's processor. Both train the embedded model's base, whole, in float32 on one thread, from the same weights, on the same
records in the same order, at the same rate, with the same optimizer and clipping; the largest relative difference of the losses of a step
is printed. What a run costs beside its steps is left out: each is run twice, with 2 steps and with 2 more than ``--steps``, and the
difference counts. *CPU* counts the seconds of all processes; *wall* is what a user waits for, with pages read by the training's own
process and by one beside it. Rounds alternate, and the medians of the ratios are printed with the whole range.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ctxbench_tiny.model import base_folder
from ctxbench_transformers import settings
from ctxbench_transformers.data import DataConfig, Dataset, Example, build
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.log import read_log
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.order import Epochs
from ctxbench_transformers.weights import quiet

RENDER = {"name": "render", "font_size": 11, "line_spacing": 2.55, "margin": 0, "columns": 47}
BATCH, RECORDS, FIRST = 8, 200, 2
KINDS = ("plain", "ctxbench")


def config(folder: Path, steps: int, workers: int) -> TrainConfig:
    """The run, for both."""
    values = {
        "model": str(base_folder()),
        "data": str(folder / "data"),
        "output": str(folder / f"ctxbench-{steps}-{workers}-{time.time_ns()}"),
        "method": "full",
        "precision": "fp32",
        "epochs": 0,
        "max_steps": steps,
        "batch_size": BATCH,
        "accumulation": 1,
        "lr": 1e-4,
        "schedule": "constant",
        "warmup": 0,
        "save_every": 0,
        "dataloader_num_workers": workers,
        "device": "cpu",
    }
    return settings.make(TrainConfig, values)


class Collator:
    """Records to a batch, by the model's processor. Labels are the answer and the end of the turn."""

    def __init__(self) -> None:
        self.processor: Any = load_processor(base_folder())
        self.processor.tokenizer.padding_side = "right"

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        """The processor's tensors and ``labels``, padded on the right."""
        texts, pages = [], []
        for example in examples:
            content = [*({"type": "image"} for _ in example.prompt.pages), {"type": "text", "text": example.prompt.text}]
            asked = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            texts.append(f"{asked}{example.answer}<|im_end|>")
            pages += example.prompt.pages
        batch = self.processor(text=texts, images=pages or None, padding=True, return_tensors="pt")
        labels = torch.full_like(batch["input_ids"], -100)
        for row, example in enumerate(examples):
            end = int(batch["attention_mask"][row].sum())
            start = end - len(self.processor.tokenizer(f"{example.answer}<|im_end|>")["input_ids"])
            labels[row, start:end] = batch["input_ids"][row, start:end]
        return {**batch, "labels": labels}


def plain(folder: Path, steps: int, workers: int) -> list[float]:
    """transformers' ``Trainer``; the loss of each step."""
    from transformers import Qwen2VLForConditionalGeneration, Trainer, TrainingArguments

    made, split = config(folder, steps, workers), Dataset(folder / "data").split("train")
    order = Epochs(made, len(split), BATCH)
    rows = torch.utils.data.Subset(split, [order[place] for place in range(BATCH * steps)])  # type: ignore[arg-type]

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    arguments = TrainingArguments(
        output_dir=str(folder / "plain"),
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        learning_rate=made.lr,
        lr_scheduler_type="constant",
        weight_decay=made.weight_decay,
        adam_beta1=made.beta1,
        adam_beta2=made.beta2,
        max_grad_norm=made.clip,
        logging_steps=1,
        logging_strategy="steps",
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_pin_memory=False,
        use_cpu=True,
        disable_tqdm=True,
    )
    with quiet():
        model = Qwen2VLForConditionalGeneration.from_pretrained(base_folder(), dtype=torch.float32)
    trainer = InOrder(model=model, args=arguments, train_dataset=rows, data_collator=Collator())
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def own(folder: Path, steps: int, workers: int) -> list[float]:
    """``ctxbench train``; the loss of each step."""
    made = config(folder, steps, workers)
    train(made)
    return [line["loss"] for line in read_log(Path(made.output))]


def once(kind: str, folder: Path, steps: int, workers: int) -> None:
    """Run one and print its seconds and losses as JSON."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    losses = (plain if kind == "plain" else own)(folder, steps, workers)
    wall = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"wall": wall, "cpu": sum(some.ru_utime + some.ru_stime for some in used), "losses": losses}))


def measure(kind: str, folder: Path, steps: int, workers: int) -> dict[str, Any]:
    """Seconds of ``steps`` steps, and the losses."""
    found = []
    for count in (FIRST, FIRST + steps):
        command = [sys.executable, "-m", "benchmarks.training", "--one", kind, str(folder), str(count), str(workers)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        found.append(json.loads(out.splitlines()[-1]))
    short, long = found
    return {key: long[key] - short[key] for key in ("wall", "cpu")} | {"losses": long["losses"]}


def show(what: str, ratios: list[float]) -> None:
    """A line of the table."""
    print(f"{what:44} {statistics.median(ratios):5.2f}   {min(ratios):.2f} to {max(ratios):.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, metavar=("KIND", "FOLDER", "STEPS", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, folder, steps, workers = arguments.one
        once(kind, Path(folder), int(steps), int(workers))
        return
    with tempfile.TemporaryDirectory() as work:
        values = {"codecs": ["text", RENDER], "buckets": [32, 64], "samples": RECORDS, "validation": 0.0, "format": "parquet"}
        build(settings.make(DataConfig, values | {"output": str(Path(work) / "data")}))
        rounds = [
            {(kind, workers): measure(kind, Path(work), arguments.steps, workers) for workers in (0, 1) for kind in KINDS}
            for _ in range(arguments.rounds)
        ]
    left, right = (rounds[0][kind, 0]["losses"] for kind in KINDS)
    apart = max(abs(a - b) / a for a, b in zip(left, right, strict=True))
    print(f"losses of a step differ by {apart:.1e} of their value at most\n")
    print(f"samples a second over those of transformers' Trainer, {arguments.steps} steps of {BATCH}; median and range of {len(rounds)}")
    for workers, what in ((0, "pages read between steps"), (1, "pages read ahead by one process")):
        for key in ("cpu", "wall"):
            show(f"{key}, {what}", [some["plain", workers][key] / some["ctxbench", workers][key] for some in rounds])
    show("wall, ctxbench ahead over Trainer between", [some["plain", 0]["wall"] / some["ctxbench", 1]["wall"] for some in rounds])
    rate = [arguments.steps * BATCH / some["plain", 0]["cpu"] for some in rounds]
    print(f"\nthe Trainer's own samples a CPU second, which depend on the machine: {statistics.median(rate):.1f}")


if __name__ == "__main__":
    main()
