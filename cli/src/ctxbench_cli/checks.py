"""Quick checks of one component: does it load, does its config round-trip, does it do its job on a small input?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import attrs
import numpy as np
from PIL import Image

from ctxbench import Augmenter, Codec, Metric, Sample, Scores, Task, TokenCounter
from ctxbench.plugin.manager import describe
from ctxbench.registry import Registry

SAMPLE_TEXT = 'Grüße, 世界!\n{"id": 17, "tags": ["a", "b"], "ok": true}\n' * 6


@attrs.frozen
class Check:
    """One check: whether it passed, and what it found."""

    ok: bool
    text: str


def _try(label: str, function: Callable[[], str]) -> Check:
    try:
        return Check(True, f"{label}: {function()}")
    except Exception as error:
        return Check(False, f"{label}: {describe(error)}")


def check_component(registry: Registry, kind: str, name: str) -> Iterator[Check]:
    """All checks of a component with default options. Models are made but not asked to read."""
    try:
        component = registry.make(kind, name)
    except Exception as error:
        yield Check(False, f"makes with default options: {describe(error)}")
        return
    yield Check(True, "makes with default options")

    def round_trip() -> str:
        again = registry.make(kind, name, **component.config)
        if again.config != component.config:
            raise ValueError(f"config changed from {component.config} to {again.config}")
        return f"{len(component.config)} options"

    yield _try("config round-trips", round_trip)
    tries: dict[str, Callable[[], str]] = {
        "codec": lambda: codec_round_trip(cast(Codec, component)),
        "augmenter": lambda: _augment(cast(Augmenter, component)),
        "task": lambda: _sample(cast(Task, component)),
        "metric": lambda: _score(cast(Metric, component)),
        "token_counter": lambda: _count(cast(TokenCounter, component)),
    }
    if kind in tries:
        yield _try("works", tries[kind])


def codec_round_trip(codec: Codec, text: str = SAMPLE_TEXT) -> str:
    """Encode and decode ``text``; what came of it in a few words.

    Raises:
        ValueError: an exact codec gave back another text.
    """
    carrier = codec.encode(text)
    sizes = ", ".join(f"{page.width} x {page.height} px" for page in carrier.pages) or "text"
    if not codec.can_decode:
        return f"{len(text)} characters as {sizes}; no classical decoder"
    decoded = codec.decode(carrier)
    if decoded == text:
        return f"{len(text)} characters as {sizes}, decoded exactly"
    if codec.fidelity == "exact":
        raise ValueError("the decoded text differs, though the codec claims to be exact")
    return f"{len(text)} characters as {sizes}, decoded approximately"


def _augment(augmenter: Augmenter) -> str:
    image = Image.new("RGB", (56, 28), "white")
    first = augmenter.apply(image, np.random.default_rng(1))
    if first.tobytes() != augmenter.apply(image, np.random.default_rng(1)).tobytes():
        raise ValueError("two equal seeds gave two different images")
    return f"56 x 28 px became {first.width} x {first.height} px, reproducibly"


def _sample(task: Task) -> str:
    sample = task.sample(256, 1)
    if sample != task.sample(256, 1):
        raise ValueError("one seed gave two different samples")
    if task.solve(sample.context, sample.question) != sample.answer:
        raise ValueError("solve() does not find the sample's own answer")
    return f"a sample of 256 tokens in {len(sample.context)} characters"


def _score(metric: Metric) -> str:
    sample = Sample('{"a": 1}', "?", '{"a": 1}', 64, metadata={"answers": ['{"a": 1}']})
    found = metric.score(sample.answer, sample)
    values = found.values if isinstance(found, Scores) else found
    return ", ".join(f"{key}={value:g}" for key, value in values.items())


def _count(counter: TokenCounter) -> str:
    found = counter.image(560, 560)
    return f"560 x 560 px is {found.tokens} visual tokens; {counter.source}"
