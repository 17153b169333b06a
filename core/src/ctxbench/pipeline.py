"""The first steps of a trial, the same in evaluation, in ``ctxbench data build`` and in every training: sample, encode, prompt, augment.

What a plugin returns is checked at each step. Every function raises TypeError or ValueError, with a message that says what was wrong, if a
plugin returned something else than its interface says, and lets through whatever the plugin itself raises.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from PIL import Image

from ctxbench.engine import checks
from ctxbench.interfaces import Augmenter, Codec, Task
from ctxbench.prompts import compose
from ctxbench.records import Carrier, Sample


@attrs.frozen(eq=False)
class Asked:
    """A sample in a codec's carrier, as a model is asked about it.

    Attributes:
        carrier: as the codec made it, its pages undamaged.
        hint: the codec's sentence about it, in the sample's language.
        text: the user's turn of the prompt, which follows the pages.
    """

    carrier: Carrier
    hint: str
    text: str


def draw(task: Task, bucket: int, seed: int) -> Sample:
    """The sample that (bucket, seed) names."""
    return checks.sample(task.sample(bucket, seed), bucket)


def ask(codec: Codec, sample: Sample, template: str = "") -> Asked:
    """Put a sample's context into a carrier, and its question behind it.

    Args:
        template: of the user's turn; empty for the usual one (:func:`ctxbench.prompts.compose`).
    """
    carrier = checks.carrier(codec.encode(sample.context))
    if codec.verbatim:
        checks.verbatim(carrier, sample.context)
    hint = checks.text(codec.hint(sample.language), "the codec's hint")
    return Asked(carrier, hint, compose(hint, carrier.text, sample.question, template))


def augment(pages: Sequence[Image.Image], augmenter: Augmenter, seed: int) -> tuple[Image.Image, ...]:
    """Pages after an augmentation; each gets a generator of its own, seeded by (``seed``, page number).

    The augmenter gets copies, so that one that draws on what it is given spoils nobody else's pages.
    """
    return tuple(
        checks.page(augmenter.apply(page.copy(), np.random.default_rng([seed, i])), f"page {i} after augmentation")
        for i, page in enumerate(pages)
    )


__all__ = ["Asked", "ask", "augment", "draw"]
