"""Training in processes of its own: killed, launched in twos, and called from the command line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import ctxbench
from ctxbench_transformers import provenance
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.loop import train
from tests.functional.hf.results import losses, weights

Folder = Callable[[str], Path]
MakeTraining = Callable[..., TrainConfig]


def environment(toys: Path) -> dict[str, str]:
    """For a process of its own."""
    return {**os.environ, "PYTHONPATH": str(toys), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def written(config: TrainConfig, path: Path) -> Path:
    """The config as a file."""
    path.write_text(json.dumps(config.plain()))
    return path


DIES_AT_STEP_4 = """
import os, signal, sys
from ctxbench_cli.main import main
from ctxbench_transformers.training import checkpoint

save = checkpoint.Checkpoints.save

def die_or_save(store, state, *rest):
    if state.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    save(store, state, *rest)

checkpoint.Checkpoints.save = die_or_save
sys.argv[1:1] = ["train"]
main()
"""


def test_a_killed_run_resumes_from_its_last_whole_checkpoint(training: MakeTraining, toys: Path, tmp_path: Path) -> None:
    """SIGKILL between two checkpoints, then --resume latest in a new process: the uninterrupted run's weights, bit for bit."""
    whole, killed = training("whole", save_every=1), training("killed", save_every=1)
    train(whole)
    config = str(written(killed, tmp_path / "c.yaml"))
    dead = subprocess.run([sys.executable, "-c", DIES_AT_STEP_4, config], env=environment(toys), capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()
    assert ckpt.read_state(ckpt.Checkpoints(Path(killed.output) / "checkpoints").latest()).step == 3
    assert not (Path(killed.output) / "adapter_model.safetensors").exists()
    command = [sys.executable, "-m", "ctxbench_transformers.training", config, "--resume", "latest", "--json"]
    done = subprocess.run(command, env=environment(toys), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 9
    assert all(torch.equal(value, weights(killed)[key]) for key, value in weights(whole).items())
    assert losses(whole) == losses(killed)


def test_a_kill_at_any_moment_leaves_whole_checkpoints(tmp_path: Path) -> None:
    """A child saves without pause and is killed ten times somewhere in a save; what is there must always load and belong together."""
    store = ckpt.Checkpoints(tmp_path)
    chance = random.Random(0)
    saved = 0
    for _ in range(10):
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            _save_for_ever(store, tell)
        os.close(tell)
        with os.fdopen(told, "rb", buffering=0) as saves:
            # However slow the machine, it has saved a few times; how long that took says what "somewhere in a save" is here.
            assert saves.read(1)
            start = time.monotonic()
            for _ in range(3):
                assert saves.read(1)
            time.sleep(chance.random() * (time.monotonic() - start) / 3)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for path in store.all():
            state = ckpt.read_state(path)
            values = load_file(path / "weights.safetensors")["w"]
            moments = load_file(path / "optimizer.safetensors")["exp_avg/w"]
            assert (values == state.step).all()
            assert moments.shape == values.shape
        before, saved = saved, ckpt.read_state(store.latest()).step
        assert saved >= before + 4  # nothing that a child was told is saved is gone


def _save_for_ever(store: ckpt.Checkpoints, tell: int) -> None:
    try:
        parameter = torch.nn.Parameter(torch.zeros(1000, 100))
        optimizer = torch.optim.AdamW([parameter])
        step = ckpt.read_state(store.latest()).step if store.all() else 0
        while True:
            step += 1
            with torch.no_grad():
                parameter.fill_(step)
            optimizer.state[parameter] = {"exp_avg": torch.zeros(1000, 100)}
            named = {"w": parameter}
            store.save(ckpt.State(step), ckpt.weight_tensors(named), ckpt.optimizer_tensors(named, (optimizer,)))
            os.write(tell, b".")
            store.prune(2)
    finally:
        os._exit(1)


LAUNCHERS = {
    "torchrun": "torch.distributed.run --standalone --nproc-per-node 2",
    # multi_gpu means "start that many processes"; without a GPU they are CPU processes.
    "accelerate": "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0 "
    "--mixed_precision no --dynamo_backend no",
}


@pytest.mark.long
def test_two_processes_train_as_one(training: MakeTraining, toys: Path, tmp_path: Path) -> None:
    """With either launcher, two processes of two passes each see one process's batches of four: its losses, its weights to rounding."""
    one = training("one", accumulation=4, lora={"dropout": 0.0}, evaluate_every=2)
    train(one)
    for launcher, start in LAUNCHERS.items():
        two = training(launcher, accumulation=2, lora={"dropout": 0.0}, evaluate_every=2)
        config = str(written(two, tmp_path / "c.yaml"))
        command = [sys.executable, "-m", *start.split(), "-m", "ctxbench_transformers.training", config]
        done = subprocess.run(command, env=environment(toys), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("steps") == 1  # one process speaks
        assert losses(two) == pytest.approx(losses(one), rel=1e-5)
        left, right = weights(one), weights(two)
        assert left.keys() == right.keys()
        for key in left:
            torch.testing.assert_close(left[key], right[key], rtol=1e-3, atol=1e-5)
        records = [json.loads((Path(c.output) / provenance.RECORD).read_text()) for c in (one, two)]
        assert [record["processes"] for record in records] == [1, 2]
        cells = [record["validation"]["cells"] for record in records]
        assert cells[1] == [{**cell, "loss": pytest.approx(cell["loss"], rel=1e-3)} for cell in cells[0]]


SIGNALS_ITS_LAUNCHER = """
import os, signal, sys, time
from ctxbench_cli.main import main
from ctxbench_transformers.training.trainer import Trainer

step = Trainer.step

def signalled(trainer, batches):
    values = step(trainer, batches)
    if trainer.state.step == 3 and trainer.world.first and "--resume" not in sys.argv:
        os.kill(os.getppid(), signal.SIGTERM)
    return values

Trainer.step = signalled
sys.argv[1:1] = ["train"]
main()
"""


@pytest.mark.long
def test_two_processes_are_interrupted_and_go_on(training: MakeTraining, toys: Path, tmp_path: Path) -> None:
    """The launcher passes SIGTERM on to both, wherever each of them is; one writes the checkpoint, and nobody waits for the other."""
    whole, broken = (training(name, epochs=6, save_every=0, evaluate_every=0) for name in ("whole", "broken"))
    (tmp_path / "main.py").write_text(SIGNALS_ITS_LAUNCHER)

    def launch(config: TrainConfig, script: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *LAUNCHERS["torchrun"].split(), *script, str(written(config, tmp_path / "c.yaml")), *options]
        return subprocess.run(command, env=environment(toys), capture_output=True, text=True, check=False)

    assert launch(whole, ["-m", "ctxbench_transformers.training"]).returncode == 0
    stopped = launch(broken, [str(tmp_path / "main.py")])
    assert stopped.returncode != 0
    assert "interrupted after step" in stopped.stderr
    kept = ckpt.read_state(ckpt.Checkpoints(Path(broken.output) / "checkpoints").latest()).step
    assert 3 <= kept < 18
    done = launch(broken, ["-m", "ctxbench_transformers.training"], "--resume", "latest")
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(broken) == losses(whole)
    assert all(torch.equal(value, weights(broken)[key]) for key, value in weights(whole).items())


def test_the_commands_build_estimate_and_train(tiny_model: Folder, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From two YAML files to an adapter, as a user types it; mistakes are one line."""
    from click.testing import CliRunner

    from ctxbench_cli.main import cli

    ctxbench.load_plugins().manager.add_commands(cli)
    monkeypatch.chdir(tmp_path)
    toy = {"codecs": ["toy_blocks"], "tasks": ["toy_letters"], "tokens": {"family": "toy", "reference": "toy"}, "output": "set"}
    Path("data.yaml").write_text(json.dumps(toy | {"samples": 6, "buckets": [3]}))
    Path("train.yaml").write_text(json.dumps({"model": str(tiny_model("smolvlm")), "data": "set", "output": "out", "precision": "fp32"}))

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments)

    built = call("data", "build", "data.yaml", "--json")
    assert json.loads(built.output)["records"]["split"] == {"train": 6, "validation": 1}, built.output
    guess = call("train", "train.yaml", "--estimate", "--set", "epochs=4")
    assert "steps" in guess.output
    assert not Path("out").exists()
    done = call("train", "train.yaml", "--set", "epochs=1")
    assert done.exit_code == 0, done.output
    assert done.stdout == "out: 1 steps\n"
    assert Path("out/adapter_model.safetensors").exists()
    wrong = call("train", "train.yaml", "--set", "learning_rate=1")
    assert wrong.exit_code == 2
    assert "unknown key 'learning_rate'" in wrong.output
    assert call("data", "build", "nothing.yaml").exit_code == 2
