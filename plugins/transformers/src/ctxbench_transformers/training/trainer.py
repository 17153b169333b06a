"""The training loop. One process or many, from the first step or from a checkpoint: the same weights come out, bit for bit on a CPU.

Everything random is a function of the seed and the step (the order of the examples, dropout), so a checkpoint holds only weights,
the optimizer's moments and a few numbers.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import attrs
import torch

from ctxbench import CtxbenchError, ModelError, UsageError, contamination, derive_seed
from ctxbench_cli.progress import Bar
from ctxbench_transformers import provenance, sources
from ctxbench_transformers.data import Dataset, Split
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.files import write_json
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import Runtime, make_runtime
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World, join
from ctxbench_transformers.training.evaluate import Judge, evaluate, judges
from ctxbench_transformers.training.examples import ExampleError, collate_labelled, label
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.report import Reporter
from ctxbench_transformers.training.schedule import Schedule
from ctxbench_transformers.training.trainable import load_trainable, save_result, trained_parameters


class TrainingError(CtxbenchError):
    """Training cannot go on."""


@attrs.define
class Trainer:
    """Everything one process needs to take a step."""

    config: TrainConfig
    world: World
    device: torch.device
    source: Path
    runtime: Runtime
    schedule: Schedule
    train: Split
    validation: Split
    judges: dict[str, Judge]
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    checkpoints: ckpt.Checkpoints
    state: ckpt.State

    def precision(self) -> Any:
        """Products in bfloat16 where the config says so."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16")

    def batches(self, step: int) -> list[dict[str, torch.Tensor]]:
        """This process's share of a step, one batch for each forward pass."""
        passes = self.schedule.indices(step, self.world.rank)
        return [collate_labelled([self._labelled(i) for i in some], self.runtime.pad_id) for some in passes]

    def _labelled(self, index: int) -> Any:
        example = self.train[index]
        made = label(self.runtime.encoder, example)
        if self.runtime.positions is not None and len(made.encoded) > self.runtime.positions:
            raise ExampleError(f"{example.id} has {len(made.encoded)} tokens; the model has positions for {self.runtime.positions}")
        return made

    def step(self) -> dict[str, float]:
        """One optimizer step. The loss is the mean over all answer tokens of the step, whichever pass or process they are in."""
        number, began = self.state.step, time.perf_counter()
        batches = self.batches(number)
        answer = sum(int((batch["labels"][:, 1:] >= 0).sum()) for batch in batches)
        answer_tokens, tokens = self.world.sum(answer, sum(int(b["attention_mask"].sum()) for b in batches), device=self.device)
        total = 0.0
        for i, batch in enumerate(batches):
            torch.manual_seed(derive_seed("dropout", self.config.seed, number, self.world.rank, i))
            with self.precision():
                loss, _ = answer_loss(self.runtime.model, {key: value.to(self.device) for key, value in batch.items()})
            (loss / answer_tokens).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        (total,) = self.world.sum(total, device=self.device)
        if not math.isfinite(total):
            raise TrainingError(f"the loss is not finite at step {number + 1}: lower lr, raise warmup, or set clip or precision: fp32")
        parameters = list(self.parameters.values())
        self.world.sum_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.clip or float("inf"))
        rate = self.schedule.lr(number)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step = number + 1
        speed = tokens / (time.perf_counter() - began)
        return {"loss": total / answer_tokens, "lr": rate, "grad_norm": float(norm), "tokens_per_second": speed}

    def evaluate(self) -> dict[str, float]:
        """Evaluate, and remember whether this is the best so far."""
        some = self.validation[: self.config.evaluate_samples]
        found = evaluate(self.runtime, some, self.judges, self.config.evaluate_batch_size, self.world, self.precision)
        value = -found["val_loss"] if self.config.early_stopping.metric == "loss" else found["val_score"]
        if self.state.best is None or value > self.state.best:
            self.state.best, self.state.best_step, self.state.bad = value, self.state.step, 0
        else:
            self.state.bad += 1
        return found

    @property
    def stopped(self) -> bool:
        """Whether validation has not improved for as long as the config allows."""
        patience = self.config.early_stopping.patience
        return bool(patience) and self.state.bad >= patience

    def save(self) -> None:
        """Write a checkpoint, in one process; all wait for it."""
        if self.world.first:
            self.checkpoints.save(self.state, self.parameters, self.optimizer)
            self.checkpoints.prune(self.config.keep, self._best_step())
        self.world.barrier()

    def _best_step(self) -> int | None:
        return self.state.best_step if self.config.early_stopping.patience else None

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            UsageError: it was made by another config, from other data or another model, or by another number of processes.
        """
        state = ckpt.read_state(path)
        for key, value in self.state.identity.items():
            if state.identity.get(key) != value:
                raise UsageError(f"--resume: {path} was made with another {key} ({state.identity.get(key)}, now {value})")
        ckpt.load_weights_into(path, self.parameters)
        ckpt.load_optimizer_into(path, self.parameters, self.optimizer)
        self.state = state

    def due(self, every: int) -> bool:
        """Whether something that happens every so many steps happens after this one."""
        return bool(every) and self.state.step % every == 0

    def run(self, report: Reporter | None) -> None:
        """All steps that are left."""
        with Bar("training", self.schedule.steps, self.state.step, visible=self.world.first) as progress:
            while self.state.step < self.schedule.steps and not self.stopped:
                values = self.step()
                if self.due(self.config.evaluate_every):
                    found = self.evaluate()
                    values |= found
                    if self.world.first:
                        progress.say(f"step {self.state.step}: " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))
                if report is not None:
                    report.log(self.state.step, values)
                if self.due(self.config.save_every) or self.state.step in (self._best_step(), self.schedule.steps) or self.stopped:
                    self.save()
                progress.advance(f"loss {values['loss']:.4f}")

    def finish(self, data: Dataset, report: Reporter | None) -> None:
        """Write the result, with what it was trained on beside it."""
        best = self._best_step()
        if best is not None and best != self.state.step:
            ckpt.load_weights_into(self.checkpoints.at(best), self.parameters)
        if not self.world.first:
            return
        output = Path(self.config.output)
        if self.config.method == "full":
            setattr(self.runtime.model.config, provenance.MARK, data.fingerprint)
        save_result(self.runtime.model, self.config, self.source, output)
        trained_on = data.training_data()
        earlier = provenance.of_model(self.source) if self.config.method == "full" else ()
        record = {
            "training_data": [some.plain() for some in contamination.together(earlier or (), trained_on)],
            "earlier_unknown": earlier is None,
            "data_fingerprint": data.fingerprint,
            "data_config": data.manifest["config"],
            provenance.LAYOUTS: provenance.layouts_in(data.codecs),
            "training_config": self.config.plain(),
            "model_fingerprint": self.state.identity["model"],
            "processes": self.world.size,
            "steps": best or self.state.step,
        }
        write_json(output / provenance.RECORD, record)
        if report is not None:
            report.close()


def make_trainer(config: TrainConfig, data: Dataset, world: World, device: torch.device) -> Trainer:
    """A trainer at step 0."""
    source = sources.check_model(sources.locate(config.model, config.revision, code=config.trust_remote_code), config.model)
    encoder = Encoder(
        load_processor(source, min_pixels=config.min_pixels, max_pixels=config.max_pixels, trust_remote_code=config.trust_remote_code)
    )
    if encoder.cross_attended:
        raise ModelError(f"{source}: models that see pages by cross attention can be read with, and not trained here")
    model = load_trainable(config, source, device)
    parameters = trained_parameters(model)
    identity = {"config": config.hash, "data": data.fingerprint, "model": sources.model_fingerprint(source), "processes": world.size}
    train = data.split("train")
    return Trainer(
        config=config,
        world=world,
        device=device,
        source=source,
        runtime=make_runtime(model, encoder, sources.token_family(source)),
        schedule=Schedule(config, len(train), world.size),
        train=train,
        validation=data.split("validation"),
        judges=judges(data.manifest["primary_scores"]),
        parameters=parameters,
        optimizer=make_optimizer(config, parameters),
        checkpoints=ckpt.Checkpoints(Path(config.output) / "checkpoints"),
        state=ckpt.State(identity=identity),
    )


def make_optimizer(config: TrainConfig, parameters: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW; vectors (biases, norms) are not decayed."""
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=(config.beta1, config.beta2))


