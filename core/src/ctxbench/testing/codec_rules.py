"""The rules that every codec keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs
from PIL import Image

from ctxbench import tokens
from ctxbench.errors import CapacityError, CtxbenchError, DecodeError, EncodeError
from ctxbench.images import page_sha256
from ctxbench.interfaces import Codec
from ctxbench.records import Carrier
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.fresh_process import pack_carrier
from ctxbench.testing.hostile import HOSTILE, corrupted
from ctxbench.testing.rule import NotApplicable, Rule, one_line, require, shown
from ctxbench.testing.subject import Subject

SURROGATES = ("\ud800", "ab\udfff", "x" * 50 + "\udc80")


@attrs.frozen
class CodecGiven:
    """What the rules try a codec with: see :class:`ctxbench.testing.CodecContract`."""

    texts: Mapping[str, str] = attrs.field(factory=lambda: HOSTILE)
    readable: str = HOSTILE["plain"]
    max_error_rate: float = 0.25
    too_much: Callable[[Codec], str | None] = lambda codec: None

    def work(self, codec: Codec) -> None:
        """A little of what a codec is for."""
        carrier = codec.encode(self.readable)
        codec.hint("en")
        codec.page_sizes(self.readable)
        if codec.can_decode:
            decoded(codec, carrier)


def character_error_rate(found: str, text: str) -> float:
    """Edits over the characters of ``text``."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(text, found) / max(1, len(text))


def encoded(codec: Codec, text: str) -> Carrier | None:
    """The carrier, or ``None`` if the codec refuses the text in the way it may: an EncodeError that names a character of the text.

    Printable ASCII and newlines are never refused.
    """
    try:
        return codec.encode(text)
    except EncodeError as error:
        message = one_line(error)
        named = re.search(r"U\+([0-9A-F]{4,6})\b", message)
        if not named:
            raise AssertionError(f"an EncodeError must name the character that cannot be carried, as U+XXXX, got: {message}") from error
        character = chr(int(named[1], 16))
        require(character in text, f"the EncodeError names U+{named[1]}, which the text does not hold")
        require(character != "\n", "newlines must be carried")
        require(not " " <= character <= "~", f"printable ASCII must be carried, and {character!r} was refused")
        return None


def decoded(codec: Codec, carrier: Carrier) -> tuple[str | None, str]:
    """(text, no error) or (``None``, the message of the DecodeError)."""
    try:
        return codec.decode(carrier), ""
    except DecodeError as error:
        return None, str(error)


def _needs_decoder(codec: Codec) -> None:
    if not codec.can_decode:
        raise NotApplicable("it has no classical decoder")


def _pages(carrier: Carrier) -> list[str]:
    return [page_sha256(page) for page in carrier.pages]


def round_trip(subject: Subject, given: CodecGiven, name: str) -> str:
    """An exact codec gives every text back, character for character; what a codec cannot carry it refuses by name.

    An approximate codec reads something from what it took, or says that it cannot.
    """
    codec, text = subject.component, given.texts[name]
    carrier = encoded(codec, text)
    if carrier is None:
        return "refused by name"
    if not codec.can_decode:
        return "encoded"
    if codec.verbatim:
        require(carrier.text == text and not carrier.pages, "is declared verbatim, but the carrier is not the text itself")
    if codec.fidelity == "exact":
        found = codec.decode(carrier)
        require(found == text, f"decoded to another text: {shown(found)} instead of {shown(text)}")
        return "decoded exactly"
    if len(text) > 1000:  # optical character recognition takes seconds a page
        return "encoded"
    found, error = decoded(codec, carrier)
    require(isinstance(found, str) or error, f"decode returned {shown(found)}, which is neither text nor an error")
    return "decoded approximately" if isinstance(found, str) else "given up"


def an_approximate_codec_reads_plain_text(subject: Subject, given: CodecGiven) -> str:
    """A codec that declares losses still reads a plain clean page nearly right."""
    codec = subject.component
    _needs_decoder(codec)
    if codec.fidelity != "approximate":
        raise NotApplicable("it claims to be exact")
    rate = character_error_rate(codec.decode(codec.encode(given.readable)), given.readable)
    require(rate <= given.max_error_rate, f"character error rate {rate:.2f} on a clean page; at most {given.max_error_rate} is allowed")
    return f"character error rate {rate:.3f}"


