"""The rules that every model keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import attrs

from ctxbench.errors import CtxbenchError
from ctxbench.images import page_sha256
from ctxbench.interfaces import Model
from ctxbench.records import Prompt, Reading, TokenUsage
from ctxbench.testing.augmenter_rules import page
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.rule import NotApplicable, Rule, one_line, require, shown
from ctxbench.testing.subject import Subject

ODD_TEXTS = ("", "\x00\x07", "<|im_start|>system\n<image><|image_pad|>", "👩‍👩‍👧‍👦 שלום 上下文", "word " * 400)


def _prompts() -> tuple[Prompt, ...]:
    return (
        Prompt(pages=(), text="What is the capital of France? Answer in one word."),
        Prompt(pages=(page(112, 84),), text="What is in the image?"),
        Prompt(pages=(page(56, 56), page(84, 112)), text="How many images are there?"),
        Prompt(pages=(page(112, 84),), text="The context is in the images above.\n\nRepeat the context."),
    )


@attrs.frozen
class ModelGiven:
    """What the rules try a model with."""

    prompts: tuple[Prompt, ...] = attrs.field(factory=_prompts)

    def work(self, model: Model) -> None:
        """A little of what a model is for."""
        model.read(self.prompts[:1])
        model.count(self.prompts[0])
        model.close()


def _said(readings: Sequence[Reading]) -> list[tuple[str, object]]:
    return [(reading.text, reading.error) for reading in readings]


def every_prompt_gets_a_reading(subject: Subject, given: ModelGiven) -> str:
    """As many readings as prompts, none for none, each of the right types."""
    model = subject.component
    for prompts in (given.prompts, given.prompts[:1], ()):
        readings = model.read(prompts)
        require(isinstance(readings, Sequence), f"read returned {type(readings).__name__}, not a sequence")
        require(len(readings) == len(prompts), f"{len(readings)} readings of {len(prompts)} prompts")
        for reading in readings:
            _check_reading(reading)
    failed = sum(reading.error is not None for reading in model.read(given.prompts))
    return f"{len(given.prompts) - failed} answers, {failed} errors"


def _check_reading(reading: object) -> None:
    if not isinstance(reading, Reading):
        raise AssertionError(f"read gave {type(reading).__name__}, not a Reading")
    require(isinstance(reading.text, str), f"a reading's text is {type(reading.text).__name__}, not str")
    try:
        reading.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AssertionError(f"a reading's text is not Unicode text: {error}") from error
    require(isinstance(reading.finish_reason, str) and reading.finish_reason, f"finish_reason is {reading.finish_reason!r}")
    for name in ("prefill_seconds", "generate_seconds"):
        seconds = getattr(reading, name)
        good = seconds is None or (isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds >= 0)
        require(good, f"{name} must be a time in seconds or None, got {seconds!r}")
    if reading.error is not None:
        good = isinstance(reading.error, tuple) and len(reading.error) == 2 and all(isinstance(part, str) for part in reading.error)
        require(good, f"error must be (type, message), got {shown(reading.error)}")
    try:
        json.dumps(reading.metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"a reading's metadata is not JSON: {error}") from error


def usage_adds_up(subject: Subject, given: ModelGiven) -> str:
    """Token usage, where a model tells it, is whole numbers: visual tokens are those of the pages and no more than the prompt's."""
    told = 0
    for prompt, reading in zip(given.prompts, subject.component.read(given.prompts), strict=True):
        counted = subject.component.count(prompt)
        for usage in (reading.usage, counted):
            if usage is not None:
                told += 1
                _check_usage(usage, prompt)
        if counted is not None and reading.usage is not None:
            same = (counted.prompt, counted.visual) == (reading.usage.prompt, reading.usage.visual)
            require(same, f"count says {counted.prompt} tokens, {counted.visual} of them visual, and the reading's usage says otherwise")
    if not told:
        raise NotApplicable("it tells no token usage")
    return f"{told} usages"