def check_output(config: TrainConfig, resume: str | None) -> None:
    """Refuse to write over an earlier run.

    Raises:
        UsageError: the output folder holds one, and this is not meant to go on with it.
    """
    output = Path(config.output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"output: {output} is no folder")
    busy = ckpt.Checkpoints(output / "checkpoints").all() or (output / provenance.RECORD).exists()
    if resume is None and busy:
        raise UsageError(f"output: {output} holds an earlier run; go on with --resume latest, or give another output")


def train(config: TrainConfig, resume: str | None = None) -> dict[str, Any]:
    """Train; ``resume`` is a checkpoint's folder or ``latest``. Returns steps, the best validation value and the result's folder.

    Raises:
        CtxbenchError: config, data, model and checkpoint do not fit together.
    """
    check_output(config, resume)
    data = Dataset(config.data)
    with join(config.device) as (world, device):
        trainer = make_trainer(config, data, world, device)
        if not len(trainer.train):
            raise UsageError(f"data: {data.folder} has no training records")
        if resume is not None:
            trainer.resume(trainer.checkpoints.latest() if resume == "latest" else Path(resume))
        world.barrier()
        Path(config.output).mkdir(parents=True, exist_ok=True)
        report = Reporter(config, Path(config.output), trainer.state.step) if world.first else None
        trainer.run(report)
        trainer.finish(data, report)
        world.barrier()
        return {"steps": trainer.state.step, "best": trainer.state.best, "best_step": trainer.state.best_step, "output": config.output}
