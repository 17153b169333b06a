"""Going on: after Ctrl-C and kill at any moment, with more epochs, with another learning rate; and what is refused."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from ctxbench import ConfigError, UsageError
from ctxbench_transformers import provenance, settings
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import feed as feed_module
from ctxbench_transformers.training import prepare as prepare_module
from ctxbench_transformers.training import result as result_module
from ctxbench_transformers.training import trainer as trainer_module
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.report import Reporter
from tests.functional.hf.results import same

Folder = Callable[[str], Path]
MakeTraining = Callable[..., TrainConfig]


def log(config: TrainConfig) -> list[dict[str, float]]:
    """What was logged, without what depends on the machine."""
    lines = [json.loads(line) for line in (Path(config.output) / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]


def record(config: TrainConfig) -> dict[str, Any]:
    """What the result says of its training."""
    found: dict[str, Any] = json.loads((Path(config.output) / provenance.RECORD).read_text())
    return found


def latest(config: TrainConfig) -> ckpt.State:
    """The state in the newest checkpoint."""
    return ckpt.read_state(ckpt.Checkpoints(Path(config.output) / "checkpoints").latest())


SHORT: dict[str, Any] = {"epochs": 1, "save_every": 0, "evaluate_every": 2, "evaluate_samples": 1, "early_stopping": {"patience": 5}}
"""6 steps, evaluated after every second one; no checkpoint but the last and the best, unless an interrupt writes one."""


@pytest.fixture(scope="module")
def whole(tiny_model: Folder, toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """SHORT without an interrupt."""
    values = {"model": str(tiny_model("qwen2_vl")), "data": str(toy_data), "output": str(tmp_path_factory.mktemp("whole") / "out")}
    values |= {"batch_size": 2, "accumulation": 2, "lr": 3e-3, "lora": {"r": 4, "alpha": 8, "dropout": 0.1}, "precision": "fp32"}
    config = settings.make(TrainConfig, values | {"warmup": 0.2} | SHORT)
    train(config)
    return config


def interrupting(original: Any, at: int, *, after: bool = True) -> Any:
    """``original``, with Ctrl-C after (or before) its ``at``-th call."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and not after:
            signal.raise_signal(signal.SIGINT)
        result = original(*args, **kwargs)
        if calls == at and after:
            signal.raise_signal(signal.SIGINT)
        return result

    return wrapped


MOMENTS: dict[str, tuple[Any, str, int, bool, int]] = {
    # name: what is interrupted, at which call, after or before it; the step that is kept
    "while a batch is made": (feed_module, "make_batch", 8, True, 3),
    "in the optimizer's step": (torch.optim.AdamW, "step", 4, True, 4),
    "before the evaluation": (trainer_module, "evaluate", 2, False, 4),
    "after the evaluation": (trainer_module, "evaluate", 2, True, 4),
    "before the log": (Reporter, "log", 4, False, 4),
    "after the log": (Reporter, "log", 6, True, 6),
}


ALIKE = ("before the evaluation", "after the evaluation", "before the log")


@pytest.mark.parametrize("moment", [pytest.param(name, marks=pytest.mark.long if name in ALIKE else ()) for name in MOMENTS])
def test_an_interrupt_at_any_moment_leaves_a_checkpoint_that_goes_on_bit_for_bit(
    moment: str, whole: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a step would be trained twice, an evaluation would be lost or counted twice, a line logged twice."""
    owner, name, at, after, kept = MOMENTS[moment]
    config = attrs.evolve(whole, output=str(tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupting(getattr(owner, name), at, after=after))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert latest(config).step == kept
    assert f"interrupted after step {kept} of 6" in capsys.readouterr().err
    assert not (Path(config.output) / "adapter_model.safetensors").exists()
    with (Path(config.output) / "log.jsonl").open("a") as file:  # as by a run that went on from here and was killed in its second step
        file.write("".join(f'{{"step": {step}}}\n' for step in (kept, kept + 1) if step > kept or latest(config).pending))
    train(config, resume="latest")
    assert same(config, whole)
    assert log(config) == log(whole)
    states = [attrs.asdict(latest(c)) for c in (config, whole)]
    assert states[0] == states[1]
    assert {**record(config), "training_config": None} == {**record(whole), "training_config": None}


def test_an_interrupt_before_the_first_step_and_after_the_last_says_what_is_kept(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it, the same command begins again, and no checkpoint of nothing is in its way; after it, only the result is written anew."""
    config = training(max_steps=1, evaluate_every=0)
    with monkeypatch.context() as patch:
        patch.setattr(feed_module, "make_batch", interrupting(feed_module.make_batch, 1))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert "before the first step" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "load_trainable", interrupting(prepare_module.load_trainable, 1))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert "before the first step" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(result_module, "save_result", interrupting(result_module.save_result, 1))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert "what was trained is kept in" in capsys.readouterr().err
    assert not (Path(config.output) / provenance.RECORD).exists()
    assert train(config, resume="latest")["steps"] == 1
    assert (Path(config.output) / provenance.RECORD).exists()