def _check_usage(usage: object, prompt: Prompt) -> None:
    if not isinstance(usage, TokenUsage):
        raise AssertionError(f"usage is {type(usage).__name__}, not TokenUsage")
    visual = usage.visual or 0
    numbers = {"prompt": usage.prompt, "visual": visual, "completion": 0 if usage.completion is None else usage.completion}
    numbers |= {f"pages[{i}]": tokens for i, tokens in enumerate(usage.pages)}
    for name, tokens in numbers.items():
        whole = isinstance(tokens, int) and not isinstance(tokens, bool)
        require(whole and tokens >= 0, f"usage.{name} must be a whole number of tokens, got {tokens!r}")
    require(visual <= usage.prompt, f"{visual} visual tokens in a prompt of {usage.prompt}")
    if usage.pages:
        require(len(usage.pages) == len(prompt.pages), f"usage of {len(usage.pages)} pages for a prompt of {len(prompt.pages)}")
        require(sum(usage.pages) == usage.visual, f"the pages' tokens {usage.pages} do not sum to {usage.visual}")
    require(usage.source in ("processor", "server", "formula"), f"usage.source is {usage.source!r}")


def the_same_prompt_gets_the_same_answer(subject: Subject, given: ModelGiven) -> None:
    """Greedy decoding, or sampling from a seed: asked again, a model says the same. It remembers no prompt."""
    first = _said(subject.component.read(given.prompts))
    second = _said(subject.component.read(given.prompts))
    for one, other in zip(first, second, strict=True):
        require(one == other, f"asked twice it says {shown(one[0])} and then {shown(other[0])}; decode greedily, or from a fixed seed")


def the_order_of_prompts_changes_nothing(subject: Subject, given: ModelGiven) -> None:
    """Each answer belongs to its prompt, in whatever order they stand."""
    forth = _said(subject.component.read(given.prompts))
    back = _said(subject.component.read(given.prompts[::-1]))[::-1]
    for i, (one, other) in enumerate(zip(forth, back, strict=True)):
        require(one == other, f"prompt {i} is answered {shown(one[0])}, and with the prompts in reverse {shown(other[0])}")


def prompts_are_left_alone(subject: Subject, given: ModelGiven) -> None:
    """Reading and counting change no page: other models read the same ones."""
    before = [[page_sha256(p) for p in prompt.pages] for prompt in given.prompts]
    subject.component.read(given.prompts)
    for prompt in given.prompts:
        subject.component.count(prompt)
    after = [[page_sha256(p) for p in prompt.pages] for prompt in given.prompts]
    require(after == before, "read or count changes the pages of a prompt; work on a copy")


def odd_prompts_are_answered_or_refused(subject: Subject, given: ModelGiven) -> str:
    """Empty text, control characters, chat markers, one pixel: an answer, an error of that one reading, or one of ctxbench's errors."""
    refused = 0
    prompts = [Prompt(pages=(), text=text) for text in ODD_TEXTS] + [Prompt(pages=(page(1, 1),), text="What is it?")]
    for prompt in prompts:
        try:
            (reading,) = subject.component.read([prompt])
            _check_reading(reading)
            refused += reading.error is not None
        except CtxbenchError as error:
            one_line(error)
            refused += 1
    return f"{len(prompts) - refused} answered, {refused} refused"


def it_says_what_it_is(subject: Subject, given: ModelGiven) -> str:
    """``fingerprint``, ``adapter_fingerprint`` and ``family`` are text."""
    model = subject.component
    for name in ("fingerprint", "adapter_fingerprint"):
        require(isinstance(getattr(model, name), str), f"{name} must be text, got {getattr(model, name)!r}")
    require(
        model.family is None or isinstance(model.family, str), f"family must be the name of a token counter or None, got {model.family!r}"
    )
    return f"fingerprint {shown(model.fingerprint, 24)}"


def after_close_it_reads_or_says_why_not(subject: Subject, given: ModelGiven) -> str:
    """``close`` may be called twice; afterwards the model answers as before, or says in one of ctxbench's errors that it cannot."""
    subject.component.close()  # no rule comes after this one, and a device may have no room for both
    model = subject.another()
    before = _said(model.read(given.prompts[:2]))
    model.close()
    model.close()
    try:
        after = _said(model.read(given.prompts[:2]))
    except CtxbenchError as error:
        one_line(error)
        return "refuses"
    finally:
        model.close()
    if any(error is not None for _, error in after):
        return "refuses"
    require(after == before, f"after close it says {shown(after[0][0])} instead of {shown(before[0][0])}")
    return "reads again"


RULES: tuple[Rule, ...] = (
    *COMMON,
    *map(
        Rule,
        (
            every_prompt_gets_a_reading,
            usage_adds_up,
            the_same_prompt_gets_the_same_answer,
            the_order_of_prompts_changes_nothing,
            prompts_are_left_alone,
            odd_prompts_are_answered_or_refused,
            it_says_what_it_is,
            after_close_it_reads_or_says_why_not,
        ),
    ),
)
"""Every rule for models."""
