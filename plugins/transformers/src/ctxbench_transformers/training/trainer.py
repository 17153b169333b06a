"""The training loop. One process or many, from the first step or from a checkpoint: the same weights come out, bit for bit on a CPU.

Everything random is a function of the seed and the step (the order of the examples, dropout), so a checkpoint holds only weights,
the optimizer's moments and a few numbers. An interrupt ends the loop at once, with a checkpoint of the last whole step.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import torch

from ctxbench import CtxbenchError, derive_seed
from ctxbench.interrupts import interrupts_wait
from ctxbench_cli import signals
from ctxbench_cli.progress import Bar
from ctxbench_transformers.data import JoinedSplit, Split
from ctxbench_transformers.decoding import without_plans
from ctxbench_transformers.runtime import Runtime
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import sharding
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.evaluate import Judge, Validation, evaluate
from ctxbench_transformers.training.feed import Batches, StepBatches, feed
from ctxbench_transformers.training.objective import Objective
from ctxbench_transformers.training.optimizer import Optimizers, set_rates
from ctxbench_transformers.training.places import places_of
from ctxbench_transformers.training.report import Reporter
from ctxbench_transformers.training.schedule import Schedule


class TrainingError(CtxbenchError):
    """Training cannot go on."""


GPU_WORKERS = 2
"""Processes that make batches ahead where the model is on a GPU and the config says nothing. On a CPU they would take what it needs."""

NOTHING = "interrupted before the first step; nothing is kept, and the same command begins again"


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C or ``kill`` ended it, whatever has become of that on its way through C code or from another process."""
    return isinstance(error, KeyboardInterrupt) or signals.exit_code() is not None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or ``kill`` ended a run.

    Attributes:
        kept: the checkpoint that it goes on from; ``None`` if no step was done, or it could not be written.
    """

    def __init__(self, message: str, kept: Path | None) -> None:
        super().__init__(message)
        self.kept = kept


@attrs.define
class Trainer:
    """Everything one process needs to take a step."""

    config: TrainConfig
    world: World
    device: torch.device
    source: Path
    adapter: Path | None
    runtime: Runtime
    schedule: Schedule
    train: Split | JoinedSplit
    validation: Split | JoinedSplit
    judges: dict[str, Judge]
    objective: Objective
    parameters: dict[str, torch.nn.Parameter]
    optimizers: Optimizers
    scaler: torch.amp.GradScaler
    checkpoints: ckpt.Checkpoints
    state: ckpt.State

    def precision(self) -> Any:
        """Products in 16 bit where the config says so."""
        dtype = torch.float16 if self.config.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.config.precision != "fp32")

    def feed(self) -> Generator[Batches]:
        """The batches of the steps that are left, made by as many processes as the config says."""
        runtime, parts, gpu = self.runtime, self.objective.parts, self.device.type == "cuda"
        how = (runtime.pad_id, runtime.positions, parts, places_of(runtime.model))
        made = StepBatches(runtime.encoder, self.train, self.schedule, self.world.rank, *how)
        workers = self.config.dataloader_num_workers
        return feed(made, self.state.step, GPU_WORKERS * gpu if workers is None else workers, pin=gpu)

    def step(self, made: Iterator[Batches]) -> dict[str, float]:
        """One optimizer step. Each loss is the mean over all its terms of the step, whichever pass or process they are in.

        The weights, the moments and the state change together or not at all, whenever an interrupt comes.
        """
        number, began = self.state.step, time.perf_counter()
        batches = next(made)
        *terms, tokens = self.world.sum(
            *self.objective.terms(batches), sum(int(batch.inputs["attention_mask"].sum()) for batch in batches), device=self.device
        )
        counted = [weight / max(1.0, count) for weight, count in zip(self.objective.weights(number), terms, strict=True)]
        sums = [0.0] * len(terms)
        for i, batch in enumerate(batches):
            torch.manual_seed(derive_seed("dropout", self.config.seed, number, self.world.rank, i))
            with self.precision():
                found = self.objective.losses(self.runtime.model, batch.to(self.device), number)
            weighted = [loss * share for loss, share in zip(found, counted, strict=True) if loss is not None]
            if weighted:
                self.scaler.scale(functools.reduce(torch.add, weighted)).backward()  # type: ignore[no-untyped-call]
            sums = [kept if loss is None else kept + loss.item() for kept, loss in zip(sums, found, strict=True)]
        sums = self.world.sum(*sums, device=self.device)
        means = [each / max(1.0, count) for each, count in zip(sums, terms, strict=True)]
        total = sum(weight * mean for weight, mean in zip(self.objective.weights(number), means, strict=True))
        if not math.isfinite(total):
            raise TrainingError(f"the loss is not finite at step {number + 1}: lower lr, raise warmup, or set clip or precision: fp32")
        parameters = list(self.parameters.values())
        self.world.sum_gradients(parameters)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        norm = self._clip(parameters)
        overflow = self._overflow(norm)
        learned = any(share and count for share, count in zip(counted, terms, strict=True)) and not overflow
        rate = self.schedule.lr(number)
        set_rates(self.optimizers, rate)
        values = self._each(total, means, terms) | {"lr": rate} | ({"grad_norm": norm} if learned else {"skipped": 1.0})
        with interrupts_wait():
            for optimizer in self.optimizers if learned else ():
                optimizer.step()
            if self.scaler.is_enabled() and (learned or overflow):
                self.scaler.update()
                self.state.scaler = self.scaler.state_dict()
                values["loss_scale"] = self.scaler.get_scale()
            values["tokens_per_second"] = tokens / (time.perf_counter() - began)
            self.state.step, self.state.pending = number + 1, values
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return values

    def _each(self, total: float, means: list[float], terms: list[float]) -> dict[str, float]:
        """The losses that count and have terms here; where there are others than the answers', what they come to as well."""
        named = zip(self.objective.names, means, terms, self.objective.weights(self.state.step), strict=True)
        found = {name: mean for name, mean, count, weight in named if count and weight}
        return {"total_loss": total} | found if self.objective.parts.losses else {"loss": total}

    def _clip(self, parameters: list[torch.nn.Parameter]) -> float:
        """Scale the gradients down to the norm that the config allows; gives the one that they had."""
        most = self.config.clip or float("inf")
        if not self.config.fsdp:
            return float(torch.nn.utils.clip_grad_norm_(parameters, most))
        norm = sharding.norm(parameters, self.world, self.device)
        if norm > most:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(most / (norm + 1e-6))  # as PyTorch does it
        return norm

    def _overflow(self, norm: float) -> bool:
        """Whether gradients were too large for float16 at this scale of the loss. Such a step changes nothing but the scale, which halves.

        Raises:
            TrainingError: they are not finite, and no smaller scale would help.
        """
        if math.isfinite(norm):
            return False
        if self.scaler.is_enabled() and self.scaler.get_scale() > 1:
            return True
        said = f"the gradients are not finite at step {self.state.step + 1}"
        if self.scaler.is_enabled():
            raise TrainingError(f"{said}, even without scaling: precision: bf16 or fp32 hold them")
        raise TrainingError(f"{said}: lower lr, raise warmup, or set clip")

    def evaluate(self) -> Validation:
        """Loss and scores on validation records."""
        some = self.validation[: self.config.evaluate_samples]
        with sharding.gathered(self.runtime.model) if self.config.fsdp else contextlib.nullcontext():
            size, writer = self.config.evaluate_batch_size, self.objective.parts.writer
            return evaluate(self.runtime, some, self.judges, size, self.world, self.precision, writer)

    def judge(self, found: Validation) -> None:
        """Remember an evaluation, and whether it is the best so far."""
        self.state.validation = found.plain(self.state.step)
        value = -found.pooled["loss"] if self.config.early_stopping.metric == "loss" else found.pooled["score"]
        if self.state.best is None or value > self.state.best:
            self.state.best, self.state.best_step, self.state.bad = value, self.state.step, 0
            self.state.best_validation = self.state.validation
        else:
            self.state.bad += 1

    @property
    def stopped(self) -> bool:
        """Whether validation has not improved for as long as the config allows."""
        patience = self.config.early_stopping.patience
        return bool(patience) and self.state.bad >= patience

    def save(self) -> None:
        """Write a checkpoint, in one process; all wait for it."""
        if self.world.first or self.config.fsdp:  # parts are put together by all
            self._write()
        self.world.barrier()

    def _write(self) -> Path:
        keep = self.world.first
        weights = ckpt.weight_tensors(self.parameters, keep=keep)
        moments = ckpt.optimizer_tensors(self.parameters, self.optimizers, keep=keep)
        if not keep:
            return self.checkpoints.at(self.state.step)
        path = self.checkpoints.save(self.state, weights, moments)
        self.checkpoints.prune(self.config.keep, self.best_step)
        return path

    @property
    def best_step(self) -> int | None:
        """The step whose weights become the result; ``None`` is the last."""
        return self.state.best_step if self.config.early_stopping.patience else None

    def load(self, path: Path) -> None:
        """Take the weights and the moments of the checkpoint that the state is of."""
        ckpt.load_weights_into(path, self.parameters)
        ckpt.load_optimizers_into(path, self.parameters, self.optimizers)
        if self.state.scaler is not None:
            self.scaler.load_state_dict(self.state.scaler)

    def due(self, every: int) -> bool:
        """Whether something that happens every so many steps happens after this one."""
        return bool(every) and self.state.step % every == 0

    def run(self, report: Reporter | None) -> None:
        """All steps that are left.

        Raises:
            Interrupted: Ctrl-C or ``kill`` came.
        """
        try:
            with without_plans(), Bar("training", self.schedule.steps, self.state.step, visible=self.world.first) as progress:
                if self.state.pending is not None:
                    self._complete(report, progress)
                with contextlib.closing(self.feed()) as batches:
                    while self.state.step < self.schedule.steps and not self.stopped:
                        self.step(batches)
                        self._complete(report, progress)
        except BaseException as error:
            if is_interrupt(error):
                raise self._interrupted() from error
            raise

    def _complete(self, report: Reporter | None, progress: Bar) -> None:
        """What follows a step: its evaluation, its line in the log, its checkpoint. An interrupt loses none and repeats none."""
        values = dict(self.state.pending or {})
        found = self.evaluate() if self.due(self.config.evaluate_every) else None
        with interrupts_wait():
            if found is not None:
                self.judge(found)
                values |= found.values()
            if report is not None:
                report.log(self.state.step, values)
            self.state.pending = None
        if found is not None and self.world.first:
            progress.say(f"step {self.state.step}: " + "\n".join(found.lines()))
        if self.due(self.config.save_every) or self.state.step in (self.best_step, self.schedule.steps) or self.stopped:
            self.save()
        progress.advance(f"loss {values.get('total_loss', values.get('loss', 0.0)):.4f}")

    def _interrupted(self) -> Interrupted:
        """Keep the steps that are done. Other processes may be gone: nothing here waits for them."""
        step = self.state.step
        if not step:
            return Interrupted(NOTHING, None)
        place = f"interrupted after step {step} of {self.schedule.steps}"
        if not self.world.first:
            return Interrupted(place, None)
        if self.config.fsdp:
            kept = [None, *self.checkpoints.all()][-1]
            return Interrupted(f"{place}; " + (f"the last checkpoint is {kept}" if kept else "nothing is kept"), kept)
        try:
            path = self._write()
        except (CtxbenchError, OSError) as error:
            return Interrupted(f"{place}, whose checkpoint cannot be written: {error}", None)
        return Interrupted(f"{place}; it is kept in {path}", path)
