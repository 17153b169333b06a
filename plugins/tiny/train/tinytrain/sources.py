"""Where examples come from. A source makes an example of a given length from a generator, and knows the lengths to climb."""

from __future__ import annotations

import abc
import random
from collections.abc import Sequence
from typing import Any, Literal, cast

import attrs
from PIL import Image

import ctxbench
from ctxbench.pipeline import ask, draw
from ctxbench.session import current
from ctxbench_tiny.words import answer_codes
from tinytrain import pages, texts, words
from tinytrain.batches import Example

Kind = Literal["text", "page", "dense", "render", "code", "qr"]
SLOTS = {"text": 0, "page": 4, "dense": 8, "render": 4, "code": pages.BYTES_A_SQUARE, "qr": 0}
COPY = ("Copy it.", "Repeat the text.", "Write it out exactly.")


class Source(abc.ABC):
    """A stream of examples of growing length.

    Attributes:
        slots: bytes that each tile of its pages shows, 0 if unknown.
        bits: bits that are known of each tile of its pages.
        pages: whether it has pages.
        lengths: levels of the curriculum, in characters or in reference tokens.
    """

    slots: int = 0
    bits: int = 0
    pages: bool = True
    lengths: Sequence[int]

    @abc.abstractmethod
    def make(self, r: random.Random, length: int) -> Example:
        """An example of about this length."""


def _carry(kind: Kind, text: str, width: int) -> tuple[str, tuple[pages.Page, ...]]:
    """The text that goes before the question, and the pages."""
    if kind == "text":
        return f"{text}\n\n", ()
    if kind == "code":
        return "", (pages.code_page(text),)
    if kind == "qr":
        return "", (pages.qr_page(text),)
    if kind == "render":
        return "", (pages.render_page(text, width),)
    return "", (pages.text_page(text, width, 2 if kind == "dense" else 1),)


