"""The channel stage: what the codec's own decoder recovers from the pages that a model gets. Runs in worker processes."""

from __future__ import annotations

from typing import cast

import attrs
from rapidfuzz.distance import Levenshtein

from ctxbench.engine import checks
from ctxbench.engine.decoder import Decoded, DecoderProcess
from ctxbench.engine.failures import Failure, StageError, staged
from ctxbench.interfaces import Task
from ctxbench.plan import Part
from ctxbench.records import Carrier, Channel, Sample
from ctxbench.session import Session


@attrs.frozen
class ChannelJob:
    """Pages to be decoded: those of one prepared job under one augmentation, or a carrier without pages under all.

    Attributes:
        number: of the job that made them. ``labels``: of the augmentations.
        background: a model could use the time better; see :meth:`ctxbench.Executor.map`.
    """

    number: int
    labels: tuple[str, ...]
    task: Part
    codec: Part
    sample: Sample
    carrier: Carrier
    background: bool = True
    decoder: bool = True


@attrs.frozen
class Verdict:
    """The result of a channel job."""

    number: int
    labels: tuple[str, ...]
    channel: Channel | None = None
    failure: Failure | None = None


def judged(
    session: Session, task: Part, codec: Part, sample: Sample, carrier: Carrier, decoder: DecoderProcess | None, limit: float | None
) -> Channel:
    """What came through the channel, and what the task's own solver answers from it.

    Raises:
        StageError: the decoder or the solver failed, died, or took too long.
    """
    decoded = _decoded(codec, carrier, decoder, limit)
    if decoded.failure is not None:
        raise StageError(decoded.failure)
    if decoded.text is None:
        return Channel(False, None, 1.0, decoded.gave_up, decoded.seconds)
    text = decoded.text
    solver = cast(Task, session.component(task))
    answer, _ = staged("channel", lambda: checks.expect(solver.solve(text, sample.question), str, "what solve() returns"))
    return Channel(text == sample.context, text, error_rate(text, sample.context), None, decoded.seconds, answer)


def _decoded(codec: Part, carrier: Carrier, decoder: DecoderProcess | None, limit: float | None) -> Decoded:
    if codec.verbatim:
        return Decoded(carrier.text)
    assert decoder is not None
    found, _ = staged("channel", lambda: decoder.decode(codec, carrier, limit))
    return found


def error_rate(text: str, context: str) -> float:
    """Levenshtein distance over the context's characters."""
    return 0.0 if text == context else Levenshtein.distance(context, text) / max(1, len(context))
