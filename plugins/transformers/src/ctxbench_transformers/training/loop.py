"""One training run from its config to its result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from ctxbench import UsageError
from ctxbench_transformers import provenance
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World, join
from ctxbench_transformers.training.prepare import Prepared, make_trainer, prepare
from ctxbench_transformers.training.report import Reporter
from ctxbench_transformers.training.result import write_result
from ctxbench_transformers.training.resuming import go_on
from ctxbench_transformers.training.trainer import NOTHING, Interrupted, is_interrupt


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
        Interrupted: Ctrl-C or ``kill`` came; the steps that were done are in a checkpoint.
    """
    check_output(config, resume)
    with join(config.device) as (world, device):
        try:
            return _train(prepare(config, world, device), resume, world, device)
        except BaseException as error:
            if not is_interrupt(error):
                raise
            told = error if isinstance(error, Interrupted) else _outside_of_steps(config)
            if world.first:
                print(told, file=sys.stderr, flush=True)
            raise told from error


def _outside_of_steps(config: TrainConfig) -> Interrupted:
    """While the weights are read, or the result is written."""
    kept = ckpt.Checkpoints(Path(config.output) / "checkpoints").all()
    return Interrupted(f"interrupted; what was trained is kept in {kept[-1]}", kept[-1]) if kept else Interrupted(NOTHING, None)


def _train(prepared: Prepared, resume: str | None, world: World, device: torch.device) -> dict[str, Any]:
    config = prepared.config
    checkpoint, state = None, ckpt.State(identity=prepared.identity, settings=config.settings)
    if resume is not None:
        checkpoint = prepared.checkpoints.latest() if resume == "latest" else Path(resume)
        state, notes = go_on(prepared, checkpoint)
        if world.first:
            print("\n".join(notes), file=sys.stderr, end="\n" * bool(notes), flush=True)
    if world.first and prepared.notes:
        print("\n".join(prepared.notes), file=sys.stderr, flush=True)
    report = Reporter(config, Path(config.output), state) if world.first else None
    try:
        trainer = make_trainer(prepared, state, device)
        if checkpoint is not None:
            trainer.load(checkpoint)
        world.barrier()
        trainer.run(report)
        write_result(trainer, prepared.data)
        world.barrier()
    except BaseException:
        if report is not None:
            report.close(failed=True)
        raise
    if report is not None:
        report.close()
    return {"steps": state.step, "best": state.best, "best_step": state.best_step, "output": config.output}
