"""Where a run's numbers go: ``log.jsonl`` always, TensorBoard and Weights & Biases where asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ctxbench import ConfigError
from ctxbench_transformers.training.config import TrainConfig

LOG = "log.jsonl"


class Reporter:
    """Takes the numbers of a step. Made in one process only.

    Raises:
        ConfigError: a tracker is asked for that is not installed.
    """

    def __init__(self, config: TrainConfig, folder: Path, step: int) -> None:
        self.path = folder / LOG
        self._forget_after(step)
        self.trackers = [{"tensorboard": _tensorboard, "wandb": _wandb}[name](config, folder) for name in config.report_to]

    def _forget_after(self, step: int) -> None:
        """A killed run may have logged steps that the checkpoint it goes on from does not know."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if _step(line) <= step]
        self.path.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def log(self, step: int, values: dict[str, float]) -> None:
        """One line, and one point on every tracker's curves."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for log, _ in self.trackers:
            log(step, values)

    def close(self) -> None:
        """Flush the trackers."""
        for _, close in self.trackers:
            close()


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # the line that a kill cut short


def _tensorboard(config: TrainConfig, folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError("report_to: tensorboard is not installed: pip install 'ctxbench-transformers[tensorboard]'") from None
    writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def _wandb(config: TrainConfig, folder: Path) -> Any:
    try:
        import wandb
    except ImportError:
        raise ConfigError("report_to: wandb is not installed: pip install 'ctxbench-transformers[wandb]'") from None
    run = wandb.init(project="ctxbench", name=config.name, dir=str(folder), config=config.plain())

    def log(step: int, values: dict[str, float]) -> None:
        run.log(values, step=step)

    return log, run.finish
