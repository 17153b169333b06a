"""The rules that every augmenter keeps."""

from __future__ import annotations

import attrs
import numpy as np
from PIL import Image

from ctxbench.images import page_sha256
from ctxbench.interfaces import Augmenter
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.fresh_process import pack_page
from ctxbench.testing.rule import Rule, require
from ctxbench.testing.subject import Subject

SIZES = ((1, 1), (3, 500), (500, 3), (300, 200))


def page(width: int = 112, height: int = 84) -> Image.Image:
    """A page with something on it."""
    rng = np.random.default_rng(7)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


@attrs.frozen
class AugmenterGiven:
    """What the rules try an augmenter with."""

    def work(self, augmenter: Augmenter) -> None:
        """A little of what an augmenter is for."""
        augmenter.apply(page(), np.random.default_rng(0))


def equal_generators_give_equal_pages(subject: Subject, given: AugmenterGiven) -> None:
    """All randomness comes from the generator, whatever the global states are and whatever came before."""
    first = page_sha256(subject.component.apply(page(), np.random.default_rng(3)))
    again = page_sha256(subject.component.apply(page(), np.random.default_rng(3)))
    require(first == again, "two equal generators give two different pages")
    np.random.seed(99)
    subject.component.apply(page(56, 56), np.random.default_rng(4))
    again = page_sha256(subject.component.apply(page(), np.random.default_rng(3)))
    require(first == again, "two equal generators give two different pages, if another page comes between them")


def pages_are_the_same_in_another_process(subject: Subject, given: AugmenterGiven) -> None:
    """Neither hash randomisation nor the state of this process changes a pixel."""
    mine = [page_sha256(subject.component.apply(page(), np.random.default_rng(3)))]
    for theirs in subject.in_fresh_process(["apply", pack_page(page()), 3], seeds=("1",)):
        require(theirs == mine, "another process makes another page with the same generator")


def the_page_is_left_alone(subject: Subject, given: AugmenterGiven) -> None:
    """The input keeps its pixels, and the output is another image, so that nothing done to it later reaches the input."""
    original = page()
    before = page_sha256(original)
    made = subject.component.apply(original, np.random.default_rng(1))
    require(page_sha256(original) == before, "apply changes the image that it is given, which other augmentations share; work on a copy")
    require(made is not original, "apply returns the image that it was given; return a copy")
    made.paste((1, 2, 3), (0, 0, *made.size))
    require(page_sha256(original) == before, "the image that apply returns shares its pixels with the one that it was given; return a copy")


def any_size_works(subject: Subject, given: AugmenterGiven, size: tuple[int, int]) -> None:
    """RGB in, RGB out, at least one pixel."""
    made = subject.component.apply(page(*size), np.random.default_rng(1))
    require(isinstance(made, Image.Image), f"apply returned {type(made).__name__}, not a PIL image")
    require(made.mode == "RGB", f"the page has mode {made.mode}, not RGB")
    require(min(made.size) >= 1, f"the page is {made.width} x {made.height} px")


RULES: tuple[Rule, ...] = (
    *COMMON,
    Rule(equal_generators_give_equal_pages),
    Rule(pages_are_the_same_in_another_process),
    Rule(the_page_is_left_alone),
    Rule(any_size_works, lambda given: SIZES),
)
"""Every rule for augmenters."""
