"""Texts that a carrier must survive, and ways to damage one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ctxbench.interfaces import Codec
from ctxbench.records import Carrier

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
