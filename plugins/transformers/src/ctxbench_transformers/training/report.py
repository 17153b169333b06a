"""Where a run's numbers go: ``log.jsonl`` always, TensorBoard and Weights & Biases where asked."""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import Any

from ctxbench import ConfigError
from ctxbench_transformers.training.checkpoint import State
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.log import LOG


class Reporter:
    """Takes the numbers of a step. Made in one process only, before the weights are read: a tracker that cannot be used is found then.

    A tracker that keeps runs under ids goes on in the run whose id the state holds; a new id is put into it.

    Raises:
        ConfigError: a tracker is asked for that is not installed, or does not start.
    """

    def __init__(self, config: TrainConfig, folder: Path, state: State) -> None:
        self.path = folder / LOG
        self.trackers: list[Tensorboard | Wandb] = []
        try:
            for name in config.report_to:
                self.trackers.append(Wandb(config, folder, state) if name == "wandb" else Tensorboard(config, folder, state))
            folder.mkdir(parents=True, exist_ok=True)
            # A killed run may have logged steps that the checkpoint it goes on from does not know, and has yet to log a pending one.
            self._forget_after(state.step - (state.pending is not None))
        except BaseException:
            self.close(failed=True)
            raise

    def _forget_after(self, step: int) -> None:
        lines = self.path.read_text("utf-8").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if _step(line) <= step]
        self.path.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def log(self, step: int, values: dict[str, float]) -> None:
        """One line, and one point on every tracker's curves."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for tracker in self.trackers:
            tracker.log(step, values)

    def close(self, *, failed: bool = False) -> None:
        """Flush the trackers."""
        for tracker in self.trackers:
            with contextlib.suppress(Exception) if failed else contextlib.nullcontext():  # the failure that came first is the one to tell
                tracker.close(failed)


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # the line that a kill cut short


class Tensorboard:
    """Event files in the output folder. Points after the step that a run goes on from are taken back."""

    def __init__(self, config: TrainConfig, folder: Path, state: State) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError("report_to: tensorboard is not installed: pip install 'ctxbench-transformers[tensorboard]'") from None
        following = state.step + (state.pending is None)
        self.writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=following if state.step else None)

    def log(self, step: int, values: dict[str, float]) -> None:
        """One point on each curve."""
        for key, value in values.items():
            self.writer.add_scalar(key, value, step)

    def close(self, failed: bool) -> None:
        """Flush."""
        self.writer.close()


class Wandb:
    """One run of Weights & Biases, however often the training is resumed. It drops points of steps that it has: they are the same."""

    def __init__(self, config: TrainConfig, folder: Path, state: State) -> None:
        try:
            import wandb
        except ImportError:
            raise ConfigError("report_to: wandb is not installed: pip install 'ctxbench-transformers[wandb]'") from None
        if not hasattr(wandb, "init"):
            where = next(iter(getattr(wandb, "__path__", [])), getattr(wandb, "__file__", None))
            raise ConfigError(
                f"report_to: wandb: what Python finds under that name ({where}) is no package of Weights & Biases; "
                "pip install 'ctxbench-transformers[wandb]', or start in another folder"
            )
        run = state.trackers.get("wandb") or uuid.uuid4().hex[:8]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.run: Any = wandb.init(
                project="ctxbench", name=config.name, id=run, resume="allow", dir=str(folder), config=config.plain(), allow_val_change=True
            )
        except Exception as error:  # no key, no network, a mode that does not exist
            raise ConfigError(f"report_to: wandb does not start: {' '.join(str(error).split())[:300]}") from None
        state.trackers["wandb"] = run

    def log(self, step: int, values: dict[str, float]) -> None:
        """One point on each curve."""
        self.run.log(values, step=step)

    def close(self, failed: bool) -> None:
        """Send what is left."""
        self.run.finish(exit_code=int(failed))
