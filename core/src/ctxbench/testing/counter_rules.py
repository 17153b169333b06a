"""The rules that every token counter keeps."""

from __future__ import annotations

import attrs

from ctxbench.errors import CtxbenchError
from ctxbench.interfaces import TokenCounter
from ctxbench.records import ImageTokens
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.hostile import HOSTILE
from ctxbench.testing.rule import NotApplicable, Rule, one_line, require, shown
from ctxbench.testing.subject import Subject

SIDES = (1, 28, 56, 112, 224, 448, 896, 1792, 3584)
SIZES = (*((side, side) for side in SIDES), (1, 3), (640, 480), (480, 640), (1000, 28), (28, 1000), (1, 3000), (2481, 3508))


@attrs.frozen
class CounterGiven:
    """What the rules try a token counter with: (width, height) in pixels, and texts."""

    sizes: tuple[tuple[int, int], ...] = SIZES
    texts: tuple[str, ...] = tuple(HOSTILE.values())

    def work(self, counter: TokenCounter) -> None:
        """A little of what a counter is for."""
        counter.image(56, 28)
        counter.text(self.texts[0])


def _image(counter: TokenCounter, width: int, height: int) -> ImageTokens | None:
    """The count, or ``None`` for a size that the family's processor refuses."""
    try:
        return counter.image(width, height)
    except (ValueError, CtxbenchError) as error:
        one_line(error)
        return None


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def images_cost_whole_positive_tokens(subject: Subject, given: CounterGiven) -> str:
    """Every size from 1 x 1 px costs a whole number of tokens, at least one. Only a page of odd shape may be refused, in one line."""
    refused = 0
    for width, height in given.sizes:
        found, size = _image(subject.component, width, height), f"{width} x {height} px"
        if found is None:
            refused += 1
            require(max(width, height) > 20 * min(width, height), f"{size} is refused, which is an ordinary shape")
            continue
        require(isinstance(found, ImageTokens), f"image returned {type(found).__name__}, not ImageTokens")
        require(_whole(found.tokens, 1), f"{size} costs {found.tokens!r} tokens; it must be a whole number of at least one")
        for side in (found.width, found.height):
            require(_whole(side, 1), f"{size} is resized to {found.width!r} x {found.height!r} px")
        require(_whole(found.markers, 0), f"{size} comes with {found.markers!r} markers")
        require(isinstance(found.budget_scaled, bool), f"budget_scaled must be true or false, got {found.budget_scaled!r}")
    return f"{len(given.sizes) - refused} sizes, {refused} refused"


def larger_pages_never_cost_much_less(subject: Subject, given: CounterGiven) -> str:
    """A square of twice the side costs at least nine tenths: rounding and a pixel budget may take a little, a wrong rule takes more."""
    least, before = 0, 0
    for side in SIDES:
        found = _image(subject.component, side, side)
        if found is None:
            continue
        require(found.tokens >= 0.9 * least, f"{side} x {side} px cost {found.tokens} tokens, and {before} x {before} px cost {least}")
        least, before = max(least, found.tokens), side
    return f"at most {least:,} tokens"


def counting_is_deterministic(subject: Subject, given: CounterGiven) -> None:
    """The same image and text cost the same, whatever was counted before."""
    counter = subject.component
    first = [_image(counter, *size) for size in given.sizes]
    require([_image(counter, *size) for size in given.sizes] == first, "the same image costs something else the second time")


def counts_are_the_same_in_another_process(subject: Subject, given: CounterGiven) -> None:
    """Neither hash randomisation nor the state of this process changes a count."""
    counter, text = subject.component, HOSTILE["json"]
    sizes = [size for size in ((224, 224), (640, 480), (1000, 448)) if _image(counter, *size) is not None]
    mine = [list(attrs.astuple(counter.image(*size))) for size in sizes] + [counter.text(text)]
    for theirs in subject.in_fresh_process(*(["image", *size] for size in sizes), ["text", text], seeds=("1",)):
        require(theirs == mine, f"another process counts otherwise: {shown(theirs)} instead of {shown(mine)}")


def texts_are_counted(subject: Subject, given: CounterGiven) -> str:
    """A text costs a whole number of tokens, an empty one none and a longer one no fewer; or the family's tokenizer is not at hand."""
    counter = subject.component
    if counter.text("word") is None:
        require(all(counter.text(text) is None for text in given.texts), "text counts some texts and returns None for others")
        raise NotApplicable("its text tokenizer is not at hand")
    require(counter.text("") == 0, f"the empty text costs {counter.text('')!r} tokens")
    for text in given.texts:
        count = counter.text(text)
        require(_whole(count, 1 if text else 0), f"{shown(text)} costs {count!r} tokens")
        require(count <= 4 * len(text.encode()), f"{shown(text)} costs {count} tokens, more than four for each of its bytes")
    counts = [counter.text("word " * n) for n in (1, 10, 100, 1000)]
    require(counts == sorted(counts) and counts[0] < counts[-1], f"1, 10, 100 and 1000 words cost {counts} tokens")
    return f"1,000 words cost {counts[-1]:,} tokens"


def markers_are_counted(subject: Subject, given: CounterGiven) -> str:
    """``overhead`` is a whole number of tokens, none without pages, and no fewer for more pages."""
    page = subject.component.image(224, 224)
    counts = [subject.component.overhead([page] * pages) for pages in range(4)]
    require(all(_whole(count, 0) for count in counts), f"0, 1, 2 and 3 pages cost {counts} marker tokens")
    require(counts[0] == 0, f"no pages cost {counts[0]} marker tokens")
    require(counts == sorted(counts), f"0, 1, 2 and 3 pages cost {counts} marker tokens")
    return f"{counts[1]} for one page"


def the_source_is_cited(subject: Subject, given: CounterGiven) -> str:
    """``source`` says on one line where the rule comes from."""
    source = subject.component.source
    require(isinstance(source, str) and source.strip(), "source is empty; say where the rule comes from")
    require("\n" not in source, "source has several lines")
    return shown(source, 100)


RULES: tuple[Rule, ...] = (
    *COMMON,
    *map(
        Rule,
        (
            images_cost_whole_positive_tokens,
            larger_pages_never_cost_much_less,
            counting_is_deterministic,
            counts_are_the_same_in_another_process,
            texts_are_counted,
            markers_are_counted,
            the_source_is_cited,
        ),
    ),
)
"""Every rule for token counters."""