SIGNALLED = """
import os, signal, sys
from ctxbench_cli.main import main
from ctxbench_transformers.training.trainer import Trainer

step = Trainer.step

def signalled(trainer, batches):
    values = step(trainer, batches)
    if trainer.state.step == 3:
        os.kill(os.getpid(), signal.{name})
    return values

Trainer.step = signalled
sys.argv[1:1] = ["train"]
main()
"""


@pytest.mark.parametrize(("name", "code"), [pytest.param("SIGINT", 130, marks=pytest.mark.long), ("SIGTERM", 143)])
def test_a_signalled_command_keeps_its_steps_and_exits_as_shells_expect(
    name: str, code: int, whole: TrainConfig, toys: Path, tmp_path: Path
) -> None:
    """A batch system sends SIGTERM when time is up: hours of training would be lost up to the last checkpoint."""
    config = attrs.evolve(whole, output=str(tmp_path / "out"), dataloader_num_workers=2)
    (tmp_path / "c.yaml").write_text(json.dumps(config.plain()))
    environment = {**os.environ, "PYTHONPATH": str(toys), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", SIGNALLED.format(name=name), str(tmp_path / "c.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "interrupted after step 3 of 6" in done.stderr
    assert f"ctxbench train {tmp_path / 'c.yaml'} --resume latest" in done.stderr
    assert latest(config).step == 3
    train(config, resume="latest")
    assert same(config, whole)


def test_a_finished_run_is_extended_as_if_it_had_been_planned_longer(training: MakeTraining, capsys: pytest.CaptureFixture[str]) -> None:
    """At a constant rate the first steps do not depend on the length, so more epochs must give the longer run's weights, bit for bit."""
    constant: dict[str, Any] = {"schedule": "constant", "warmup": 0, "evaluate_every": 0, "save_every": 0}
    long, short = training("long", epochs=2, **constant), training("short", epochs=1, **constant)
    train(long)
    train(short)
    capsys.readouterr()
    assert train(attrs.evolve(short, epochs=2.0), resume="latest")["steps"] == 12
    said = capsys.readouterr().err
    assert "epochs 1.0 -> 2.0" in said
    assert "6 of now 12 steps are done" in said
    assert "as in an uninterrupted run" in said
    assert same(short, long)
    assert log(short) == log(long)
    assert record(short)["changes"] == [{"step": 6, "key": "epochs", "old": 1.0, "new": 2.0}]
    train(attrs.evolve(short, epochs=2.0), resume="latest")
    assert "all 12 steps are done" in capsys.readouterr().err


def test_extending_says_what_a_falling_schedule_makes_of_it(training: MakeTraining, capsys: pytest.CaptureFixture[str]) -> None:
    """The rate of a cosine had fallen to nothing and rises again: the result is not that of one long run, and the message says so."""
    config = training(epochs=1, evaluate_every=0, save_every=3)
    train(config)
    middle = str(Path(config.output) / "checkpoints" / "step-00000003")
    with pytest.raises(UsageError, match=r"step-00000006 is of the run without lr 0\.003 -> 0\.002"):
        train(attrs.evolve(config, lr=2e-3), resume=middle)  # the later checkpoint would be taken for one of this run
    assert train(attrs.evolve(config, lr=2e-3, output=f"{config.output}-2"), resume=middle)["steps"] == 6
    last = log(config)[-1]["lr"]
    capsys.readouterr()
    train(attrs.evolve(config, max_steps=8, epochs=3.0, lr=2e-3), resume="latest")
    said = " ".join(capsys.readouterr().err.split())
    following = log(config)[6]["lr"]
    assert following > last
    assert "lr 0.003 -> 0.002" in said
    assert f"from {last:.3g} at step 6 to {following:.3g} at step 7" in said
    assert "not the weights of an uninterrupted run" in said
    assert [line["step"] for line in log(config)] == list(range(1, 9))
    with pytest.raises(UsageError, match=r"4 steps.*step 8"):
        train(attrs.evolve(config, max_steps=4, epochs=3.0, lr=2e-3), resume="latest")


@pytest.mark.long
def test_a_run_that_stopped_early_goes_on_with_more_patience(training: MakeTraining, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same patience there is nothing to do, and more epochs would change nothing: the message says which key does."""
    values: dict[str, Any] = {"lr": 0.3, "clip": 0, "warmup": 0, "schedule": "constant", "evaluate_every": 1, "evaluate_samples": 1}
    config = training(epochs=1, early_stopping={"patience": 1}, save_every=0, **values)
    stopped = train(config)["steps"]
    assert stopped < 6
    capsys.readouterr()
    assert train(attrs.evolve(config, epochs=2.0), resume="latest")["steps"] == stopped
    assert f"early stopping ended this run after step {stopped}; a larger early_stopping.patience" in capsys.readouterr().err
    patient = settings.make(TrainConfig, config.plain() | {"early_stopping": {"patience": 9}})
    assert train(patient, resume="latest")["steps"] == 6
    assert "early_stopping.patience 1 -> 9" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"early_stopping\.patience 9 -> 0"):
        train(settings.make(TrainConfig, config.plain() | {"early_stopping": {"patience": 0}}), resume="latest")


def test_other_keys_are_refused_by_name_with_both_values(
    training: MakeTraining, make_data_config: Callable[..., Any], tmp_path: Path, tiny_model: Folder
) -> None:
    """Two hashes tell nobody what to change back. It is noticed before the weights are read."""
    from ctxbench_transformers.data import build

    config = training(max_steps=2, evaluate_every=0)
    train(config)
    other = settings.make(TrainConfig, config.plain() | {"seed": 1, "lora": {"r": 8, "alpha": 8, "dropout": 0.1}})
    with pytest.raises(UsageError, match=r"lora\.r 4 -> 8, seed 0 -> 1"):
        train(other, resume="latest")
    build(make_data_config(output=str(tmp_path / "other"), samples=4, buckets=[7]))
    with pytest.raises(UsageError, match=r"data: .*other holds other records"):
        train(attrs.evolve(config, data=str(tmp_path / "other")), resume="latest")
    with pytest.raises(UsageError, match=r"model: .* is another one"):
        train(attrs.evolve(config, model=str(tiny_model("smolvlm"))), resume="latest")
    checkpoint = ckpt.Checkpoints(Path(config.output) / "checkpoints").latest()
    state = json.loads((checkpoint / "state.json").read_text())
    state["identity"]["processes"] = 2
    (checkpoint / "state.json").write_text(json.dumps(state))
    with pytest.raises(UsageError, match="processes 2 -> 1"):
        train(config, resume="latest")


def test_a_checkpoint_of_an_earlier_version_goes_on(training: MakeTraining) -> None:
    """It kept a hash of the settings alone: equal settings go on, others are refused without names."""
    config = training(epochs=1, evaluate_every=0)
    train(config)
    checkpoint = ckpt.Checkpoints(Path(config.output) / "checkpoints").latest()
    state = json.loads((checkpoint / "state.json").read_text())
    old = {key: state[key] for key in ("step", "best", "best_step", "bad", "identity")}
    old["identity"]["config"] = config.hash
    (checkpoint / "state.json").write_text(json.dumps(old))
    assert train(config, resume="latest")["steps"] == 6
    with pytest.raises(UsageError, match="other settings"):
        train(attrs.evolve(config, seed=1), resume="latest")


@attrs.define
class Wandb:
    """What this project uses of W&B, as its 0.28 behaves: runs by id, and steps that never go back."""

    runs: dict[str, dict[int, dict[str, float]]] = attrs.field(factory=dict)

    def init(self, *, id: str, resume: str, **_: Any) -> Any:
        assert resume == "allow"
        points = self.runs.setdefault(id, {})

        def log(values: dict[str, float], step: int) -> None:
            if step >= max(points, default=0):
                points[step] = values

        return types.SimpleNamespace(log=log, finish=lambda exit_code=0: None, id=id)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wandb]:
    """In place of the package, which accelerate looks for when it is first imported."""
    importlib.import_module("accelerate")
    made = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=made.init))
    return made


def test_a_resumed_run_goes_on_in_the_same_run_of_the_tracker(
    training: MakeTraining, wandb: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its curve is torn into as many runs as there were interrupts."""
    config = training(epochs=1, evaluate_every=0, save_every=0, report_to=["wandb"])
    with monkeypatch.context() as patch:
        patch.setattr(feed_module, "make_batch", interrupting(feed_module.make_batch, 8))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    train(config, resume="latest")
    train(attrs.evolve(config, epochs=1.5), resume="latest")
    assert [sorted(points) for points in wandb.runs.values()] == [list(range(1, 10))]
    assert latest(config).trackers == {"wandb": next(iter(wandb.runs))}
    train(training("other", max_steps=1, evaluate_every=0, report_to=["wandb"]))
    assert len(wandb.runs) == 2


def test_a_tracker_that_cannot_be_used_is_noticed_before_the_weights_are_read(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed; a folder called wandb in the way of the package; and one that refuses to start. No output is left behind."""

    def loaded(*_: Any, **__: Any) -> None:
        raise AssertionError("the weights were read")

    monkeypatch.setattr("ctxbench_transformers.training.prepare.load_trainable", loaded)

    def refuse(**_: Any) -> None:
        raise RuntimeError("api_key not configured")

    cases: list[tuple[str, Any, str]] = [
        ("torch.utils.tensorboard", None, "tensorboard is not installed: pip install"),
        ("wandb", None, "wandb is not installed: pip install"),
        ("wandb", types.ModuleType("wandb"), "no package of Weights & Biases"),
        ("wandb", types.SimpleNamespace(init=refuse), "api_key not configured"),
    ]
    for module, value, said in cases:
        config = training(report_to=["wandb" if module == "wandb" else "tensorboard"])
        monkeypatch.setitem(sys.modules, module, value)
        with pytest.raises(ConfigError, match=said):
            train(config)
        assert not (Path(config.output) / "checkpoints").exists()
        assert not (Path(config.output) / provenance.RECORD).exists()
