"""Each rule for tasks, augmenters and metrics can fail: a component that breaks it is caught by that rule."""

from __future__ import annotations

import functools
import os
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import Augmenter, Metric, Sample, SampleError, Task, tokens
from ctxbench.testing import AugmenterContract, MetricContract, TaskContract
from ctxbench.testing.checking import check_rules
from ctxbench.testing.subject import Subject


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


class UnknownMetric(GoodTask):
    metrics = ("exact_match", "no_such_metric")


class UnknownPrimaryScore(GoodTask):
    primary_score = "no_such_metric"


class NeverCorrect(GoodTask):
    """The answer that it gives as right does not score as right."""

    primary_score = "json_exact_match"

    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), answer="not JSON")


class EmptyContext(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), context=" ")


class AnswerIsAList(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), answer=[str(seed % 10)])


class UnknownLanguage(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), language="fr")


class RemembersAnswers(GoodTask):
    """``solve`` looks up what ``sample`` noted."""

    noted: ClassVar[dict[str, str]] = {}

    def sample(self, bucket, seed):
        sample = super().sample(bucket, seed)
        self.noted[sample.context] = sample.answer
        return sample

    def solve(self, context, question):
        return self.noted.get(context, "")


class SecretMetadata(GoodTask):
    def sample(self, bucket, seed):
        return attrs.evolve(super().sample(bucket, seed), metadata={"depth": {0.5}})


TASKS = [
    (TooLong, "test_contexts_have_the_length_that_was_asked_for", AssertionError),
    (OneSample, "test_one_seed_is_one_sample", AssertionError),
    (RandomTask, "test_samples_are_the_same_in_another_process", AssertionError),
    (SaltedTask, "test_samples_are_the_same_in_another_process", AssertionError),
    (CannotSolve, "test_a_perfect_reader_finds_the_answer", AssertionError),
    (FragileSolve, "test_a_perfect_reader_finds_the_answer", IndexError),
    (WrongBucket, "test_samples_say_what_they_are", AssertionError),
    (EmptyContext, "test_samples_say_what_they_are", AssertionError),
    (AnswerIsAList, "test_samples_say_what_they_are", AssertionError),
    (UnknownLanguage, "test_samples_say_what_they_are", AssertionError),
    (SecretMetadata, "test_samples_say_what_they_are", AssertionError),
    (TakesAnyLength, "test_impossible_lengths_are_refused", AssertionError),
    (NoPrimaryScore, "test_the_primary_score_is_named", AssertionError),
    (UnknownMetric, "test_the_primary_score_is_named", AssertionError),
    (UnknownPrimaryScore, "test_the_primary_score_is_named", AssertionError),
    (NeverCorrect, "test_the_reference_answer_is_correct", AssertionError),
    (RemembersAnswers, "test_a_perfect_reader_needs_nothing_else", AssertionError),
]


def failing(kind: str, component: Any, rule: str) -> str:
    """What ``ctxbench plugins check`` says of one rule, which must be broken."""
    (result,) = check_rules(Subject(kind, component), only=[rule.removeprefix("test_")])
    assert result.outcome == "FAIL"
    return result.text


