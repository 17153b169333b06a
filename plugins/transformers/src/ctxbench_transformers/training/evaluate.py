"""Evaluation during training: the loss on given answers, and how right the answers are that the model generates itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ctxbench import ConfigError, Sample, Scores, load_plugins
from ctxbench_transformers.data import Example
from ctxbench_transformers.decoding import Decoding
from ctxbench_transformers.runtime import Runtime, Sizing
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loss import answer_loss

Judge = Callable[[str, Sample], float]


def judges(primary_scores: dict[str, str]) -> dict[str, Judge]:
    """By task label: 1.0 for a correct answer, else 0.0. A task whose metric is not installed is judged by equality."""
    return {task: _judge(name) for task, name in primary_scores.items()}


def _judge(name: str) -> Judge:
    try:
        metric = load_plugins().metric(name)
    except ConfigError:
        return exact

    def judge(prediction: str, sample: Sample) -> float:
        found = metric.score(prediction, sample)
        values = found.values if isinstance(found, Scores) else found
        return float(values[name] >= 1.0)

    return judge


def exact(prediction: str, sample: Sample) -> float:
    """1.0 if the prediction is the answer, white space around it aside."""
    return float(prediction.strip() == sample.answer.strip())


def evaluate(
    runtime: Runtime, examples: Sequence[Example], by_task: dict[str, Judge], batch_size: int, world: World, precision: Any
) -> dict[str, float]:
    """Mean loss a token of the answer, share of correct answers (``score``) and of literally equal ones (``exact``).

    Each process takes every n-th example; the numbers are those of all together.
    """
    mine = list(examples)[world.rank :: world.size]
    device = next(runtime.model.parameters()).device
    with _evaluating(runtime.model), precision():
        nll, tokens = _loss(runtime, mine, batch_size, device)
        correct = equal = 0.0
        for i in range(0, len(mine), batch_size):
            some = mine[i : i + batch_size]
            readings = runtime.answer([example.prompt for example in some], Decoding(), Sizing())
            for example, reading in zip(some, readings, strict=True):
                correct += by_task.get(example.task, exact)(reading.text, example.sample)
                equal += exact(reading.text, example.sample)
    nll, tokens, correct, equal, n = world.sum(nll, tokens, correct, equal, len(mine), device=device)
    return {"val_loss": nll / max(1.0, tokens), "val_score": correct / max(1.0, n), "val_exact": equal / max(1.0, n)}


def _loss(runtime: Runtime, examples: Sequence[Example], batch_size: int, device: torch.device) -> tuple[float, float]:
    total = tokens = 0.0
    for i in range(0, len(examples), batch_size):
        batch = collate_labelled([label(runtime.encoder, example) for example in examples[i : i + batch_size]], runtime.pad_id)
        with torch.no_grad():
            loss, count = answer_loss(runtime.model, {key: value.to(device) for key, value in batch.items()})
        total += loss.item()
        tokens += count
    return total, tokens


@contextlib.contextmanager
def _evaluating(model: Any) -> Any:
    model.eval()
    try:
        yield
    finally:
        model.train()
