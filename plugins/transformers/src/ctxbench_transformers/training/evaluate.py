"""Evaluation during training: the loss on given answers, and how right the answers are that the model generates itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from ctxbench import ConfigError, Sample, Scores, load_plugins
from ctxbench_transformers.data import Example
from ctxbench_transformers.decoding import Decoding
from ctxbench_transformers.runtime import Runtime, Sizing
from ctxbench_transformers.training.auxiliary import AnswerWriter, Parts
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loss import answer_losses

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


@attrs.define
class Tally:
    """Sums over examples."""

    n: float = 0.0
    nll: float = 0.0
    tokens: float = 0.0
    correct: float = 0.0
    equal: float = 0.0

    def add(self, other: Tally) -> None:
        """Count another's examples too."""
        self.n, self.nll, self.tokens = self.n + other.n, self.nll + other.nll, self.tokens + other.tokens
        self.correct, self.equal = self.correct + other.correct, self.equal + other.equal

    def means(self) -> dict[str, float]:
        """Mean loss a token of the answer, share of correct answers and of literally equal ones."""
        n = max(1.0, self.n)
        return {"loss": self.nll / max(1.0, self.tokens), "score": self.correct / n, "exact": self.equal / n}


@attrs.frozen
class Validation:
    """An evaluation, by codec and task."""

    cells: dict[tuple[str, str], Tally]

    @property
    def pooled(self) -> dict[str, float]:
        """Over all examples."""
        total = Tally()
        for cell in self.cells.values():
            total.add(cell)
        return total.means()

    def values(self) -> dict[str, float]:
        """For the log: ``val_loss``, ``val_score``, ``val_exact``; then these and ``val_n`` of each cell, as ``val_n/<codec>/<task>``."""
        found = {f"val_{key}": value for key, value in self.pooled.items()}
        for (codec, task), cell in self.cells.items():
            found |= {f"val_{key}/{codec}/{task}": value for key, value in ({"n": cell.n} | cell.means()).items()}
        return found

    def plain(self, step: int) -> dict[str, Any]:
        """For the record of a training."""
        cells = [{"codec": codec, "task": task, "n": int(cell.n), **cell.means()} for (codec, task), cell in self.cells.items()]
        return {"step": step, "n": sum(cell["n"] for cell in cells), **self.pooled, "cells": cells}

    def lines(self) -> list[str]:
        """For people: the pooled numbers, and those of each cell where there are several."""
        lines = [_line(self.pooled)]
        if len(self.cells) > 1:
            wide = max(len(f"{codec} {task}") for codec, task in self.cells)
            lines += [f"  {f'{codec} {task}':{wide}}  {_line(cell.means())}, n {cell.n:g}" for (codec, task), cell in self.cells.items()]
        return lines


def _line(values: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.4f}" for key, value in values.items())


def evaluate(
    runtime: Runtime,
    examples: Sequence[Example],
    by_task: dict[str, Judge],
    batch_size: int,
    world: World,
    precision: Any,
    writer: AnswerWriter | None = None,
) -> Validation:
    """The loss on the given answers, and how many of the generated ones are right, by codec and task.

    Each process takes every n-th example; the numbers are those of all together. ``writer``: what wrote the answers that it was trained on.
    """
    cells = {(example.codec, example.task): Tally() for example in examples}
    mine = list(examples)[world.rank :: world.size]
    device = next(runtime.model.parameters()).device
    with _evaluating(runtime.model), precision():
        for i in range(0, len(mine), batch_size):
            some = mine[i : i + batch_size]
            losses, tokens = _losses(runtime, some, device, Parts(writer=writer))
            readings = runtime.answer([example.prompt for example in some], Decoding(), Sizing())
            for example, nll, count, reading in zip(some, losses, tokens, readings, strict=True):
                right = by_task.get(example.task, exact)(reading.text, example.sample)
                cells[example.codec, example.task].add(Tally(1.0, nll, count, right, exact(reading.text, example.sample)))
    sums = world.sum(*(value for cell in cells.values() for value in attrs.astuple(cell)), device=device)
    width = len(attrs.fields(Tally))
    return Validation({key: Tally(*sums[i * width : (i + 1) * width]) for i, key in enumerate(cells)})


def _losses(runtime: Runtime, examples: Sequence[Example], device: torch.device, parts: Parts) -> tuple[list[float], list[int]]:
    batch = collate_labelled([label(runtime.encoder, example, parts) for example in examples], runtime.pad_id)
    with torch.no_grad():
        return answer_losses(runtime.model, {key: value.to(device) for key, value in batch.items()})


@contextlib.contextmanager
def _evaluating(model: Any) -> Any:
    model.eval()
    try:
        yield
    finally:
        model.train()