@attrs.frozen
class Drawn(Source):
    """Texts drawn for training alone, with lengths in characters."""

    kind: Kind
    lengths: Sequence[int]
    widths: Sequence[int] = (8,)

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Bytes on each tile."""
        return SLOTS[self.kind]

    @property
    def pages(self) -> bool:  # type: ignore[override]
        """Whether the text is on pages."""
        return self.kind != "text"

    def ask(self, r: random.Random, context: str, question: str, answer: str) -> Example:
        """A question about a context."""
        before, page = _carry(self.kind, context, r.choice(self.widths))
        return Example(before + question, answer, page)


@attrs.frozen
class Copy(Drawn):
    """Read a whole text back."""

    def make(self, r: random.Random, length: int) -> Example:
        """A text of up to ``length`` characters, at least five sixths of it."""
        text = texts.any_text(r, max(4, length - r.randrange(max(1, length // 6))))
        return self.ask(r, text, r.choice(COPY), text)


@attrs.frozen
class Lookup(Drawn):
    """Find one fact in prose: the value that a sentence gives for a key."""

    def make(self, r: random.Random, length: int) -> Example:
        """Prose of about ``length`` characters with one to four facts in it."""
        facts = texts.facts(r, r.choice([1, 1, 2, 3, 4]))
        text = texts.hide(r, [sentence for _, _, sentence in facts], length)
        key, value, _ = r.choice(facts)
        return self.ask(r, text, texts.ask(r, key), value)


@attrs.define
class TaskSource(Source):
    """A task's real samples in a codec's real carriers, worded as the engine words them. Lengths are reference tokens.

    Attributes:
        keep: of pages that the base reads: an adapter is to see them as the base does.
        augment: name and options of an augmenter, through which pages of words go.
    """

    task: str
    codec: str
    lengths: Sequence[int]
    task_options: dict[str, Any] = attrs.field(factory=dict)
    codec_options: dict[str, Any] = attrs.field(factory=dict)
    keep: bool = False
    augment: dict[str, Any] = attrs.field(factory=dict)
    _task: ctxbench.Task = attrs.field(init=False)
    _codec: ctxbench.Codec = attrs.field(init=False)
    _augmenter: ctxbench.Augmenter | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        session = current()
        self._task = cast(ctxbench.Task, session.made("task", self.task, self.task_options))
        self._codec = cast(ctxbench.Codec, session.made("codec", self.codec, self.codec_options))
        if self.augment:
            options = dict(self.augment)
            self._augmenter = cast(ctxbench.Augmenter, session.made("augmenter", options.pop("name"), options))

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Bytes on each tile, where they are known."""
        return SLOTS["code"] if self.codec_options == pages.CODE else 0

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Bits that are known of each tile, where it shows codes of words."""
        if self.codec_options.get("symbol") != "dictionary":
            return 0
        return (pages.words_a_square(self.codec_options) + 1) * pages.WORD_BITS

    @property
    def pages(self) -> bool:  # type: ignore[override]
        """Whether the codec makes pages."""
        return self.codec != "text"

    def make(self, r: random.Random, length: int) -> Example:
        """The task's sample of ``length`` reference tokens for a training seed, which no evaluation draws from."""
        return self.example(self.draw(r, length))

    def draw(self, r: random.Random, length: int) -> ctxbench.Sample:
        """The sample itself."""
        return draw(self._task, length, ctxbench.derive_seed("training", self.task, length, r.getrandbits(48)))

    def example(self, sample: ctxbench.Sample) -> Example:
        """A sample as an example."""
        asked = ask(self._codec, sample)
        carrier, text = asked.carrier, asked.text
        if self.bits:
            codes, places = answer_codes(sample.context, sample.answer)
            shown = tuple(self._page_of_words(page, sample.context) for page in carrier.pages)
            return Example(text, sample.answer, shown, codes, places=places if len(shown) == 1 else ())
        made = tuple(pages.of_image(page) for page in carrier.pages)
        if self.keep:
            made = tuple(attrs.evolve(page, printed=page.tiles) for page in made)
        if self.slots and len(made) == 1:
            made = (pages.with_bytes(made[0], sample.context),)
        return Example(text, sample.answer, made)

    def _page_of_words(self, image: Image.Image, context: str) -> pages.Page:
        if self._augmenter is None:
            return pages.with_bits(pages.of_image(image), self.codec_options)
        return pages.damaged(image, self._augmenter, ctxbench.derive_seed("training", context), self.codec_options)


@attrs.define
class RandomWords(TaskSource):
    """Random entries of the dictionary, to be copied: nothing in them can be guessed. Lengths are codes.

    Attributes:
        inside: share of the examples that begin anywhere, with one or two codes given: the place to go on from must be found by what stands
            there. Without them the model learns to count places, which ends with the first row of squares.
    """

    inside: float = 0.0

    def make(self, r: random.Random, length: int) -> Example:
        """A text of about ``length`` codes."""
        entries = [entry for entry in words.entries() if entry.isascii() and entry.decode().isprintable()]
        text = b"".join(r.sample(entries, k=r.randrange(1 + length * 3 // 4, length + 1))).decode()
        made = attrs.evolve(self.example(attrs.evolve(self._task.sample(64, 0), context=text, answer=text)), text=r.choice(COPY))
        if r.random() >= self.inside or made.codes is None or len(made.codes) < 4:
            return made
        start = r.randrange(len(made.codes) - 3)
        return attrs.evolve(made, codes=made.codes[start:], places=made.places[start:], given=r.choice([1, 1, 2]))


SOURCES = {"words": RandomWords, "copy": Copy, "lookup": Lookup, "task": TaskSource}


def make_source(options: dict[str, Any]) -> Source:
    """The source that a config entry describes: its ``source`` and the fields of that class."""
    rest = dict(options)
    return SOURCES[rest.pop("source")](**rest)  # type: ignore[no-any-return]
