"""FSDP: processes that each keep a part of the layers train as one process does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctxbench import ConfigError
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.sharding import check_sharding
from tests.functional.hf.results import log, losses, weights
from tests.functional.hf.test_transformers_launch import LAUNCHERS, environment, written

MakeTraining = Callable[..., TrainConfig]

TELLS_ITS_PARTS = """
import os, sys
from ctxbench_cli.main import main
from torch.distributed.tensor import DTensor
from ctxbench_transformers.training.trainer import Trainer

step = Trainer.step

def tell(line):
    os.write(2, f"{line}\\n".encode())  # at once: two processes write there

def told(trainer, made):
    values = step(trainer, made)
    if trainer.state.step == 1:
        parts = [p for p in trainer.parameters.values() if isinstance(p, DTensor)]
        kept = sum(p.to_local().numel() for p in parts)
        moments = sum(trainer.optimizers[0].state[p]["exp_avg"].to_local().numel() for p in parts)
        tell(f"parts: {len(parts)} {kept} {moments} {sum(p.numel() for p in parts)}")
    return values

Trainer.step = told
sys.argv[1:1] = ["train"]
try:
    main()
finally:  # a thread of the process group that is still there could abort the process
    if sys.platform == "linux":
        names = [open(f"/proc/self/task/{thread}/comm").read().strip() for thread in os.listdir("/proc/self/task")]
        tell(f"left: {[name for name in names if 'gloo' in name]}")
"""


def launch(config: TrainConfig, toys: Path, folder: Path, *options: str) -> str:
    """What two processes, started by accelerate, say on stderr."""
    (folder / "main.py").write_text(TELLS_ITS_PARTS)
    command = [sys.executable, "-m", *LAUNCHERS["accelerate"].split(), str(folder / "main.py"), str(written(config, folder / "c.yaml"))]
    done = subprocess.run([*command, *options], env=environment(toys), capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.long)])
def test_two_processes_that_share_the_layers_train_as_one(training: MakeTraining, toys: Path, tmp_path: Path, method: str) -> None:
    """One process's losses, norms and weights, to rounding; each keeps half; a checkpoint is whole, and a run goes on from it."""
    values = {"method": method, "lora": {"dropout": 0.0}, "evaluate_every": 2, "clip": 0.05, "schedule": "constant", "warmup": 0.0}
    values["epochs"] = 34 / 24  # the last step is one pass, so that one of the two processes has none
    one = training("one", accumulation=4, **values)
    train(one)
    two = training("two", accumulation=2, fsdp=True, max_steps=4, **values)
    told = launch(two, toys, tmp_path)
    for line in (line for line in told.splitlines() if line.startswith("parts: ")):
        parts, kept, moments, total = map(int, line.split()[1:])
        assert parts > 0
        assert 0.4 * total <= kept == moments <= 0.6 * total
    assert told.count("parts: ") == 2
    kept_names = ckpt.load_file(ckpt.Checkpoints(Path(two.output) / "checkpoints").latest() / "weights.safetensors").keys()
    told += launch(training("two", accumulation=2, fsdp=True, **values), toys, tmp_path, "--resume", "latest")
    assert told.count("left: ") == told.count("left: []") == (4 if sys.platform == "linux" else 0)
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    norms = [[line["grad_norm"] for line in log(config)] for config in (one, two)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)
    left, right = weights(one), weights(two)
    assert left.keys() == right.keys()
    assert len(kept_names) >= len(left)
    for key in left:
        torch.testing.assert_close(left[key], right[key], rtol=1e-3, atol=1e-4)
    record = json.loads((Path(two.output) / "ctxbench_training.json").read_text())
    assert (record["processes"], record["training_config"]["fsdp"]) == (2, True)


def test_what_needs_whole_tensors_is_refused(training: MakeTraining) -> None:
    """Before anything is loaded, with the setting that stands in the way."""
    with pytest.raises(ConfigError, match="fsdp: there is one process"):
        check_sharding(training(fsdp=True), World())
    for setting in ({"method": "qlora"}, {"optimizer": "muon"}, {"optimizer": "adamw8bit"}, {"precision": "fp16"}):
        (key,) = setting
        with pytest.raises(ConfigError, match=f"fsdp: {key}: {setting[key]} needs whole tensors"):
            check_sharding(training(fsdp=True, **setting), World(0, 2))
    check_sharding(training(fsdp=True), World(0, 2))
