"""The records that flow from a sample to a stored result. All are frozen; images are never changed in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ctxbench.errors import EncodeError

if TYPE_CHECKING:
    from PIL import Image

TokenSource = Literal["processor", "server", "formula"]


def _frozen_dict(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(value or {})


def _images(pages: Iterable[Image.Image]) -> tuple[Image.Image, ...]:
    return tuple(pages)


def require_text(text: object) -> str:
    """Return ``text`` if it is a ``str`` that UTF-8 can hold.

    Raises:
        EncodeError: it is not a ``str``, or it holds a lone surrogate; the message gives the position.
    """
    if not isinstance(text, str):
        raise EncodeError(f"a context must be str, got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise EncodeError(
            f"the context holds a lone surrogate U+{code:04X} at character {error.start}, which is not text; remove or replace it"
        ) from None
    return text


@attrs.frozen
class Sample:
    """One question about one context.

    Attributes:
        context: the long text that a carrier will hold.
        question: the instruction or question put to the model, without the context.
        answer: the reference answer in its canonical form.
        bucket: the target length of the context, in reference text tokens.
        language: ``en`` or ``zh``.
        metadata: JSON-serialisable facts about the sample (``depth``, ``variant``, ``answers``, ``answerable``, ...).
    """

    context: str
    question: str
    answer: str
    bucket: int
    language: str = "en"
    metadata: dict[str, Any] = attrs.field(factory=dict, converter=_frozen_dict)


@attrs.frozen
class Carrier:
    """What stands in for the context: text, page images, or both.

    Attributes:
        text: the part that goes into the prompt as text, or ``None``.
        pages: RGB page images in reading order, sizes in pixels.
        payload_bytes: bytes that the carrier holds after the codec's own compression and before its error correction. It tells how much
            of a compression ratio is compression of text and how much is pixels; ``None`` if the codec does not say.
    """

    text: str | None = None
    pages: tuple[Image.Image, ...] = attrs.field(default=(), converter=_images)
    payload_bytes: int | None = None


@attrs.frozen
class Channel:
    """What the codec's own classical decoder recovered from the pixels that the model gets.

    Attributes:
        ok: the recovered text equals the context exactly.
        text: the recovered text, or ``None`` if the decoder gave up.
        cer: character error rate against the context (edits / characters of the context); 1.0 if nothing was recovered.
        error: why the decoder gave up, or ``None``.
        seconds: wall time of the decoder.
        answer: what the task's own solver answers from the recovered text; ``None`` if there is none.
    """

    ok: bool
    text: str | None
    cer: float
    error: str | None = None
    seconds: float = 0.0
    answer: str | None = None


@attrs.frozen
class ChannelAnswer:
    """What a perfect reader answers from what the codec's classical decoder recovered.

    Attributes:
        text: the answer, or ``None`` if the decoder gave up.
        error: why it gave up, or ``None``.
    """

    text: str | None
    error: str | None = None


@attrs.frozen
class Prompt:
    """What a model is asked: page images first, then one text. Nothing in it tells the answer.

    Attributes:
        pages: RGB page images in reading order (after augmentation).
        text: the user's text: what the carrier is, the carrier's own text if it has one, and the question.
        system: the system message, or an empty string.
        max_new_tokens: room for the answer, in reference text tokens; ``None`` leaves it to the model. A model whose own tokens are
            shorter allows itself more of them.
        channel: for models that declare :attr:`~ctxbench.Model.needs_channel` alone, what the channel would answer.
    """

    pages: tuple[Image.Image, ...]
    text: str
    system: str = ""
    max_new_tokens: int | None = None
    channel: ChannelAnswer | None = None


@attrs.frozen
class TokenUsage:
    """Tokens of one prompt as one source counts them.

    Attributes:
        prompt: all tokens of the prompt, template and special tokens included.
        visual: tokens that stand for image content (no start and end markers); ``None`` if the source counts the whole prompt alone.
        pages: visual tokens of each page, in order; sums to ``visual``.
        completion: tokens of the answer, if one was generated.
        source: who counted: the model's own processor, the server, or a published formula.
        resized: size (width, height) in pixels of each page after the processor's resizing, if known.
        markers: tokens that mark where images begin, end and are tiled, if the source tells; otherwise the family's rule counts them.
            A source that cannot tell them from visual tokens gives both as ``visual``, and 0 here.
    """

    prompt: int
    visual: int | None = 0
    pages: tuple[int, ...] = ()
    completion: int | None = None
    source: TokenSource = "processor"
    resized: tuple[tuple[int, int], ...] = ()
    markers: int | None = None


@attrs.frozen
class Reading:
    """What a model said.

    Attributes:
        text: the answer as generated, special tokens removed.
        finish_reason: ``stop`` (the model ended it), ``length`` (cut at ``max_new_tokens``), or a backend's own word.
        usage: token usage by the model's processor or server, or ``None`` if it cannot tell.
        prefill_seconds, generate_seconds: wall times, where the backend tells them apart.
        cost_usd: what the tokens of this prompt and its answer cost, in US dollars, where the model has a price.
        spent_usd: what was paid for the reading: more than ``cost_usd`` if it took several requests, 0 if it came from a cache. ``None`` is
            ``cost_usd``. A reading that failed may have cost something too.
        error: ``(type, message)`` if this one prompt failed; the rest of the batch goes on.
        metadata: anything JSON-serialisable worth storing (generation settings, ...).
    """

    text: str
    finish_reason: str = "stop"
    usage: TokenUsage | None = None
    prefill_seconds: float | None = None
    generate_seconds: float | None = None
    cost_usd: float | None = None
    spent_usd: float | None = None
    error: tuple[str, str] | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict, converter=_frozen_dict)


@attrs.frozen
class Scores:
    """What one metric found.

    Attributes:
        values: score name to value. A metric with one score uses its own name.
        extraction: how the answer was found in what the model said (``raw``, ``fence``, ``prose``, ``none``), if the metric looks for one.
    """

    values: dict[str, float] = attrs.field(converter=_frozen_dict)
    extraction: str | None = None


@attrs.frozen
class ImageTokens:
    """A token counter's answer for one image.

    Attributes:
        tokens: visual tokens, those that stand for image content.
        width, height: size in pixels that the page's content has after the processor's resizing, padding left out.
        budget_scaled: the page loses pixels: the processor leaves it fewer than it has in width or in height (it scales the page down
            or cuts it), by more than rounding to its patch grid does. A page that is enlarged loses nothing.
        markers: tokens that come with the image beside the visual ones: where it begins and ends, and where each tile or row does.
    """

    tokens: int
    width: int
    height: int
    budget_scaled: bool = False
    markers: int = 0


__all__ = [
    "Carrier",
    "Channel",
    "ChannelAnswer",
    "ImageTokens",
    "Prompt",
    "Reading",
    "Sample",
    "Scores",
    "TokenSource",
    "TokenUsage",
    "require_text",
]