def lone_surrogates_are_refused(subject: Subject, given: CodecGiven, text: str) -> None:
    """A str that is not Unicode text is an EncodeError, never a carrier of something else."""
    try:
        subject.component.encode(text)
    except EncodeError:
        return
    raise AssertionError("a text with a lone surrogate was encoded; ctxbench.require_text refuses it")


def what_is_no_text_is_refused(subject: Subject, given: CodecGiven) -> None:
    """Bytes are not decoded on a guess."""
    try:
        subject.component.encode(b"bytes")
    except (EncodeError, TypeError):
        return
    raise AssertionError("bytes were encoded; ctxbench.require_text refuses them")


def pages_are_rgb_images(subject: Subject, given: CodecGiven) -> str:
    """Models get RGB; every page has at least one pixel."""
    pages = subject.component.encode(given.readable).pages
    for i, page in enumerate(pages):
        require(isinstance(page, Image.Image), f"page {i} is {type(page).__name__}, not a PIL image")
        require(page.mode == "RGB", f"page {i} has mode {page.mode}, not RGB")
        require(min(page.size) >= 1, f"page {i} is {page.width} x {page.height} px")
    return ", ".join(f"{page.width} x {page.height} px" for page in pages) or "no pages"


def a_carrier_holds_something(subject: Subject, given: CodecGiven) -> None:
    """A carrier has text or pages, for the empty text too."""
    for text in ("", given.readable):
        carrier = subject.component.encode(text)
        require(isinstance(carrier, Carrier), f"encode returned {type(carrier).__name__}, not a Carrier")
        require(carrier.text is None or isinstance(carrier.text, str), f"the carrier's text is {type(carrier.text).__name__}")
        require(carrier.text is not None or carrier.pages, f"the carrier of {shown(text)} has neither text nor pages")


def encoding_is_deterministic(subject: Subject, given: CodecGiven) -> None:
    """The same text gives the same carrier twice in one process, also after another text."""
    codec = subject.component
    first = codec.encode(given.readable)
    codec.encode("something else")
    second = codec.encode(given.readable)
    require(first.text == second.text, "the same text gives two different carrier texts")
    require(_pages(first) == _pages(second), "the same text gives two different sets of pages")


def encoding_is_the_same_in_another_process(subject: Subject, given: CodecGiven) -> None:
    """Neither hash randomisation nor global state of this process changes a pixel. A codec that no plugin offers must be a class of a
    module, so that another process can make it too."""
    carrier = subject.component.encode(given.readable)
    mine = [[carrier.text, _pages(carrier)]]
    for theirs in subject.in_fresh_process(["encode", given.readable]):
        require(theirs == mine, "another process encodes the same text otherwise")


def equal_configs_make_equal_pages(subject: Subject, given: CodecGiven) -> None:
    """The codec that ``config`` makes encodes as this one does."""
    require(_pages(subject.component.encode("abc")) == _pages(subject.again().encode("abc")), "made from its config it draws other pages")


def decoding_needs_nothing_but_the_pages(subject: Subject, given: CodecGiven) -> None:
    """Pages are decoded in a process that never encoded them: what the decoder knows, it has from the pixels.

    A codec that remembers texts would decode any page, however damaged, and its figures would mean nothing.
    """
    codec = subject.component
    _needs_decoder(codec)
    exact = codec.fidelity == "exact"
    texts = [given.readable, *([given.texts["json"]] if exact else [])]
    carriers = [codec.encode(text) for text in texts]
    for text, carrier in zip(texts, carriers, strict=True):
        blank = Carrier(None, [Image.new("RGB", page.size, "white") for page in carrier.pages])
        found, _ = decoded(codec, blank)
        require(found != text, "blank pages decode to the text that was encoded last: it is remembered, not read")
    (answers,) = subject.in_fresh_process(*(["decode", *pack_carrier(carrier)] for carrier in carriers), seeds=("1",))
    for text, (found, error) in zip(texts, answers, strict=True):
        require(found is not None, f"a process that never saw encode cannot decode the pages: {error}")
        if exact:
            require(found == text, f"a process that never saw encode decodes to another text: {shown(found)}")
        rate = character_error_rate(found, text)
        require(rate <= given.max_error_rate, f"a process that never saw encode decodes with a character error rate of {rate:.2f}")


