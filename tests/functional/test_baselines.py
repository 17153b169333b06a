"""The codecs to compare with: they keep the contract, and cost what they say."""

from __future__ import annotations

import re

import pytest

from ctxbench import Carrier, ConfigError, DecodeError, load_plugins, tokens
from ctxbench.testing import CodecContract
from ctxbench_baselines.dictionary import CODES, words


def codec(name: str, **options):
    """A codec as a config would make it."""
    return load_plugins().codec(name, **options)


class TestTruncate(CodecContract):
    max_error_rate = 0.75  # a quarter of the tokens is kept

    @pytest.fixture
    def codec(self):
        return codec("truncate")


class TestTruncateBoth(CodecContract):
    max_error_rate = 0.85  # of so short a text, the mark between the ends takes half of what is kept

    @pytest.fixture
    def codec(self):
        return codec("truncate", ratio=2, keep="both")


class TestBrotli64(CodecContract):
    @pytest.fixture
    def codec(self):
        return codec("brotli64")


class TestDictionaryText(CodecContract):
    @pytest.fixture
    def codec(self):
        return codec("dictionary_text")


class TestHalfResolution(CodecContract):
    max_error_rate = 0.25

    @pytest.fixture
    def codec(self):
        return codec("half_resolution")

    def too_much(self, codec):
        return "x\n" * (1024 * 78 + 1)


def sample(task: str, bucket: int, index: int = 1) -> str:
    return load_plugins().task(task).sample(bucket, index).context


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
@pytest.mark.parametrize("ratio", [1.5, 4, 10])
@pytest.mark.parametrize("task", ["needle", "json_restore"])
def test_truncation_fills_its_budget_and_no_more(keep, ratio, task):
    """The text that is kept has at most 1 / ratio of the tokens and nearly that many, and is the part that ``keep`` says."""
    text = sample(task, 512)
    kept = codec("truncate", ratio=ratio, keep=keep).encode(text).text
    budget = int(tokens.count_text(text) / ratio)
    assert budget - 4 <= tokens.count_text(kept) <= budget
    head, gap, tail = kept.partition("\n[...]\n")
    if keep == "both":
        assert gap
        assert text.startswith(head)
        assert text.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1
    else:
        assert kept == (text[: len(kept)] if keep == "head" else text[-len(kept) :])


def test_truncation_says_what_is_lost():
    """Its decoder gives the kept part, so a channel that looks at it fails where the answer was cut off; at ratio 1 nothing is lost."""
    text = sample("needle", 512)
    made = codec("truncate", ratio=3)
    assert made.fidelity == "approximate"
    carrier = made.encode(text)
    assert made.decode(carrier) == carrier.text != text
    assert carrier.payload_bytes == len(carrier.text.encode())
    assert codec("truncate", ratio=1).encode(text).text == text
    assert codec("truncate", ratio=10_000).encode(text).text  # one token is always kept
    assert len({codec("truncate", keep=keep).hint("en") for keep in ("head", "tail", "both")}) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("truncate", {"ratio": 0.5}, "ratio must be from 1 to 10000, got 0.5"),
        ("truncate", {"ratio": True}, "ratio must be a number, got True"),
        ("truncate", {"keep": "middle"}, "keep must be one of head, tail, both, got 'middle'"),
        ("brotli64", {"quality": 12}, "quality must be from 0 to 11, got 12"),
        ("half_resolution", {"scale": 2}, "scale must be from 0.1 to 1, got 2"),
        ("half_resolution", {"render": {"font_sise": 9}}, "did you mean 'font_size'"),
        ("half_resolution", {"render": {"font_size": 1}}, "font_size must be from 5 to 200"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    """When a config is read, and not at the first page."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        codec(name, **options)


def test_every_word_of_the_dictionary_is_one_token():
    """Any sequence of codes costs a token a code: words neither merge nor split."""
    table = words()
    assert len(set(table)) == CODES == 4096
    for start in range(0, CODES, 512):
        assert tokens.count_text("".join(f" {word}" for word in table[start : start + 512])) == 512
    text = sample("json_restore", 512)
    carrier = codec("dictionary_text").encode(text)
    codes = carrier.text.split()
    assert tokens.count_text(carrier.text) == len(codes)
    assert carrier.payload_bytes == -(-len(codes) * 12 // 8)


def test_damaged_text_is_no_context():
    """A cut or mistyped carrier is a DecodeError, and never another text."""
    text = sample("json_restore", 512)
    whole = codec("brotli64").encode(text).text
    for damaged in (whole[:-8], whole[: len(whole) // 2], "%" + whole, "", "AAAA", whole[40:]):
        with pytest.raises(DecodeError):
            codec("brotli64").decode(Carrier(damaged))
    with pytest.raises(DecodeError, match="'qwertyuiop', which stands for no code"):
        codec("dictionary_text").decode(Carrier(" the qwertyuiop"))
    for name in ("truncate", "brotli64", "dictionary_text"):
        with pytest.raises(DecodeError, match="holds none"):
            codec(name).decode(Carrier())


def test_half_resolution_is_a_quarter_of_the_tokens():
    """Both sides are halved and filled up to whole visual tokens, with white."""
    text = sample("needle", 2048)
    full, half = codec("render").encode(text), codec("half_resolution").encode(text)
    assert half.payload_bytes == full.payload_bytes == len(text.encode())
    for large, small in zip(full.pages, half.pages, strict=True):
        assert small.width - 28 < large.width / 2 <= small.width
        assert small.height - 28 < large.height / 2 <= small.height
        assert small.getpixel((small.width - 1, small.height - 1)) == (255, 255, 255)
    assert codec("half_resolution", render={"columns": 60}).encode(text).pages[0].width == 224
