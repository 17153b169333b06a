"""Each rule of the codec contract can fail: a codec that breaks it is caught by that rule."""

from __future__ import annotations

import itertools
import os
import zlib
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import Carrier, Codec, DecodeError, EncodeError, require_text
from ctxbench.testing import HOSTILE, CodecContract

PLAIN = CodecContract.readable


@attrs.frozen
class Good(Codec):
    """Bytes as grey pixels behind a length and a checksum: correct, so that each wrong codec below differs in one thing."""

    def encode(self, text: str) -> Carrier:
        data = require_text(text).encode()
        data = len(data).to_bytes(4, "big") + data
        data = zlib.crc32(data).to_bytes(4, "big") + data
        side = int(np.ceil(np.sqrt(len(data))))
        pixels = np.zeros(side * side, np.uint8)
        pixels[: len(data)] = np.frombuffer(data, np.uint8)
        return Carrier(pages=[Image.fromarray(pixels.reshape(side, side)).convert("RGB")])

    def decode(self, carrier: Carrier) -> str:
        if len(carrier.pages) != 1:
            raise DecodeError("one page, please")
        data = np.asarray(carrier.pages[0].convert("L")).tobytes()
        size = int.from_bytes(data[4:8], "big")
        if size > len(data) - 8 or zlib.crc32(data[4 : 8 + size]).to_bytes(4, "big") != data[:4]:
            raise DecodeError("damaged")
        return data[8 : 8 + size].decode()


class TestGood(CodecContract):
    """The codec that the wrong ones are made from keeps every rule."""

    @pytest.fixture
    def codec(self):
        return Good()


class LosesSpaces(Good):
    def encode(self, text):
        return super().encode(require_text(text).rstrip())


class DropsQuietly(Good):
    fidelity = "approximate"

    def encode(self, text):
        if "世" in text or "文" in text:
            raise EncodeError("cannot carry this")
        return super().encode(text)


class RefusesAscii(Good):
    def encode(self, text):
        if "j" in require_text(text):
            raise EncodeError("cannot carry U+006A")
        return super().encode(text)


class NamesAnother(Good):
    def encode(self, text):
        if not require_text(text).isascii():
            raise EncodeError("cannot carry U+0000")
        return super().encode(text)


class CrashesOnOdd(Good):
    fidelity = "approximate"

    def decode(self, carrier):
        return super().decode(carrier).encode("ascii").decode()


class SaltedByHash(Good):
    def encode(self, text):
        page = super().encode(text).pages[0].copy()
        page.putpixel((page.width - 1, page.height - 1), (hash(text) % 251,) * 3)
        return Carrier(pages=[page])


class ReadsNothing(Good):
    fidelity = "approximate"

    def decode(self, carrier):
        return "?"


class TakesSurrogates(Good):
    def encode(self, text):
        return super().encode(text.encode("utf-8", "replace").decode())


class TakesBytes(Good):
    def encode(self, text):
        return super().encode(text if isinstance(text, str) else text.decode())


class GreyPages(Good):
    def encode(self, text):
        return Carrier(pages=[page.convert("L") for page in super().encode(text).pages])


class EmptyCarrier(Good):
    def encode(self, text):
        return super().encode(text) if text else Carrier()


class Counts(Good):
    counter = itertools.count()

    def encode(self, text):
        page = super().encode(text).pages[0].copy()
        page.putpixel((page.width - 1, page.height - 1), (next(self.counter) % 256,) * 3)
        return Carrier(pages=[page])


@attrs.frozen
class ForgetsOptions(Good):
    size: int = 1

    @property
    def config(self) -> dict[str, Any]:
        return {"size": self.size + 1}


class DrawsOnPages(Good):
    def decode(self, carrier):
        text = super().decode(carrier)
        carrier.pages[0].putpixel((0, 0), (1, 2, 3))
        return text


class WrongSizes(Good):
    def page_sizes(self, text):
        return [(28, 28)]


class NoLimit(Good):
    pass


class NoChecksum(Good):
    def decode(self, carrier):
        if not carrier.pages:
            raise DecodeError("no page")
        return np.asarray(carrier.pages[0].convert("L")).tobytes()[8:].decode("utf-8", "replace").rstrip("\0")


class Crashes(Good):
    def decode(self, carrier):
        return super().decode(carrier) if carrier.pages else carrier.pages[0]


class LongError(Good):
    def decode(self, carrier):
        raise DecodeError("first line\nsecond line")