@pytest.mark.parametrize(("task", "rule", "error"), TASKS, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_task_is_caught(task, rule, error):
    """The rule passes on the right task and raises on the wrong one."""
    contract = TaskContract()
    getattr(contract, rule)(GoodTask())
    with pytest.raises(error):
        getattr(contract, rule)(task())
    assert failing("task", task(), rule)


def test_plugins_check_reports_the_real_length():
    """The length is counted, not repeated from what was asked for."""
    only = ["contexts_have_the_length_that_was_asked_for"]
    (result,) = check_rules(Subject("task", GoodTask()), only=only)
    counts = {tokens.count_text(words(512, seed)) for seed in range(4)}
    assert f"{min(counts)} to {max(counts)} for 512" in result.text or f"{counts.pop()} for 512" in result.text
    assert "134 reference tokens for a bucket of 128" in failing("task", TooLong(), only[0])


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


class GivesBackTheSame(GoodAugmenter):
    """Harmless until somebody draws on the result."""

    def apply(self, image, rng):
        return image


class Remembers(GoodAugmenter):
    """Its noise depends on what came before."""

    count: ClassVar[list[int]] = [0]

    def apply(self, image, rng):
        self.count[0] += 1
        return Image.fromarray(np.asarray(super().apply(image, rng)) ^ np.uint8(self.count[0] % 2))


class SaltedNoise(GoodAugmenter):
    def apply(self, image, rng):
        page = image.copy()
        page.putpixel((0, 0), tuple(hash(("salt", i)) % 251 for i in range(3)))
        return page


class NotAnImage(GoodAugmenter):
    def apply(self, image, rng):
        return np.asarray(image)


@attrs.define
class CountsInItsConfig(Augmenter):
    calls: int = 0

    def apply(self, image, rng):
        self.calls += 1
        return image.copy()


class ForgetsAmount(GoodAugmenter):
    @property
    def config(self) -> dict[str, Any]:
        return {"amount": self.amount + 1}


AUGMENTERS = [
    (GlobalNoise, "test_equal_generators_give_equal_pages", {}, AssertionError),
    (Remembers, "test_equal_generators_give_equal_pages", {}, AssertionError),
    (SaltedNoise, "test_pages_are_the_same_in_another_process", {}, AssertionError),
    (InPlace, "test_the_page_is_left_alone", {}, AssertionError),
    (GivesBackTheSame, "test_the_page_is_left_alone", {}, AssertionError),
    (GreyOut, "test_any_size_works", {"size": (3, 500)}, AssertionError),
    (NotAnImage, "test_any_size_works", {"size": (1, 1)}, AssertionError),
    (ForgetsAmount, "test_config_round_trips", {}, AssertionError),
    (CountsInItsConfig, "test_the_config_stays_as_it_is", {}, AssertionError),
]


@pytest.mark.parametrize(("augmenter", "rule", "arguments", "error"), AUGMENTERS, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_augmenter_is_caught(augmenter, rule, arguments, error):
    """The rule passes on the right augmenter and raises on the wrong one."""
    contract = AugmenterContract()
    getattr(contract, rule)(GoodAugmenter(), **arguments)
    with pytest.raises(error):
        getattr(contract, rule)(augmenter(), **arguments)
    assert failing("augmenter", augmenter(), rule)


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


class Salted(GoodMetric):
    def score(self, prediction, sample):
        return {"match": 1.0 if prediction == sample.answer else hash("salt") % 1009 / 1010}


class Learns(GoodMetric):
    """The more it has seen, the better the score."""

    seen: ClassVar[list[str]] = []

    def score(self, prediction, sample):
        self.seen.append(prediction)
        return {"match": float(prediction == sample.answer), "seen": 1.0 if len(self.seen) < 2 else 0.0}


class Scribbles(GoodMetric):
    def score(self, prediction, sample):
        sample.metadata["prediction"] = prediction
        return super().score(prediction, sample)


class Booleans(GoodMetric):
    def score(self, prediction, sample):
        return {"match": prediction == sample.answer}


class AllTheSame(GoodMetric):
    def score(self, prediction, sample):
        return {"match": 1.0}


class Encodes(GoodMetric):
    def score(self, prediction, sample):
        return {"match": float(prediction.encode() == sample.answer.encode())}


METRICS = [
    (UpsideDown, "test_the_right_answer_is_best", AssertionError),
    (AllTheSame, "test_the_right_answer_is_best", AssertionError),
    (Booleans, "test_the_right_answer_is_best", AssertionError),
    (OtherNames, "test_hostile_predictions_are_scored", AssertionError),
    (NotANumber, "test_hostile_predictions_are_scored", AssertionError),
    (Encodes, "test_hostile_predictions_are_scored", UnicodeEncodeError),
    (Learns, "test_scoring_is_deterministic", AssertionError),
    (Salted, "test_scores_are_the_same_in_another_process", AssertionError),
    (Scribbles, "test_the_sample_is_left_alone", AssertionError),
]


@pytest.mark.parametrize(("metric", "rule", "error"), METRICS, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_metric_is_caught(metric, rule, error):
    """The rule passes on the right metric and raises on the wrong one."""
    contract = MetricContract()
    getattr(contract, rule)(GoodMetric())
    Learns.seen.clear()
    with pytest.raises(error):
        getattr(contract, rule)(metric())
    Learns.seen.clear()
    assert failing("metric", metric(), rule)