def decoding_does_not_change_the_pages(subject: Subject, given: CodecGiven) -> None:
    """A decoder reads; models get the same pixels afterwards."""
    _needs_decoder(subject.component)
    carrier = subject.component.encode(given.readable)
    before = _pages(carrier)
    decoded(subject.component, carrier)
    require(_pages(carrier) == before, "decode changes the pages that it is given; work on a copy")


def declared_sizes_are_the_real_ones(subject: Subject, given: CodecGiven) -> str:
    """``page_sizes`` tells what ``encode`` makes, and so the visual tokens that ``cost`` prints are the real ones."""
    found = []
    for text in ("", given.readable, given.texts["20-kB"]):
        declared = [tuple(size) for size in subject.component.page_sizes(text)]
        real = [page.size for page in subject.component.encode(text).pages]
        require(declared == real, f"page_sizes says {shown(declared)} and encode makes {shown(real)} for a text of {len(text)} characters")
        found.append(_visual_tokens(real))
    return f"{found[-1]} for 20 kB"


def _visual_tokens(sizes: list[tuple[int, int]]) -> str:
    try:
        return f"{sum(tokens.visual_tokens(*size) for size in sizes):,} visual tokens"
    except (ValueError, CtxbenchError) as error:
        return f"no visual tokens ({error})"


def too_much_is_a_capacity_error(subject: Subject, given: CodecGiven) -> None:
    """A text beyond what the codec can carry is a CapacityError in one line that gives a number; many codecs have no such limit."""
    text = given.too_much(subject.component)
    if text is None:
        raise NotApplicable("no limit is known; a test can give a text beyond it (CodecContract.too_much)")
    try:
        subject.component.encode(text)
    except CapacityError as error:
        require(any(digit in one_line(error) for digit in "0123456789"), f"a CapacityError must give the limit as a number, got: {error}")
        return
    raise AssertionError(f"a text of {len(text):,} characters, which should be too much, was encoded")


def corrupt_pages_never_give_a_wrong_text(subject: Subject, given: CodecGiven) -> str:
    """Damage gives DecodeError in one line, or the exact text; an approximate codec may read something else, but not crash."""
    codec = subject.component
    _needs_decoder(codec)
    tried = 0
    for text in (given.readable, given.texts["20-kB"]) if codec.fidelity == "exact" else (given.readable,):
        for what, carrier in corrupted(codec, text):
            tried += 1
            try:
                found = codec.decode(carrier)
            except DecodeError as error:
                require(str(error).strip(), f"{what}: a DecodeError without a message")
                require("\n" not in str(error), f"{what}: a DecodeError of several lines")
            else:
                require(isinstance(found, str), f"{what}: decode returned {type(found).__name__}")
                require(codec.fidelity != "exact" or found == text, f"{what}: decoded to another text")
    return f"{tried} damaged carriers"


def the_hint_is_one_sentence(subject: Subject, given: CodecGiven, language: str) -> None:
    """Readers are told what the carrier is, in both languages, on one line."""
    hint = subject.component.hint(language)
    require(isinstance(hint, str) and hint.strip() == hint != "", f"the hint must be text without spaces around it, got {shown(hint)}")
    require("\n" not in hint, f"the hint has several lines: {shown(hint)}")


RULES: tuple[Rule, ...] = (
    *COMMON,
    Rule(equal_configs_make_equal_pages),
    Rule(round_trip, lambda given: sorted(given.texts)),
    Rule(an_approximate_codec_reads_plain_text),
    Rule(lone_surrogates_are_refused, lambda given: SURROGATES),
    Rule(what_is_no_text_is_refused),
    Rule(pages_are_rgb_images),
    Rule(a_carrier_holds_something),
    Rule(encoding_is_deterministic),
    Rule(encoding_is_the_same_in_another_process),
    Rule(decoding_needs_nothing_but_the_pages),
    Rule(decoding_does_not_change_the_pages),
    Rule(declared_sizes_are_the_real_ones),
    Rule(too_much_is_a_capacity_error),
    Rule(corrupt_pages_never_give_a_wrong_text),
    Rule(the_hint_is_one_sentence, lambda given: ("en", "zh")),
)
"""Every rule for codecs."""