class Hints(Good):
    def hint(self, language):
        return "two\nlines"


RULES = [
    (LosesSpaces, "test_round_trip", {"name": "spaces"}, AssertionError),
    (DropsQuietly, "test_round_trip", {"name": "chinese"}, AssertionError),
    (RefusesAscii, "test_round_trip", {"name": "plain"}, AssertionError),
    (NamesAnother, "test_round_trip", {"name": "chinese"}, AssertionError),
    (CrashesOnOdd, "test_round_trip", {"name": "astral"}, UnicodeEncodeError),
    (SaltedByHash, "test_encoding_is_the_same_in_another_process", {}, AssertionError),
    (ReadsNothing, "test_an_approximate_codec_reads_plain_text", {}, AssertionError),
    (TakesSurrogates, "test_lone_surrogates_are_refused", {"text": "\ud800"}, pytest.fail.Exception),
    (TakesBytes, "test_what_is_no_text_is_refused", {}, pytest.fail.Exception),
    (GreyPages, "test_pages_are_rgb_images", {}, AssertionError),
    (EmptyCarrier, "test_a_carrier_holds_something", {}, AssertionError),
    (Counts, "test_encoding_is_deterministic", {}, AssertionError),
    (ForgetsOptions, "test_config_round_trips", {}, AssertionError),
    (DrawsOnPages, "test_decoding_does_not_change_the_pages", {}, AssertionError),
    (WrongSizes, "test_declared_sizes_are_the_real_ones", {}, AssertionError),
    (NoChecksum, "test_corrupt_pages_never_give_a_wrong_text", {}, AssertionError),
    (Crashes, "test_corrupt_pages_never_give_a_wrong_text", {}, IndexError),
    (LongError, "test_corrupt_pages_never_give_a_wrong_text", {}, AssertionError),
    (Hints, "test_the_hint_is_one_sentence", {"language": "en"}, AssertionError),
]


@pytest.mark.parametrize(("codec", "rule", "arguments", "error"), RULES, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_codec_is_caught(codec, rule, arguments, error):
    """The rule raises on the wrong codec, and passes on the right one."""
    contract = CodecContract()
    getattr(contract, rule)(Good(), **arguments)
    with pytest.raises(error):
        getattr(contract, rule)(codec(), **arguments)


def test_a_codec_without_its_limit_is_caught():
    """A codec that says it has a limit and takes more breaks the capacity rule."""

    class Limited(CodecContract):
        def too_much(self, codec):
            return "x" * 1000

    with pytest.raises(pytest.fail.Exception):
        Limited().test_too_much_is_a_capacity_error(NoLimit())


SALTED = """
import attrs, ctxbench
from ctxbench.testing import codec as _
from PIL import Image

@attrs.frozen
class Salted(ctxbench.Codec):
    can_decode = False
    def encode(self, text):
        return ctxbench.Carrier(pages=[Image.new("RGB", (28, 28), (hash(text) % 251, 0, 0))])

@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("salted", "s", Salted)
"""


def test_a_codec_that_depends_on_the_hash_seed_is_caught(fake_distribution, tmp_path, monkeypatch):
    """Another process, another hash seed, another page: caught by the rule about processes."""
    fake_distribution("salted-codec", SALTED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    from ctxbench.registry import load_plugins

    codec = load_plugins(reload=True).codec("salted")
    with pytest.raises(AssertionError):
        CodecContract().test_encoding_is_the_same_in_another_process(codec)


def test_a_codec_may_refuse_what_it_names():
    """A codec for ASCII alone keeps the contract if it names what it refuses: that is a declared loss, not a silent one."""

    class Ascii(Good):
        def encode(self, text):
            odd = next((c for c in require_text(text) if not c.isascii()), None)
            if odd:
                raise EncodeError(f"cannot carry U+{ord(odd):04X}")
            return super().encode(text)

    for name in HOSTILE:
        CodecContract().test_round_trip(Ascii(), name)


def test_a_rule_cannot_be_switched_off_silently():
    """Overriding a rule needs an xfail with a reason; leaving out hostile texts is an error."""
    with pytest.raises(TypeError, match="overrides the contract's test_round_trip without saying why"):

        class Cheats(CodecContract):
            def test_round_trip(self):
                pass

    class Honest(CodecContract):
        @pytest.mark.xfail(reason="known loss", strict=True)
        def test_round_trip(self, codec, name):
            super().test_round_trip(codec, name)

    assert Honest
