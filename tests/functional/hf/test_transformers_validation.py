"""Validation while training: the numbers of each codec and task, beside the pooled ones, in the log and in the result's record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxbench import Sample
from ctxbench_transformers import provenance
from ctxbench_transformers.data import build
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.evaluate import evaluate
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.prepare import make_trainer, prepare

CPU = torch.device("cpu")
MakeTraining = Callable[..., TrainConfig]
CODECS, TASKS = ("left", "right"), ("long", "short")


@pytest.fixture(scope="module")
def mixed(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 training and 16 validation records over two codecs and two tasks, a quarter of them short ones."""
    from ctxbench_transformers import settings
    from ctxbench_transformers.data import DataConfig

    folder = tmp_path_factory.mktemp("mixed") / "set"
    values: dict[str, Any] = {
        "codecs": [{"name": "toy_blocks", "label": name} for name in CODECS],
        "tasks": [{"name": "toy_letters", "label": name} for name in TASKS],
        "task_weights": [3, 1],
        "buckets": [4, 6],
        "samples": 8,
        "validation": 1.0,
        "tokens": {"family": "toy", "reference": "toy"},
        "output": str(folder),
    }
    build(settings.make(DataConfig, values))
    return folder


def test_each_codec_and_task_has_its_own_numbers(training: MakeTraining, mixed: Path) -> None:
    """A pooled number hides a codec that is never read. Each cell's numbers must be those of its own examples, counted one by one."""
    config = training(data=str(mixed))
    trainer = make_trainer(prepare(config, World(), CPU), ckpt.State(), CPU)
    examples = list(trainer.validation)

    def right(prediction: str, sample: Sample) -> float:
        return float(sample.answer[0] in "ab")

    found = evaluate(trainer.runtime, examples, {"long": right}, 5, World(), trainer.precision)
    assert sorted(found.cells) == [(codec, task) for codec in CODECS for task in TASKS]
    trainer.runtime.model.eval()
    total, tokens = 0.0, 0
    for (codec, task), cell in found.cells.items():
        own = [example for example in examples if (example.codec, example.task) == (codec, task)]
        assert cell.n == len(own) == {"long": 6, "short": 2}[task]
        with torch.no_grad():
            losses = [answer_loss(trainer.runtime.model, collate_labelled([label(trainer.runtime.encoder, e)], 0)) for e in own]
        assert cell.nll == pytest.approx(sum(loss.item() for loss, _ in losses), rel=1e-4)
        assert cell.tokens == sum(count for _, count in losses)
        assert cell.correct == (sum(example.answer[0] in "ab" for example in own) if task == "long" else 0)
        total, tokens = total + cell.nll, tokens + int(cell.tokens)
    assert found.pooled["loss"] == pytest.approx(total / tokens)
    assert 0 < found.pooled["score"] == sum(cell.correct for cell in found.cells.values()) / 16 < 1
    assert found.values()["val_n/left/long"] == 6
    assert len(found.lines()) == 5


def test_the_log_and_the_record_have_them(training: MakeTraining, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record is of the weights that were written: with early stopping those of the best step, else of the last evaluation."""
    values: dict[str, Any] = {"data": str(mixed), "evaluate_every": 1, "evaluate_samples": 8, "warmup": 0, "clip": 0}
    config = training("stopped", lr=0.3, max_steps=3, epochs=9, early_stopping={"patience": 3}, **values)
    result = train(config)
    lines = [json.loads(line) for line in (Path(config.output) / "log.jsonl").read_text().splitlines()]
    best = min(lines, key=lambda line: line["val_loss"])
    assert best["step"] == result["best_step"] < 3
    record = json.loads((Path(config.output) / provenance.RECORD).read_text())["validation"]
    assert (record["step"], record["n"], record["loss"]) == (best["step"], 8, best["val_loss"])
    assert {(cell["codec"], cell["task"]): cell["loss"] for cell in record["cells"]} == {
        (codec, task): best[f"val_loss/{codec}/{task}"] for codec in CODECS for task in TASKS
    }
    assert "left short" in capsys.readouterr().err
    last = training("last", max_steps=3, **values | {"evaluate_every": 2, "evaluate_samples": 1})
    train(last)
    assert json.loads((Path(last.output) / provenance.RECORD).read_text())["validation"]["step"] == 2
