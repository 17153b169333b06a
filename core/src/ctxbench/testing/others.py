"""The rules for tasks, augmenters and metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image

from ctxbench import tokens
from ctxbench.errors import SampleError
from ctxbench.images import page_sha256
from ctxbench.interfaces import Augmenter, Metric, Task
from ctxbench.records import Sample, Scores
from ctxbench.testing.contract import Contract
from ctxbench.testing.elsewhere import elsewhere

_SAMPLE = """
sample = component.sample(*argument)
print(json.dumps([sample.context, sample.question, sample.answer]))
"""


class TaskContract(Contract):
    """Rules for a task; override :meth:`task`."""

    buckets: tuple[int, ...] = (128, 512, 2048)
    """Lengths that are tried."""

    @pytest.fixture
    def task(self) -> Task:
        """The task under test."""
        raise NotImplementedError("override the fixture 'task'")

    def test_contexts_have_the_length_that_was_asked_for(self, task: Task) -> None:
        """Within 1 % of the bucket, or one token where that is more."""
        for bucket in self.buckets:
            for seed in range(4):
                count = tokens.count_text(task.sample(bucket, seed).context)
                assert abs(count - bucket) <= max(1, bucket / 100), (bucket, seed, count)

    def test_one_seed_is_one_sample(self, task: Task) -> None:
        """Equal seeds give equal samples, other seeds other ones."""
        assert task.sample(self.buckets[0], 5) == task.sample(self.buckets[0], 5)
        assert len({task.sample(self.buckets[0], seed).context for seed in range(8)}) == 8

    def test_samples_are_the_same_in_another_process(self, task: Task) -> None:
        """Hash randomisation changes nothing."""
        sample = task.sample(self.buckets[0], 9)
        mine = [sample.context, sample.question, sample.answer]
        assert elsewhere("task", task, _SAMPLE, [self.buckets[0], 9]) == [mine, mine]

    def test_a_perfect_reader_finds_the_answer(self, task: Task) -> None:
        """``solve`` needs nothing but context and question, and survives a damaged context."""
        for bucket in self.buckets:
            for seed in range(4):
                sample = task.sample(bucket, seed)
                assert task.solve(sample.context, sample.question) == sample.answer
                for damaged in ("", sample.context[: len(sample.context) // 2], sample.context.swapcase(), "\x00" * 50):
                    assert isinstance(task.solve(damaged, sample.question), str)

    def test_samples_say_what_they_are(self, task: Task) -> None:
        """Bucket, language and JSON metadata are filled in."""
        sample = task.sample(self.buckets[0], 1)
        assert sample.bucket == self.buckets[0]
        assert sample.language in ("en", "zh")
        assert json.loads(json.dumps(sample.metadata)) == sample.metadata
        assert sample.question.strip()
        assert sample.answer.strip()

    def test_impossible_lengths_are_refused(self, task: Task) -> None:
        """A context of no or negative length is a SampleError in one line."""
        for bucket in (0, -5, 1):
            with pytest.raises(SampleError) as caught:
                task.sample(bucket, 0)
            assert "\n" not in str(caught.value)

    def test_the_primary_score_is_named(self, task: Task) -> None:
        """Something decides what is correct, and config round-trips."""
        assert task.primary_score
        assert task.metrics
        assert type(task)(**task.config).config == task.config


class AugmenterContract(Contract):
    """Rules for an augmenter; override :meth:`augmenter`."""

    @pytest.fixture
    def augmenter(self) -> Augmenter:
        """The augmenter under test."""
        raise NotImplementedError("override the fixture 'augmenter'")

    @staticmethod
    def page(width: int = 112, height: int = 84) -> Image.Image:
        """A page with something on it."""
        rng = np.random.default_rng(7)
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))

    def test_equal_generators_give_equal_pages(self, augmenter: Augmenter) -> None:
        """All randomness comes from the generator, whatever the global states are."""
        first = augmenter.apply(self.page(), np.random.default_rng(3))
        np.random.seed(99)
        assert page_sha256(first) == page_sha256(augmenter.apply(self.page(), np.random.default_rng(3)))

    def test_the_page_is_left_alone(self, augmenter: Augmenter) -> None:
        """The input keeps its pixels, and the output is another image."""
        page = self.page()
        before = page_sha256(page)
        assert augmenter.apply(page, np.random.default_rng(1)) is not page
        assert page_sha256(page) == before

    @pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (300, 200)])
    def test_any_size_works(self, augmenter: Augmenter, size: tuple[int, int]) -> None:
        """RGB in, RGB out, at least one pixel."""
        made = augmenter.apply(self.page(*size), np.random.default_rng(1))
        assert made.mode == "RGB"
        assert min(made.size) >= 1

    def test_config_round_trips(self, augmenter: Augmenter) -> None:
        """``config`` is JSON and makes an equal augmenter."""
        config = augmenter.config
        assert json.loads(json.dumps(config)) == config
        assert type(augmenter)(**config).config == config


class MetricContract(Contract):
    """Rules for a metric; override :meth:`metric`, and :attr:`sample` if yours needs another."""

    sample = Sample('{"a": 1}', "?", '{"a": 1}', 64, metadata={"answers": ['{"a": 1}'], "answerable": True})

    hostile: tuple[str, ...] = (
        "",
        " ",
        "\x00",
        "\ud800",
        "[" * 100_000,
        '{"a":' * 5_000,
        "NaN",
        "1e999",
        "x" * 200_000,
        "```json\n```",
        "👩‍👩‍👧‍👦",
    )
    """Predictions that no metric may stumble over."""

    @pytest.fixture
    def metric(self) -> Metric:
        """The metric under test."""
        raise NotImplementedError("override the fixture 'metric'")

    @staticmethod
    def values(found: Mapping[str, float] | Scores) -> dict[str, float]:
        """The values of a score."""
        return dict(found.values if isinstance(found, Scores) else found)

    def test_the_right_answer_is_best(self, metric: Metric) -> None:
        """The reference answer scores 1 where higher is better and 0 where lower is; nothing scores better."""
        best = self.values(metric.score(self.sample.answer, self.sample))
        worst = self.values(metric.score("something else entirely", self.sample))
        assert best.keys() == worst.keys()
        for name, value in best.items():
            assert value == (1.0 if metric.higher_is_better else 0.0)
            assert worst[name] <= value if metric.higher_is_better else worst[name] >= value

    def test_hostile_predictions_are_scored(self, metric: Metric) -> None:
        """Whatever a model says gets finite numbers under the same names, never an exception."""
        names = self.values(metric.score(self.sample.answer, self.sample)).keys()
        for prediction in self.hostile:
            found = self.values(metric.score(prediction, self.sample))
            assert found.keys() == names
            assert all(math.isfinite(value) for value in found.values())
