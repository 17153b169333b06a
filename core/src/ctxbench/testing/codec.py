"""The contract of codecs. Subclass :class:`CodecContract` in your tests and override the fixture ``codec``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxbench.interfaces import Codec, Component
from ctxbench.records import Carrier
from ctxbench.testing import codec_rules as rules
from ctxbench.testing.contract import Contract
from ctxbench.testing.hostile import HOSTILE, corrupted


class CodecContract(Contract):
    """Rules for a codec; override :meth:`codec`, and the attributes below where yours is special."""

    kind = "codec"

    texts = HOSTILE
    """Texts that go through; add your own, do not take any away."""

    max_error_rate = 0.25
    """Character error rate that an *approximate* codec may reach on a clean page of :attr:`readable`."""

    readable = HOSTILE["plain"]
    """A text that an approximate codec must be able to read."""

    @pytest.fixture
    def codec(self) -> Codec:
        """The codec under test."""
        raise NotImplementedError("override the fixture 'codec'")

    @pytest.fixture
    def component(self, codec: Codec) -> Component:
        """The codec, for the rules of all components."""
        return codec

    @pytest.fixture(autouse=True)
    def _every_hostile_text_is_there(self) -> None:
        missing = set(HOSTILE) - set(self.texts)
        if missing:
            raise TypeError(f"{type(self).__name__}.texts leaves out {sorted(missing)}; the contract's texts may only be added to")

    def given(self) -> rules.CodecGiven:
        """What the rules try the codec with."""
        return rules.CodecGiven(self.texts, self.readable, self.max_error_rate, self.too_much)

    def too_much(self, codec: Codec) -> str | None:
        """A text that is too large for this codec, or ``None`` if there is no limit; override it where there is one."""
        return None

    @staticmethod
    def encoded(codec: Codec, text: str) -> Carrier | None:
        """The carrier, or ``None`` if the codec refuses the text in the way it may."""
        return rules.encoded(codec, text)

    @staticmethod
    def decoded(codec: Codec, carrier: Carrier) -> tuple[str | None, str]:
        """(text, no error) or (``None``, the message of the DecodeError)."""
        return rules.decoded(codec, carrier)

    @staticmethod
    def corrupted(codec: Codec, text: str) -> Iterator[tuple[str, Carrier]]:
        """Damaged carriers of ``text``, each with what was done to it."""
        return corrupted(codec, text)

    @pytest.mark.parametrize("name", sorted(HOSTILE))
    def test_round_trip(self, codec: Codec, name: str) -> None:
        """An exact codec gives every text back; what a codec cannot carry it refuses by name."""
        self.hold(rules.round_trip, codec, name)

    def test_texts_of_your_own(self, codec: Codec) -> None:
        """Texts that a subclass adds go through as ours do."""
        for name in sorted(set(self.texts) - set(HOSTILE)):
            self.hold(rules.round_trip, codec, name)

    def test_an_approximate_codec_reads_plain_text(self, codec: Codec) -> None:
        """A codec that declares losses still reads a plain clean page nearly right."""
        self.hold(rules.an_approximate_codec_reads_plain_text, codec)

    @pytest.mark.parametrize("text", rules.SURROGATES)
    def test_lone_surrogates_are_refused(self, codec: Codec, text: str) -> None:
        """A str that is not Unicode text is an EncodeError, never a carrier of something else."""
        self.hold(rules.lone_surrogates_are_refused, codec, text)

    def test_what_is_no_text_is_refused(self, codec: Codec) -> None:
        """Bytes are not decoded on a guess."""
        self.hold(rules.what_is_no_text_is_refused, codec)

    def test_pages_are_rgb_images(self, codec: Codec) -> None:
        """Models get RGB; every page has at least one pixel."""
        self.hold(rules.pages_are_rgb_images, codec)

    def test_a_carrier_holds_something(self, codec: Codec) -> None:
        """A carrier has text or pages, for the empty text too."""
        self.hold(rules.a_carrier_holds_something, codec)

    def test_encoding_is_deterministic(self, codec: Codec) -> None:
        """The same text gives the same carrier twice in one process."""
        self.hold(rules.encoding_is_deterministic, codec)

    def test_encoding_is_the_same_in_another_process(self, codec: Codec) -> None:
        """Neither hash randomisation nor global state of this process changes a pixel."""
        self.hold(rules.encoding_is_the_same_in_another_process, codec)

    def test_equal_configs_make_equal_pages(self, codec: Codec) -> None:
        """The codec that ``config`` makes encodes as this one does."""
        self.hold(rules.equal_configs_make_equal_pages, codec)

    def test_decoding_needs_nothing_but_the_pages(self, codec: Codec) -> None:
        """Pages are decoded in a process that never encoded them."""
        self.hold(rules.decoding_needs_nothing_but_the_pages, codec)

    def test_decoding_does_not_change_the_pages(self, codec: Codec) -> None:
        """A decoder reads; models get the same pixels afterwards."""
        self.hold(rules.decoding_does_not_change_the_pages, codec)

    def test_declared_sizes_are_the_real_ones(self, codec: Codec) -> None:
        """``page_sizes`` tells what ``encode`` makes."""
        self.hold(rules.declared_sizes_are_the_real_ones, codec)

    def test_too_much_is_a_capacity_error(self, codec: Codec) -> None:
        """A text beyond what the codec can carry is a CapacityError in one line that gives a number."""
        self.hold(rules.too_much_is_a_capacity_error, codec)

    def test_corrupt_pages_never_give_a_wrong_text(self, codec: Codec) -> None:
        """Damage gives DecodeError in one line, or the exact text."""
        self.hold(rules.corrupt_pages_never_give_a_wrong_text, codec)

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_the_hint_is_one_sentence(self, codec: Codec, language: str) -> None:
        """Readers are told what the carrier is, in both languages, on one line."""
        self.hold(rules.the_hint_is_one_sentence, codec, language)
