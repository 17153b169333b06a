"""Each rule of the codec contract can fail: a codec that breaks it is caught by that rule."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import zlib
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import Carrier, Codec, DecodeError, EncodeError, require_text
from ctxbench.testing import (
    HOSTILE,
    AugmenterContract,
    CodecContract,
    ExecutorContract,
    MetricContract,
    ModelContract,
    TaskContract,
    TokenCounterContract,
)
from ctxbench.testing.checking import RULES as CHECKED
from ctxbench.testing.checking import check_rules
from ctxbench.testing.subject import Subject

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


class RemembersPages(Good):
    """The text is not in the pixels but in the class: any ratio, and right at any damage that leaves one pixel."""

    seen: ClassVar[dict[tuple[int, ...], str]] = {}

    def encode(self, text):
        shade = (*zlib.crc32(require_text(text).encode()).to_bytes(4, "big")[:3],)
        self.seen[shade] = text
        return Carrier(pages=[Image.new("RGB", (28, 28), shade)])

    def decode(self, carrier):
        shade = carrier.pages[0].getpixel((14, 14)) if carrier.pages else None
        if shade not in self.seen:
            raise DecodeError("never seen")
        return self.seen[shade]


class RemembersTheLast(Good):
    """Whatever the pages are, the text that was encoded last."""

    last: ClassVar[list[str]] = [""]

    def encode(self, text):
        carrier = super().encode(text)
        self.last[0] = text
        return carrier

    def decode(self, carrier):
        return self.last[0]


class HidesItsOption(Codec):
    """No attrs class, and no config of its own: two cell sizes look the same."""

    def __init__(self, cell=4):
        self.cell = cell

    def encode(self, text):
        return Good().encode(text)

    def decode(self, carrier):
        return Good().decode(carrier)


class ChangesItsConfig(HidesItsOption):
    def __init__(self, pages=0):
        self.pages = pages

    @property
    def config(self):
        return {"pages": self.pages}

    def encode(self, text):
        self.pages += 1
        return super().encode(text)


class OneConfigForAll(HidesItsOption):
    @property
    def config(self):
        return {"cell": 4}


class TakesAnyOption(HidesItsOption):
    def __init__(self, **options):
        super().__init__()


class HandsOutItsConfig(HidesItsOption):
    def __init__(self, cell=4):
        self.options = {"cell": cell}

    @property
    def config(self):
        return self.options


class ChangesWhatItWasGiven(HidesItsOption):
    def __init__(self, words=()):
        self.words = words

    @property
    def config(self):
        return {"words": ["a"]}

    def encode(self, text):
        if isinstance(self.words, list):
            self.words.append(text)
        return super().encode(text)


class ConfigIsNoJson(HidesItsOption):
    @property
    def config(self):
        return {"cell": {4}}


class ConfigHasTuples(HidesItsOption):
    @property
    def config(self):
        return {"cell": (4, 4)}


class Unversioned(Good):
    version = "1.0"


class ReturnsPages(Good):
    def encode(self, text):
        return super().encode(text).pages


class DrawsByInstance(Good):
    """Made again from its config, it draws otherwise."""

    made = itertools.count()

    def __init__(self):
        object.__setattr__(self, "number", next(self.made))

    def encode(self, text):
        page = super().encode(text).pages[0].copy()
        page.putpixel((page.width - 1, page.height - 1), (self.number % 256,) * 3)
        return Carrier(pages=[page])


class EndsTheProgram(Good):
    def decode(self, carrier):
        raise SystemExit(0)


RULES = [
    (LosesSpaces, "test_round_trip", {"name": "spaces"}, AssertionError),
    (DropsQuietly, "test_round_trip", {"name": "chinese"}, AssertionError),
    (RefusesAscii, "test_round_trip", {"name": "plain"}, AssertionError),
    (NamesAnother, "test_round_trip", {"name": "chinese"}, AssertionError),
    (CrashesOnOdd, "test_round_trip", {"name": "astral"}, UnicodeEncodeError),
    (SaltedByHash, "test_encoding_is_the_same_in_another_process", {}, AssertionError),
    (ReadsNothing, "test_an_approximate_codec_reads_plain_text", {}, AssertionError),
    (TakesSurrogates, "test_lone_surrogates_are_refused", {"text": "\ud800"}, AssertionError),
    (TakesBytes, "test_what_is_no_text_is_refused", {}, AssertionError),
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
    (RemembersPages, "test_decoding_needs_nothing_but_the_pages", {}, AssertionError),
    (RemembersTheLast, "test_decoding_needs_nothing_but_the_pages", {}, AssertionError),
    (ChangesItsConfig, "test_the_config_stays_as_it_is", {}, AssertionError),
    (HandsOutItsConfig, "test_the_config_stays_as_it_is", {}, AssertionError),
    (ChangesWhatItWasGiven, "test_the_config_stays_as_it_is", {}, AssertionError),
    (HidesItsOption, "test_the_config_hides_no_option", {}, AssertionError),
    (OneConfigForAll, "test_the_config_hides_no_option", {}, AssertionError),
    (TakesAnyOption, "test_the_config_hides_no_option", {}, AssertionError),
    (ConfigIsNoJson, "test_config_round_trips", {}, AssertionError),
    (ConfigHasTuples, "test_config_round_trips", {}, AssertionError),
    (Unversioned, "test_the_version_is_a_number", {}, AssertionError),
    (ReturnsPages, "test_a_carrier_holds_something", {}, AssertionError),
    (DrawsByInstance, "test_equal_configs_make_equal_pages", {}, AssertionError),
    (EndsTheProgram, "test_round_trip", {"name": "plain"}, SystemExit),
]


@pytest.mark.parametrize(("codec", "rule", "arguments", "error"), RULES, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_codec_is_caught(codec, rule, arguments, error):
    """The rule raises on the wrong codec, and passes on the right one."""
    contract = CodecContract()
    getattr(contract, rule)(Good(), **arguments)
    with pytest.raises(error):
        getattr(contract, rule)(codec(), **arguments)


@pytest.mark.parametrize(
    ("codec", "rule"), [(codec, rule) for codec, rule, *_ in RULES], ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_codec_is_caught_by_plugins_check(codec, rule):
    """``ctxbench plugins check`` runs the very rule, and an author who has no tests sees the same fault on one line."""
    (result,) = check_rules(Subject("codec", codec()), only=[rule.removeprefix("test_")])
    assert result.outcome == "FAIL"
    assert result.text
    assert "\n" not in result.text


def test_the_right_codec_passes_plugins_check():
    """The codec that the wrong ones are made from breaks no rule there either."""
    results = list(check_rules(Subject("codec", Good())))
    assert [result for result in results if result.outcome == "FAIL"] == []
    assert {result.rule for result in results if result.outcome == "skip"} == {
        "an_approximate_codec_reads_plain_text",
        "too_much_is_a_capacity_error",
    }


KINDS = {
    "augmenter": AugmenterContract,
    "codec": CodecContract,
    "executor": ExecutorContract,
    "metric": MetricContract,
    "model": ModelContract,
    "task": TaskContract,
    "token_counter": TokenCounterContract,
}


@pytest.mark.parametrize("kind", KINDS)
def test_contract_and_plugins_check_have_the_same_rules(kind):
    """A rule that one of them lacks would be a fault that only the other catches."""
    tests = {name.removeprefix("test_") for name in dir(KINDS[kind]) if name.startswith("test_")}
    assert {rule.name for rule in CHECKED[kind]} == tests - {"texts_of_your_own"}


def test_the_rules_need_no_pytest():
    """Authors run ``plugins check`` where pytest is not installed, and under ``-O``, where ``assert`` says nothing."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from ctxbench.registry import load_plugins\n"
        "from ctxbench.testing.checking import check_rules\n"
        "from ctxbench.testing.subject import Subject\n"
        "from ctxbench_text.codec import TextCodec\n"
        "class Wrong(TextCodec):\n"
        "    def decode(self, carrier): return 'x'\n"
        "print(*(r.outcome for r in check_rules(Subject('codec', Wrong()), only=['round_trip', 'lone_surrogates_are_refused'])))"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["FAIL", "ok"]


def test_texts_of_your_own_go_through():
    """A text that a subclass adds is tried as ours are."""

    class Mine(CodecContract):
        texts: ClassVar = {**HOSTILE, "trailing": "x  "}

    Mine().test_texts_of_your_own(Good())
    with pytest.raises(AssertionError, match="another text"):
        Mine().test_texts_of_your_own(LosesSpaces())


def test_a_codec_without_its_limit_is_caught():
    """A codec that says it has a limit and takes more breaks the capacity rule."""

    class Limited(CodecContract):
        def too_much(self, codec):
            return "x" * 1000

    with pytest.raises(AssertionError):
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
