"""A training's steps, and transformers' ``Trainer`` beside them."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import torch

from benchmarks.gpu_qwen2vl.common import Found, example, memory, synchronize
from ctxbench_transformers import settings
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.optimizer import make_optimizers
from ctxbench_transformers.training.trainable import load_trainable, trained_parameters
from ctxbench_transformers.weights import quiet


@attrs.frozen(eq=False)
class Training:
    """The seed paper's configuration (batch 1 x 8, r 16) with its model, and the batches of a step, which is always the same one."""

    config: TrainConfig
    model: Any
    batches: list[dict[str, torch.Tensor]]

    @classmethod
    def load(cls, folder: Path, method: str, device: torch.device, side: int, answer: int, checkpointing: bool = False) -> Training:
        """The model on its device, with a new adapter."""
        values = {"method": method, "precision": "bf16", "gradient_checkpointing": checkpointing, "device": str(device)}
        config = settings.make(TrainConfig, values)
        encoder = Encoder(load_processor(folder))
        batches = [collate_labelled([label(encoder, example(i, side, answer))], 0) for i in range(config.accumulation)]
        return cls(config, load_trainable(config, folder, device), batches)

    def found(self, losses: list[float], seconds: list[float], device: torch.device) -> Found:
        """The figures of some steps; the first one of several compiles and allocates, and is left out of the times."""
        tokens = sum(int(batch["attention_mask"].sum()) for batch in self.batches)
        best = min(seconds[1:] or seconds)
        return {
            "tokens_a_step": tokens,
            "seconds_a_step": round(best, 3),
            "tokens_per_second": round(tokens / best, 1),
            "peak_gib": round(memory(device), 2),
            "losses": [round(loss, 3) for loss in losses],
        }


def measure_training(
    folder: Path, method: str, device: torch.device, steps: int, side: int, answer: int, checkpointing: bool = False
) -> Found:
    """A few optimizer steps as ``ctxbench train`` takes them."""
    training = Training.load(folder, method, device, side, answer, checkpointing)
    config, model, batches = training.config, training.model, training.batches
    parameters = trained_parameters(model)
    (optimizer,) = make_optimizers(config, parameters)
    losses, seconds = [], []
    for _ in range(steps):
        synchronize(device)
        began = time.perf_counter()
        total = 0.0
        for batch in batches:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss, count = answer_loss(model, {key: value.to(device) for key, value in batch.items()})
            (loss / (count * len(batches))).backward()  # type: ignore[no-untyped-call]
            total += loss.item() / (count * len(batches))
        World().sum_gradients(list(parameters.values()))
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize(device)
        seconds.append(time.perf_counter() - began)
        losses.append(total)
    return training.found(losses, seconds, device)


def measure_trainer(folder: Path, method: str, device: torch.device, steps: int, side: int, answer: int) -> Found:
    """The reference: transformers' ``Trainer`` over the same model, adapter, batches, rate and clipping."""
    with quiet():
        from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    training = Training.load(folder, method, device, side, answer)
    config, batches = training.config, training.batches
    stamps: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not stamps:
                self.on_step_end()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize(device)
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as output, quiet():
        arguments = TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=len(batches),
            max_steps=steps,
            learning_rate=config.lr,
            lr_scheduler_type="constant",
            weight_decay=config.weight_decay,
            max_grad_norm=config.clip,
            bf16=True,
            use_cpu=device.type == "cpu",
            logging_steps=1,
            logging_strategy="steps",
            save_strategy="no",
            report_to="none",
            label_names=["labels"],
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=training.model, args=arguments, train_dataset=batches, data_collator=lambda some: some[0], callbacks=[Clock()]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return training.found(losses, [after - before for before, after in itertools.pairwise(stamps)], device)
