"""The CPU half of a trial: sample, encode, augment, channel. Runs in worker processes; an exception becomes a :class:`Failure`.

The channel stage is part of a job, or a job of its own that follows (:class:`~ctxbench.engine.channel.ChannelJob`).
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from typing import cast

import attrs
from PIL import Image

from ctxbench.config import TokenConfig
from ctxbench.engine import checks
from ctxbench.engine.accounting import PageCost, TextCounts, page_cost, reference_tokens
from ctxbench.engine.channel import ChannelJob, Verdict, judged
from ctxbench.engine.decoder import DecoderProcess
from ctxbench.engine.failures import Failure, StageError, staged
from ctxbench.executors import report_stage
from ctxbench.hints import plain_text_hint
from ctxbench.images import page_sha256
from ctxbench.interfaces import Augmenter, Codec, Component, Task
from ctxbench.pipeline import ask, augment, draw
from ctxbench.plan import Part
from ctxbench.prompts import answer_room, compose
from ctxbench.records import Carrier, Channel, Sample
from ctxbench.results import Stage
from ctxbench.session import Recipe, Session


@attrs.frozen
class Job:
    """One sample in one codec, under every augmentation that is wanted of it.

    Attributes:
        number: its place in the run.
        channel: whether its pages are decoded as part of it. ``decoder``: whether any job of the run needs a decoder process, which must
            be there before the first page is encoded.
        prompt: the template of the prompt; empty for the usual one.
        background: no model waits for it; see :meth:`ctxbench.Executor.map`.
    """

    number: int
    task: Part
    bucket: int
    sample_seed: int
    codec: Part
    augmentations: tuple[tuple[Part, int], ...]
    tokens: TokenConfig
    system: str
    channel: bool
    decoder: bool
    prompt: str = ""
    background: bool = False


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
    """The result of a job: a variant for each augmentation's label, or the failure that ended them all.

    Attributes:
        text: the user's turn of the prompt. ``carried``: the carrier's own text.
        encoded: costs of the pages as encoded. ``counts``: reference tokens of the prompt's parts.
        room: new tokens that an answer may take, in reference tokens.
        rules: whose rules counted the pages.
    """

    number: int
    sample: Sample | None = None
    text: str = ""
    carried: str | None = None
    encoded: tuple[PageCost, ...] = ()
    counts: TextCounts | None = None
    room: int | None = None
    encode_seconds: float = 0.0
    variants: dict[str, Variant] = attrs.field(factory=dict)
    failure: Failure | None = None
    rules: TokenConfig = TokenConfig()


_decoders: dict[Recipe, DecoderProcess] = {}


@attrs.frozen
class Preparer:
    """Does jobs, in this process or in a worker, which gets a copy of it.

    Attributes:
        recipe: how to make the session that components come from.
        limits: seconds for the stages that this process ends itself (``channel``).
    """

    recipe: Recipe
    limits: Mapping[str, float] = attrs.field(factory=dict)

    def __call__(self, job: Job | ChannelJob) -> Prepared | Verdict:
        """Do a job. Raises nothing but KeyboardInterrupt."""
        if multiprocessing.parent_process() is not None:
            sys.stdout = sys.stderr  # results alone go to stdout, whatever a plugin prints
        decoder = _decoder(self.recipe) if job.decoder else None
        session, limit = self.recipe.session(), self.limits.get("channel")
        with session.active():
            try:
                if isinstance(job, ChannelJob):
                    return Verdict(job.number, job.labels, judged(session, job.task, job.codec, job.sample, job.carrier, decoder, limit))
                return _prepare(job, session, decoder, limit)
            except StageError as error:
                if isinstance(job, ChannelJob):
                    return Verdict(job.number, job.labels, failure=error.failure)
                return Prepared(job.number, failure=error.failure)


def _decoder(recipe: Recipe) -> DecoderProcess:
    """The decoder process of a session; it is kept for the next run, until one over other plugins begins."""
    if recipe not in _decoders:
        while _decoders:
            _decoders.popitem()[1].close()
        _decoders[recipe] = DecoderProcess(recipe)
    _decoders[recipe].start()
    return _decoders[recipe]


def make_sample(session: Session, part: Part, bucket: int, seed: int, tokens: TokenConfig) -> tuple[Sample, int]:
    """The sample that a task makes, checked, and the reference tokens of its context.

    Raises:
        StageError: the task failed, or what it made is no sample of this bucket.
    """
    task = cast(Task, component(session, part, "sample"))
    _unchanged(part, task, "sample")
    made, _ = staged("sample", lambda: draw(task, bucket, seed))
    length, _ = staged("count", lambda: checks.count(reference_tokens(tokens, made.context), "reference tokens of the context"))
    if task.sized:
        staged("sample", lambda: checks.length(length, bucket))
    _unchanged(part, task, "sample")
    return made, length


def _prepare(job: Job, session: Session, decoder: DecoderProcess | None, limit: float | None) -> Prepared:
    sample, length = make_sample(session, job.task, job.bucket, job.sample_seed, job.tokens)
    codec = cast(Codec, component(session, job.codec, "encode"))
    asked, encode_seconds = staged("encode", lambda: ask(codec, sample, job.prompt))
    _unchanged(job.codec, codec, "encode")
    carrier = asked.carrier
    (encoded, counts, room), _ = staged("count", lambda: _count(job, sample, length, asked.hint, carrier))
    variants: dict[str, Variant] = {}
    unchanged: Variant | None = None
    for part, seed in job.augmentations:
        if unchanged is None or carrier.pages:  # a carrier without pages is the same under every augmentation
            unchanged = _variant(job, session, carrier, sample, part, seed, decoder, limit)
        variants[part.label] = unchanged
    return Prepared(job.number, sample, asked.text, carrier.text, encoded, counts, room, encode_seconds, variants, rules=job.tokens)


def component(session: Session, part: Part, stage: Stage) -> Component:
    """The component of a part; a factory that raises fails the stage, whose time limit does not include it."""
    report_stage("")
    try:
        return session.component(part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise StageError(Failure.of(stage, error)) from error


def _unchanged(part: Part, made: Component, stage: Stage) -> None:
    """A component that changes its own options would give the next trial another meaning under the same id."""
    if made.fingerprint != part.data:
        error = ValueError(f"the data of {part.kind} {part.name!r} has changed since the run was planned; run the command again")
        raise StageError(Failure.of(stage, error))
    config = made.config
    if any(config.get(key, value) != value for key, value in part.config.items()):
        changed = ", ".join(key for key, value in part.config.items() if config.get(key, value) != value)
        error = ValueError(f"{part.kind} {part.name!r} changed its own config while it worked ({changed}); components must not change")
        raise StageError(Failure.of(stage, error))


def _count(job: Job, sample: Sample, length: int, hint: str, carrier: Carrier) -> tuple[tuple[PageCost, ...], TextCounts, int]:
    known: dict[str | None, int] = {sample.context: length, None: 0, "": 0}  # a text carrier is the context, and hints may be equal

    def tokens(text: str | None) -> int:
        if text not in known:
            known[text] = reference_tokens(job.tokens, text or "")
        return known[text]

    plain = plain_text_hint(sample.language)
    counts = TextCounts(
        context=length,
        carrier=tokens(carrier.text),
        words=tokens(compose(hint, None, sample.question, job.prompt)) + tokens(job.system),
        plain_words=tokens(compose(plain, None, sample.question, job.prompt)) + tokens(job.system),
        context_bytes=len(sample.context.encode("utf-8")),
        payload_bytes=carrier.payload_bytes,
    )
    return _costs(job, carrier.pages), counts, answer_room(tokens(sample.answer))


def _costs(job: Job, pages: Sequence[Image.Image]) -> tuple[PageCost, ...]:
    costs = tuple(page_cost(job.tokens, page.size) for page in pages)
    for cost in costs:
        checks.image_tokens(cost.tokens)
    return costs


def _variant(
    job: Job,
    session: Session,
    carrier: Carrier,
    sample: Sample,
    part: Part,
    seed: int,
    decoder: DecoderProcess | None,
    limit: float | None,
) -> Variant:
    try:
        augmenter = cast(Augmenter, component(session, part, "augment"))
        pages, seconds = staged("augment", lambda: augment(carrier.pages, augmenter, seed))
        _unchanged(part, augmenter, "augment")
        costs, _ = staged("count", lambda: _costs(job, pages))
        channel = None
        if job.channel and job.codec.decodes:
            channel = judged(session, job.task, job.codec, sample, Carrier(carrier.text, pages), decoder, limit)
    except StageError as error:
        return Variant(failure=error.failure)
    return Variant(pages, costs, tuple(page_sha256(page) for page in pages), channel, seconds)
