"""The contracts of augmenters, metrics and token counters."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from PIL import Image

from ctxbench.interfaces import Augmenter, Component, Metric, TokenCounter
from ctxbench.records import Scores
from ctxbench.testing import augmenter_rules, counter_rules, metric_rules
from ctxbench.testing.contract import Contract


class AugmenterContract(Contract):
    """Rules for an augmenter; override :meth:`augmenter`."""

    kind = "augmenter"

    @pytest.fixture
    def augmenter(self) -> Augmenter:
        """The augmenter under test."""
        raise NotImplementedError("override the fixture 'augmenter'")

    @pytest.fixture
    def component(self, augmenter: Augmenter) -> Component:
        """The augmenter, for the rules of all components."""
        return augmenter

    def given(self) -> augmenter_rules.AugmenterGiven:
        """What the rules try the augmenter with."""
        return augmenter_rules.AugmenterGiven()

    @staticmethod
    def page(width: int = 112, height: int = 84) -> Image.Image:
        """A page with something on it."""
        return augmenter_rules.page(width, height)

    def test_equal_generators_give_equal_pages(self, augmenter: Augmenter) -> None:
        """All randomness comes from the generator, whatever the global states are."""
        self.hold(augmenter_rules.equal_generators_give_equal_pages, augmenter)

    def test_pages_are_the_same_in_another_process(self, augmenter: Augmenter) -> None:
        """Neither hash randomisation nor the state of this process changes a pixel."""
        self.hold(augmenter_rules.pages_are_the_same_in_another_process, augmenter)

    def test_the_page_is_left_alone(self, augmenter: Augmenter) -> None:
        """The input keeps its pixels, and the output is another image."""
        self.hold(augmenter_rules.the_page_is_left_alone, augmenter)

    @pytest.mark.parametrize("size", augmenter_rules.SIZES)
    def test_any_size_works(self, augmenter: Augmenter, size: tuple[int, int]) -> None:
        """RGB in, RGB out, at least one pixel."""
        self.hold(augmenter_rules.any_size_works, augmenter, size)


class MetricContract(Contract):
    """Rules for a metric; override :meth:`metric`, and :attr:`sample` if yours needs another."""

    kind = "metric"

    sample = metric_rules.SAMPLE

    hostile: tuple[str, ...] = metric_rules.HOSTILE_PREDICTIONS
    """Predictions that no metric may stumble over."""

    @pytest.fixture
    def metric(self) -> Metric:
        """The metric under test."""
        raise NotImplementedError("override the fixture 'metric'")

    @pytest.fixture
    def component(self, metric: Metric) -> Component:
        """The metric, for the rules of all components."""
        return metric

    def given(self) -> metric_rules.MetricGiven:
        """What the rules try the metric with."""
        return metric_rules.MetricGiven(self.sample, self.hostile)

    @staticmethod
    def values(found: Mapping[str, float] | Scores) -> dict[str, float]:
        """The values of a score."""
        return metric_rules.values(found)

    def test_the_right_answer_is_best(self, metric: Metric) -> None:
        """The reference answer scores 1 where higher is better and 0 where lower is; nothing scores better."""
        self.hold(metric_rules.the_right_answer_is_best, metric)

    def test_hostile_predictions_are_scored(self, metric: Metric) -> None:
        """Whatever a model says gets finite numbers under the same names, never an exception."""
        self.hold(metric_rules.hostile_predictions_are_scored, metric)

    def test_scoring_is_deterministic(self, metric: Metric) -> None:
        """The same prediction scores the same, whatever was scored before."""
        self.hold(metric_rules.scoring_is_deterministic, metric)

    def test_scores_are_the_same_in_another_process(self, metric: Metric) -> None:
        """Neither hash randomisation nor what this process scored before changes a score."""
        self.hold(metric_rules.scores_are_the_same_in_another_process, metric)

    def test_the_sample_is_left_alone(self, metric: Metric) -> None:
        """Scoring changes nothing in the sample, which other metrics read too."""
        self.hold(metric_rules.the_sample_is_left_alone, metric)


class TokenCounterContract(Contract):
    """Rules for a token counter; override :meth:`counter`."""

    kind = "token_counter"

    sizes: tuple[tuple[int, int], ...] = counter_rules.SIZES
    """Sizes (width, height) in pixels that are tried."""

    @pytest.fixture
    def counter(self) -> TokenCounter:
        """The token counter under test."""
        raise NotImplementedError("override the fixture 'counter'")

    @pytest.fixture
    def component(self, counter: TokenCounter) -> Component:
        """The token counter, for the rules of all components."""
        return counter

    def given(self) -> counter_rules.CounterGiven:
        """What the rules try the counter with."""
        return counter_rules.CounterGiven(self.sizes)

    def test_images_cost_whole_positive_tokens(self, counter: TokenCounter) -> None:
        """Every size from 1 x 1 px costs a whole number of tokens, at least one, or is refused in one line."""
        self.hold(counter_rules.images_cost_whole_positive_tokens, counter)

    def test_larger_pages_never_cost_much_less(self, counter: TokenCounter) -> None:
        """A square of twice the side costs at least nine tenths."""
        self.hold(counter_rules.larger_pages_never_cost_much_less, counter)

    def test_counting_is_deterministic(self, counter: TokenCounter) -> None:
        """The same image costs the same, whatever was counted before."""
        self.hold(counter_rules.counting_is_deterministic, counter)

    def test_counts_are_the_same_in_another_process(self, counter: TokenCounter) -> None:
        """Neither hash randomisation nor the state of this process changes a count."""
        self.hold(counter_rules.counts_are_the_same_in_another_process, counter)

    def test_texts_are_counted(self, counter: TokenCounter) -> None:
        """A text costs a whole number of tokens, or the family's tokenizer is not at hand at all."""
        self.hold(counter_rules.texts_are_counted, counter)

    def test_markers_are_counted(self, counter: TokenCounter) -> None:
        """``overhead`` is a whole number of tokens, none without pages, and no fewer for more pages."""
        self.hold(counter_rules.markers_are_counted, counter)

    def test_the_source_is_cited(self, counter: TokenCounter) -> None:
        """``source`` says on one line where the rule comes from."""
        self.hold(counter_rules.the_source_is_cited, counter)
