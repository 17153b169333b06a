"""The rules that every codec keeps. Subclass :class:`CodecContract` in your tests and override the fixture ``codec``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from ctxbench import tokens
from ctxbench.errors import CapacityError, DecodeError, EncodeError
from ctxbench.images import page_sha256
from ctxbench.interfaces import Codec
from ctxbench.records import Carrier
from ctxbench.testing.contract import Contract
from ctxbench.testing.elsewhere import elsewhere

HOSTILE: dict[str, str] = {
    "empty": "",
    "one-character": "x",
    "plain": "The quick brown fox jumps over the lazy dog. 0123456789",
    "json": '{"a": [1, -2.5e3, null, true], "b": {"c.d[0]": "x\\"y\\\\z"}}',
    "indentation": "def f():\n\tif x:\n        return 1\n\n\n    # end  \n",
    "line-ends": "a\nb\r\nc\rd\n\n",
    "spaces": "  two  leading, three trailing   ",
    "control": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "right-to-left": "שלום \u200fעולם\u200e مرحبا بالعالم",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🇳🇴 👍🏽 ☃️",
    "combining": "e\u0301 a\u0308\u0323 Z\u0351\u036f\u0489 \u0915\u094d\u0937",
    "chinese": "上下文压缩:中文、日本語、한국어。",
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 🂡",
    "separators": "a\u2028b\u2029c\ufeffd\u00ade\u200bf\u00a0g",
    "not-normalised": "Å Å ﬁ ① Ⅷ",
    "markup": "<script>alert(1)</script> & %s %d {0} ${x} `rm` \\n",
    "long-line": "abcdefghij" * 400,
    "20-kB": "".join(f'{{"line": {i}, "value": "{i * 7919 % 10007:05d}"}}\n' for i in range(520)),
}

_PAGES = """
carrier = component.encode(argument)
print(json.dumps([carrier.text, [page_sha256(page) for page in carrier.pages]]))
"""


def _character_error_rate(found: str, text: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(text, found) / max(1, len(text))


class CodecContract(Contract):
    """Rules for a codec; override :meth:`codec`, and the attributes below where yours is special."""

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

    @pytest.fixture(autouse=True)
    def _every_hostile_text_is_there(self) -> None:
        missing = set(HOSTILE) - set(self.texts)
        if missing:
            raise TypeError(f"{type(self).__name__}.texts leaves out {sorted(missing)}; the contract's texts may only be added to")

    @staticmethod
    def encoded(codec: Codec, text: str) -> Carrier | None:
        """The carrier, or ``None`` if the codec refuses the text in the way it may: an EncodeError that names a character of the text.

        Printable ASCII and newlines are never refused.
        """
        try:
            return codec.encode(text)
        except EncodeError as error:
            message = str(error)
            named = re.search(r"U\+([0-9A-F]{4,6})\b", message)
            assert named, f"an EncodeError must name the character that cannot be carried, as U+XXXX, got: {message}"
            character = chr(int(named[1], 16))
            assert character in text, f"the text holds no U+{named[1]}"
            assert character != "\n", "newlines must be carried"
            assert not " " <= character <= "~", f"printable ASCII must be carried, and {character!r} was refused"
            assert "\n" not in message
            return None

    @pytest.mark.parametrize("name", sorted(HOSTILE))
    def test_round_trip(self, codec: Codec, name: str) -> None:
        """An exact codec gives every text back, character for character; what a codec cannot carry it refuses by name.

        An approximate codec reads something from what it took, or says that it cannot.
        """
        text = self.texts[name]
        carrier = self.encoded(codec, text)
        if carrier is None or not codec.can_decode:
            return
        if codec.fidelity == "exact":
            assert codec.decode(carrier) == text
        elif len(text) <= 1000:  # optical character recognition takes seconds a page
            found, error = self.decoded(codec, carrier)
            assert isinstance(found, str) or error

    def test_an_approximate_codec_reads_plain_text(self, codec: Codec) -> None:
        """A codec that declares losses still reads a plain clean page nearly right."""
        if codec.can_decode and codec.fidelity == "approximate":
            found = codec.decode(codec.encode(self.readable))
            assert _character_error_rate(found, self.readable) <= self.max_error_rate

    @pytest.mark.parametrize("text", ["\ud800", "ab\udfff", "x" * 50 + "\udc80"])
    def test_lone_surrogates_are_refused(self, codec: Codec, text: str) -> None:
        """A str that is not Unicode text is an EncodeError, never a carrier of something else."""
        with pytest.raises(EncodeError):
            codec.encode(text)

    def test_what_is_no_text_is_refused(self, codec: Codec) -> None:
        """Bytes are not decoded on a guess."""
        with pytest.raises((EncodeError, TypeError)):
            codec.encode(b"bytes")  # type: ignore[arg-type]

    def test_pages_are_rgb_images(self, codec: Codec) -> None:
        """Models get RGB; every page has at least one pixel."""
        for page in codec.encode(self.readable).pages:
            assert isinstance(page, Image.Image)
            assert page.mode == "RGB"
            assert min(page.size) >= 1

    def test_a_carrier_holds_something(self, codec: Codec) -> None:
        """A carrier has text or pages, for the empty text too."""
        for text in ("", self.readable):
            carrier = codec.encode(text)
            assert carrier.text is not None or carrier.pages

    def test_encoding_is_deterministic(self, codec: Codec) -> None:
        """The same text gives the same carrier twice in one process."""
        first, second = codec.encode(self.readable), codec.encode(self.readable)
        assert first.text == second.text
        assert [page_sha256(page) for page in first.pages] == [page_sha256(page) for page in second.pages]

    def test_encoding_is_the_same_in_another_process(self, codec: Codec) -> None:
        """Neither hash randomisation nor global state of this process changes a pixel. A codec that no plugin offers must be a class of
        a module, so that another process can make it too."""
        carrier = codec.encode(self.readable)
        mine = [carrier.text, [page_sha256(page) for page in carrier.pages]]
        assert elsewhere("codec", codec, _PAGES, self.readable) == [mine, mine]

    def test_config_round_trips(self, codec: Codec) -> None:
        """``config`` is JSON, and makes an equal codec that makes equal pages."""
        config = codec.config
        assert json.loads(json.dumps(config)) == config
        again = type(codec)(**config)
        assert again.config == config
        for first, second in zip(codec.encode("abc").pages, again.encode("abc").pages, strict=True):
            assert page_sha256(first) == page_sha256(second)

    def test_decoding_does_not_change_the_pages(self, codec: Codec) -> None:
        """A decoder reads; models get the same pixels afterwards."""
        if not codec.can_decode:
            return
        carrier = codec.encode(self.readable)
        before = [page_sha256(page) for page in carrier.pages]
        codec.decode(carrier)
        assert [page_sha256(page) for page in carrier.pages] == before

    def test_declared_sizes_are_the_real_ones(self, codec: Codec) -> None:
        """``page_sizes`` tells what ``encode`` makes, and so the visual tokens that ``cost`` prints are the real ones."""
        for text in ("", self.readable, self.texts["20-kB"]):
            declared = codec.page_sizes(text)
            real = [page.size for page in codec.encode(text).pages]
            assert declared == real
            assert sum(tokens.visual_tokens(*size) for size in declared) == sum(tokens.visual_tokens(*size) for size in real)

    def test_too_much_is_a_capacity_error(self, codec: Codec) -> None:
        """A text beyond what the codec can carry is a CapacityError in one line that gives a number; many codecs have no such limit."""
        text = self.too_much(codec)
        if text is None:
            return
        with pytest.raises(CapacityError) as caught:
            codec.encode(text)
        assert "\n" not in str(caught.value)
        assert any(digit in str(caught.value) for digit in "0123456789")

    def too_much(self, codec: Codec) -> str | None:
        """A text that is too large for this codec, or ``None`` if there is no limit; override it where there is one."""
        return None

    @staticmethod
    def corrupted(codec: Codec, text: str) -> Iterator[tuple[str, Carrier]]:
        """Damaged carriers of ``text``, each with what was done to it."""
        carrier = codec.encode(text)
        yield "no pages", Carrier(None, ())
        if not carrier.pages:
            return
        rng = np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
        first = carrier.pages[0]
        width, height = first.size
        noise = rng.integers(0, 256, (height, width, 3), np.uint8)
        half = np.asarray(first).copy()
        half[height // 2 :] = 255
        scrambled = np.asarray(first).copy()
        block = scrambled[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
        block[:] = rng.integers(0, 256, block.shape, np.uint8)
        rest = carrier.pages[1:]
        yield "a blank page", Carrier(None, (Image.new("RGB", first.size, "white"), *rest))
        yield "a black page", Carrier(None, (Image.new("RGB", first.size, "black"), *rest))
        yield "noise", Carrier(None, (Image.fromarray(noise), *rest))
        yield "the lower half gone", Carrier(None, (Image.fromarray(half), *rest))
        yield "a quarter cropped away", Carrier(None, (first.crop((0, 0, width * 3 // 4, height)), *rest))
        yield "a block of noise", Carrier(None, (Image.fromarray(scrambled), *rest))
        yield "a page of one pixel", Carrier(None, (Image.new("RGB", (1, 1), "white"), *rest))
        if rest:
            yield "a lost page", Carrier(None, rest)

    def test_corrupt_pages_never_give_a_wrong_text(self, codec: Codec) -> None:
        """Damage gives DecodeError in one line, or the exact text; an approximate codec may read something else, but not crash."""
        if not codec.can_decode:
            return
        for text in (self.readable, self.texts["20-kB"]) if codec.fidelity == "exact" else (self.readable,):
            for what, carrier in self.corrupted(codec, text):
                found, error = self.decoded(codec, carrier)
                if found is None:
                    assert error, f"{what}: a DecodeError without a message"
                    assert "\n" not in error, f"{what}: a DecodeError of several lines"
                elif codec.fidelity == "exact":
                    assert found == text, f"{what}: decoded to another text"

    @staticmethod
    def decoded(codec: Codec, carrier: Carrier) -> tuple[str | None, str]:
        """(text, no error) or (``None``, the message of the DecodeError)."""
        try:
            return codec.decode(carrier), ""
        except DecodeError as error:
            return None, str(error)

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_the_hint_is_one_sentence(self, codec: Codec, language: str) -> None:
        """Readers are told what the carrier is, in both languages, on one line."""
        hint = codec.hint(language)
        assert hint.strip() == hint != ""
        assert "\n" not in hint
