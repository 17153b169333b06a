"""The CPU half of a trial: sample, encode, augment, channel. Runs in worker processes; an exception becomes a :class:`Failure`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, cast

import attrs
import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

from ctxbench.config import TokenConfig
from ctxbench.engine.accounting import PageCost, TextCounts, page_cost, reference_tokens
from ctxbench.engine.prompts import compose
from ctxbench.errors import DecodeError
from ctxbench.hints import plain_text_hint
from ctxbench.images import page_sha256
from ctxbench.interfaces import Augmenter, Codec, Component, Task
from ctxbench.plan import Part
from ctxbench.records import Carrier, Channel, Sample
from ctxbench.registry import load_plugins
from ctxbench.results import Stage

T = TypeVar("T")


@attrs.frozen
class Failure:
    """What went wrong, and at which stage."""

    stage: Stage
    type: str
    message: str

    @classmethod
    def of(cls, stage: Stage, error: BaseException) -> Failure:
        """The failure that an exception stands for."""
        text = " ".join(str(error).split())
        return cls(stage, type(error).__name__, text[:2000] or type(error).__name__)


@attrs.frozen
class Job:
    """One sample in one codec, under every augmentation that is wanted of it."""

    task: Part
    bucket: int
    index: int
    sample_seed: int
    codec: Part
    augmentations: tuple[tuple[Part, int], ...]
    tokens: TokenConfig
    system: str
    channel: bool


@attrs.frozen
class Variant:
    """The pages after one augmentation, and what the classical decoder makes of them."""

    pages: tuple[Image.Image, ...] = ()
    costs: tuple[PageCost, ...] = ()
    sha256: tuple[str, ...] = ()
    channel: Channel | None = None
    augment_seconds: float = 0.0
    failure: Failure | None = None


@attrs.frozen
class Prepared:
    """What a job came to: a variant for each augmentation's label, or the failure that ended them all."""

    job: Job
    sample: Sample | None = None
    text: str = ""
    encoded: tuple[PageCost, ...] = ()
    counts: TextCounts | None = None
    encode_seconds: float = 0.0
    variants: dict[str, Variant] = attrs.field(factory=dict)
    failure: Failure | None = None


class _StageError(Exception):
    def __init__(self, stage: Stage, error: Exception) -> None:
        self.failure = Failure.of(stage, error)


def _staged(stage: Stage, function: Callable[[], T]) -> tuple[T, float]:
    """The value of ``function`` and its wall time; whatever it raises names the stage."""
    start = time.perf_counter()
    try:
        return function(), time.perf_counter() - start
    except Exception as error:
        raise _StageError(stage, error) from error


_components: dict[str, Component] = {}


def component(part: Part) -> Component:
    """The component of a part, made once a process."""
    if part.identity not in _components:
        _components[part.identity] = part.make(load_plugins())
    return _components[part.identity]


def prepare(job: Job) -> Prepared:
    """Do a job. Never raises."""
    try:
        return _prepare(job)
    except _StageError as error:
        return Prepared(job, failure=error.failure)


def _prepare(job: Job) -> Prepared:
    sample, _ = _staged("sample", lambda: cast(Task, component(job.task)).sample(job.bucket, job.sample_seed))
    codec, _ = _staged("encode", lambda: cast(Codec, component(job.codec)))
    carrier, encode_seconds = _staged("encode", lambda: _encode(codec, sample.context))
    text = compose(codec.hint(sample.language), carrier.text, sample.question)
    (encoded, counts), _ = _staged("count", lambda: _count(job, sample, codec, carrier))
    variants: dict[str, Variant] = {}
    unchanged: Variant | None = None
    for part, seed in job.augmentations:
        if unchanged is None or carrier.pages:  # a carrier without pages is the same under every augmentation
            unchanged = _variant(job, codec, carrier, sample, part, seed)
        variants[part.label] = unchanged
    return Prepared(job, sample, text, encoded, counts, encode_seconds, variants)


def _encode(codec: Codec, context: str) -> Carrier:
    carrier = codec.encode(context)
    for i, page in enumerate(carrier.pages):
        if page.mode != "RGB":
            raise TypeError(f"page {i} of codec {type(codec).__name__} has mode {page.mode}, not RGB")
    return carrier


def _count(job: Job, sample: Sample, codec: Codec, carrier: Carrier) -> tuple[tuple[PageCost, ...], TextCounts]:
    system = reference_tokens(job.tokens, job.system) if job.system else 0
    words = compose(codec.hint(sample.language), None, sample.question)
    plain = compose(plain_text_hint(sample.language), None, sample.question)
    counts = TextCounts(
        context=reference_tokens(job.tokens, sample.context),
        carrier=reference_tokens(job.tokens, carrier.text) if carrier.text else 0,
        words=reference_tokens(job.tokens, words) + system,
        plain_words=reference_tokens(job.tokens, plain) + system,
        context_bytes=len(sample.context.encode("utf-8")),
        payload_bytes=carrier.payload_bytes,
    )
    return tuple(page_cost(job.tokens, page.size) for page in carrier.pages), counts


def _variant(job: Job, codec: Codec, carrier: Carrier, sample: Sample, part: Part, seed: int) -> Variant:
    try:
        pages, seconds = _staged("augment", lambda: _augment(carrier, cast(Augmenter, component(part)), seed))
        costs, _ = _staged("count", lambda: tuple(page_cost(job.tokens, page.size) for page in pages))
        channel = None
        if job.channel and codec.can_decode:
            channel, _ = _staged("channel", lambda: decode_channel(codec, Carrier(carrier.text, pages), sample.context))
    except _StageError as error:
        return Variant(failure=error.failure)
    return Variant(pages, costs, tuple(page_sha256(page) for page in pages), channel, seconds)


def _augment(carrier: Carrier, augmenter: Augmenter, seed: int) -> tuple[Image.Image, ...]:
    return tuple(augmenter.apply(page, np.random.default_rng([seed, i])) for i, page in enumerate(carrier.pages))


def decode_channel(codec: Codec, carrier: Carrier, context: str) -> Channel:
    """What the codec's own decoder recovers of ``context`` from ``carrier``; giving up is a result, any other exception an error."""
    start = time.perf_counter()
    try:
        text = codec.decode(carrier)
    except DecodeError as error:
        return Channel(False, None, 1.0, " ".join(str(error).split())[:2000], time.perf_counter() - start)
    seconds = time.perf_counter() - start
    return Channel(text == context, text, error_rate(text, context), None, seconds)


def error_rate(text: str, context: str) -> float:
    """Levenshtein distance over the context's characters."""
    return Levenshtein.distance(context, text) / max(1, len(context))
