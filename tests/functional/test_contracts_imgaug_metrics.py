"""The augmenters and metrics of the project pass the contracts that strangers' are told to pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctxbench import Sample, load_plugins
from ctxbench.testing import AugmenterContract, MetricContract

AUGMENTERS = {
    "clean": ("clean", {}),
    "light": ("light", {}),
    "heavy": ("heavy", {}),
    "custom": ("custom", {}),
    "camera": ("heavy", {"order": "camera", "perspective": 0.1, "noise_per_channel": False, "fill": [9, 9, 9]}),
    "blur": ("custom", {"blur_sigma": 3.0, "interpolation": "lanczos", "scale": 0.5, "antialias": False}),
}
TEXTS = ("exact_match", "character_error_rate", "word_error_rate", "identifiers", "semantic_corruption", "squad_exact_match", "squad_f1")
METRICS = ("json_exact_match", "json_f1", "json_key_value_mean", "hit_at_1", "contains", *TEXTS)


class TestAugmenters(AugmenterContract):
    """Every level, and options that change the path through the pipeline."""

    @pytest.fixture(params=AUGMENTERS.values(), ids=AUGMENTERS)
    def augmenter(self, request):
        name, options = request.param
        return load_plugins().augmenter(name, **options)


class TestMetrics(MetricContract):
    """Every metric, on an answer that is JSON."""

    @pytest.fixture(params=METRICS)
    def metric(self, request):
        return load_plugins().metric(request.param)


class TestMetricsOfText(MetricContract):
    """Metrics of plain answers, on one in Chinese."""

    sample = Sample("...", "?", "灯塔", 64, "zh", {"answers": ["灯塔"], "answerable": True, "not_found": "未找到"})

    @pytest.fixture(params=["hit_at_1", "contains", *TEXTS])
    def metric(self, request):
        return load_plugins().metric(request.param)


class TestMetricsOfAbsence(MetricContract):
    """Saying that there is nothing to find is the right answer."""

    sample = Sample("...", "?", "not found", 64, "en", {"answers": [], "answerable": False, "not_found": "not found"})

    @pytest.fixture(params=["hit_at_1", "contains", "exact_match", "character_error_rate", "squad_exact_match", "squad_f1"])
    def metric(self, request):
        return load_plugins().metric(request.param)


def test_every_score_is_documented():
    """docs/metrics.md names each metric in a heading and each of its scores."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in METRICS:
        assert f"\n## {name}\n" in text
        scores = load_plugins().metric(name).score('{"a": 1}', TestMetrics.sample)
        assert all(f"`{score}`" in text for score in scores.values)
