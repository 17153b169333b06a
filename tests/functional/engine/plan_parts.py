"""Components of the plan's tests, none of which runs. Each hides what it was given from its own config, or says something of its own."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import (
    Augmenter,
    AugmenterRecord,
    Codec,
    CodecRecord,
    ImageTokens,
    Metric,
    MetricRecord,
    Model,
    ModelRecord,
    Task,
    TaskRecord,
    TokenCounter,
    TokenCounterRecord,
)
from ctxbench.config import ExperimentConfig, make_config
from ctxbench.plan import Experiment, Trial
from ctxbench.resolving import resolve
from ctxbench.session import Session


@attrs.frozen
class Ink(Codec):
    shade: int = 0

    def encode(self, text):
        raise NotImplementedError


class Mute(Ink):
    can_decode = False
    verbatim = True


@attrs.frozen
class Exact(Ink):
    """Has no default."""

    shade: int = attrs.field()


@attrs.frozen
class Blur(Augmenter):
    sigma: float = 1.0

    def apply(self, image, rng):
        raise NotImplementedError


@attrs.frozen
class Count(Task):
    metrics = ("words",)
    primary_score = "words"
    language: str = "en"

    def sample(self, bucket, seed):
        raise NotImplementedError

    def solve(self, context, question):
        raise NotImplementedError


class Free(Count):
    """Nothing decides whether an answer to it is right."""

    primary_score = ""


@attrs.frozen
class Stock(Count):
    """Has ``rows`` samples of 64 tokens, and three more of every other length."""

    rows: int = 5

    def supply(self, bucket):
        return self.rows if bucket == 64 else self.rows + 3


class Whole(Stock):
    whole = True


@attrs.frozen
class Words(Metric):
    strict: bool = False

    def score(self, prediction, sample):
        return {"words": float(prediction == sample.answer)}


class Letters(Words):
    pass


class Reader(Model):
    """No attrs class: its config says nothing of reference and adapter."""

    closed = 0

    def __init__(self, reference: str = "", adapter: str = "", depth: int = 1) -> None:
        self.given = (reference, adapter, depth)

    def read(self, prompts):
        raise NotImplementedError

    def close(self):
        type(self).closed += 1


@attrs.frozen
class Open(Model):
    """Its config says all that it was given."""

    reference: str = ""
    adapter: str | None = None
    depth: int = 1

    def read(self, prompts):
        raise NotImplementedError


class Sharing(Reader):
    shares = "one memory"


class Listener(Reader):
    needs_channel = True


@attrs.frozen
class Rule(TokenCounter):
    side: int = 28

    def text(self, text):
        return len(text)

    def image(self, width, height):
        return ImageTokens(1, width, height)


class Twin(Rule):
    """Another family of the same config and version."""


class Wordless(Rule):
    def text(self, text):
        return None


RECORDS = (
    CodecRecord("ink", "s", Ink),
    CodecRecord("mute", "s", Mute),
    CodecRecord("exact", "s", Exact),
    AugmenterRecord("blur", "s", Blur),
    TaskRecord("tally", "s", Count),
    TaskRecord("free", "s", Free),
    TaskRecord("stock", "s", Stock),
    TaskRecord("whole", "s", Whole),
    MetricRecord("words", "s", Words),
    MetricRecord("letters", "s", Letters),
    ModelRecord("reader", "s", Reader),
    ModelRecord("open", "s", Open),
    ModelRecord("sharing", "s", Sharing),
    ModelRecord("listener", "s", Listener),
    TokenCounterRecord("rule", "s", Rule),
    TokenCounterRecord("twin", "s", Twin),
    TokenCounterRecord("wordless", "s", Wordless),
)


def config(**changes: Any) -> ExperimentConfig:
    """Two samples in one cell over these components, counted by ``rule``."""
    base = {"samples": 2, "buckets": [64], "models": ["reader"], "tasks": ["tally"], "codecs": ["ink"], "augmentations": ["blur"]}
    return make_config({**base, "tokens": {"family": "rule", "reference": "rule"}, **changes})


def plan(**changes: Any) -> Experiment:
    """The experiment of :func:`config`."""
    return resolve(config(**changes), Session.of(components=RECORDS))


def trials(**changes: Any) -> list[Trial]:
    """Its trials."""
    return list(plan(**changes).trials())


def ids(**changes: Any) -> set[str]:
    """Their ids."""
    return {trial.trial_id for trial in trials(**changes)}
