"""Each rule for tasks, augmenters and metrics can fail: a component that breaks it is caught by that rule."""

from __future__ import annotations

import functools
import os
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import Augmenter, Metric, Sample, SampleError, Task, tokens
from ctxbench.testing import AugmenterContract, MetricContract, TaskContract


@functools.cache
def words(bucket: int, seed: int) -> str:
    """A text of exactly ``bucket`` tokens: one word more until it is long enough."""
    rng = np.random.default_rng(seed)
    text = " ".join(["code", str(seed % 10)] + ["a"] * (bucket - 18) + [str(n) for n in rng.integers(0, 10, 6)])
    while tokens.count_text(text) < bucket:
        text += " a"
    return text


@attrs.frozen
class GoodTask(Task):
    """What is the second word? Correct, so that each wrong task below differs in one thing."""

    metrics = ("exact_match",)
    primary_score = "exact_match"

    def sample(self, bucket: int, seed: int) -> Sample:
        if bucket < 20:
            raise SampleError(f"a bucket of {bucket} tokens is too small, 20 is the least")
        return Sample(words(bucket, seed), "What is the code?", str(seed % 10), bucket)

    def solve(self, context: str, question: str) -> str:
        return [*context.split(), "", ""][1]


class TooLong(GoodTask):
    def sample(self, bucket, seed):
        sample = super().sample(bucket, seed)
        return attrs.evolve(sample, context=sample.context + " a" * (bucket // 20))


class OneSample(GoodTask):
    def sample(self, bucket, seed):
        return super().sample(bucket, 0)


class RandomTask(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), context=words(bucket, seed) + f" {os.urandom(1)[0] % 10}")


class SaltedTask(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), answer=str(hash("salt") % 1000))


class CannotSolve(GoodTask):
    def solve(self, context, question):
        return "7"


class FragileSolve(GoodTask):
    def solve(self, context, question):
        return context.split()[1]


class WrongBucket(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), bucket=bucket + 1)


class TakesAnyLength(GoodTask):
    def sample(self, bucket, seed):
        return super().sample(max(20, bucket), seed)


class NoPrimaryScore(GoodTask):
    primary_score = ""


@pytest.mark.parametrize(
    ("task", "rule", "error"),
    [
        (TooLong, "test_contexts_have_the_length_that_was_asked_for", AssertionError),
        (OneSample, "test_one_seed_is_one_sample", AssertionError),
        (RandomTask, "test_samples_are_the_same_in_another_process", AssertionError),
        (SaltedTask, "test_samples_are_the_same_in_another_process", AssertionError),
        (CannotSolve, "test_a_perfect_reader_finds_the_answer", AssertionError),
        (FragileSolve, "test_a_perfect_reader_finds_the_answer", IndexError),
        (WrongBucket, "test_samples_say_what_they_are", AssertionError),
        (TakesAnyLength, "test_impossible_lengths_are_refused", pytest.fail.Exception),
        (NoPrimaryScore, "test_the_primary_score_is_named", AssertionError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_task_is_caught(task, rule, error):
    """The rule passes on the right task and raises on the wrong one."""
    contract = TaskContract()
    getattr(contract, rule)(GoodTask())
    with pytest.raises(error):
        getattr(contract, rule)(task())


@attrs.frozen
class GoodAugmenter(Augmenter):
    """Noise."""

    amount: float = 5.0

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        values = np.asarray(image, float) + rng.normal(0, self.amount, (image.height, image.width, 3))
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


class GlobalNoise(GoodAugmenter):
    def apply(self, image, rng):
        return super().apply(image, np.random.default_rng())


class InPlace(GoodAugmenter):
    def apply(self, image, rng):
        image.putpixel((0, 0), (1, 2, 3))
        return image


class GreyOut(GoodAugmenter):
    def apply(self, image, rng):
        return image.convert("L")


class ForgetsAmount(GoodAugmenter):
    @property
    def config(self) -> dict[str, Any]:
        return {"amount": self.amount + 1}


@pytest.mark.parametrize(
    ("augmenter", "rule", "arguments"),
    [
        (GlobalNoise, "test_equal_generators_give_equal_pages", {}),
        (InPlace, "test_the_page_is_left_alone", {}),
        (GreyOut, "test_any_size_works", {"size": (3, 500)}),
        (ForgetsAmount, "test_config_round_trips", {}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_augmenter_is_caught(augmenter, rule, arguments):
    """The rule passes on the right augmenter and raises on the wrong one."""
    contract = AugmenterContract()
    getattr(contract, rule)(GoodAugmenter(), **arguments)
    with pytest.raises(AssertionError):
        getattr(contract, rule)(augmenter(), **arguments)


class GoodMetric(Metric):
    """Exact match."""

    def score(self, prediction, sample):
        return {"match": float(prediction == sample.answer)}


class UpsideDown(GoodMetric):
    def score(self, prediction, sample):
        return {"match": float(prediction != sample.answer)}


class OtherNames(GoodMetric):
    def score(self, prediction, sample):
        return {"match" if prediction else "empty": float(prediction == sample.answer)}


class NotANumber(GoodMetric):
    def score(self, prediction, sample):
        return {"match": float("nan") if prediction == "NaN" else float(prediction == sample.answer)}


class Encodes(GoodMetric):
    def score(self, prediction, sample):
        return {"match": float(prediction.encode() == sample.answer.encode())}


@pytest.mark.parametrize(
    ("metric", "rule", "error"),
    [
        (UpsideDown, "test_the_right_answer_is_best", AssertionError),
        (OtherNames, "test_hostile_predictions_are_scored", AssertionError),
        (NotANumber, "test_hostile_predictions_are_scored", AssertionError),
        (Encodes, "test_hostile_predictions_are_scored", UnicodeEncodeError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_metric_is_caught(metric, rule, error):
    """The rule passes on the right metric and raises on the wrong one."""
    contract = MetricContract()
    getattr(contract, rule)(GoodMetric())
    with pytest.raises(error):
        getattr(contract, rule)(metric())
