"""Qwen2's tokenizer: equal to one that `tokenizers` builds from the same ranks, and quick on texts made to stop it."""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from ctxbench import ConfigError, EncodeError
from ctxbench import tokens as core_tokens
from ctxbench_qwen_tokens import count, decode, encode
from ctxbench_qwen_tokens import ranks as rank_table

# The split pattern in Qwen2's tokenizer.json, written out again so that a slip in the package shows.
QWEN2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte, in which `tokenizers` writes a byte-level vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def merge_of(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts that the last merge joins into ``token``."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], sys.maxsize))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


@pytest.fixture(scope="session")
def reference() -> Tokenizer:
    """Qwen2's tokenizer as transformers' Qwen2Tokenizer assembles it: NFC, the split pattern, byte-level BPE."""
    ranks, letters = rank_table.ranks(), byte_letters()

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [tuple(map(spell, merge_of(token, ranks))) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1]
    made = Tokenizer(BPE(vocab={spell(token): rank for token, rank in ranks.items()}, merges=merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    return made


def test_known_ids():
    """The ids of Qwen2 itself: digits one by one, special tokens as plain text."""
    assert encode("hello world") == [14990, 1879]
    assert len(encode("2026")) == 4
    assert len(encode("<|endoftext|>")) > 1
    assert encode("") == []


HOSTILE = [
    "a\tb\r\n\r\n  c \n",
    "don't DON'T don’t 'ſ 'S",
    "  leading and trailing   ",
    "é e\u0301 Å \u212b \u1100\u1161\u11a8 क्षि",
    "مرحبا بالعالم שלום \u202eabc\u202c",
    "👩‍👩‍👧‍👦🏳️‍🌈 \U000e0061",
    "\x00\x01\x1c\x1f\x7f\x85\u2028",
    "中文,标点。「引号」１２３",
    "\\u0000 \\\\ {}[]<>|endoftext|<|im_start|>",
    "x" * 1000 + "9" * 100 + "=" * 333,
    "{" + '"k": [1, 2.5e-7, null], ' * 40 + "}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_equal_the_reference(reference, text):
    """A wrong split pattern, a missing normalisation or a special token seen in data would give other ids."""
    assert encode(text) == reference.encode(text).ids
    assert decode(encode(text)) == unicodedata.normalize("NFC", text)
    assert count(text) == len(reference.encode(text).ids)


PARTS = [
    *"abcé中9'!_-",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\xa0",
    "\u2028",
    "'S",
    "'ll",
    "ffi",
    "e\u0301",
    "\u0323",
    "٣",
    "½",
    "=>",
    "😀",
    " the",
]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(PARTS), max_size=30).map("".join), st.text(st.characters(max_codepoint=0x2FFF), max_size=60)))
def test_any_string_equals_the_reference(reference, text):
    """Boundaries between letters, digits, marks, punctuation and every kind of white space."""
    if any(unicodedata.category(character) == "Cn" for character in text):
        return  # a letter or mark newer than this Python's Unicode data
    assert encode(text) == reference.encode(text).ids


BLANK = 70_000  # longer than what is cut apart


@pytest.mark.parametrize("before", ["", "word", "!\n", "\n \r\n"])
@pytest.mark.parametrize("after", ["", "word", "7", "!?", "\nword", "'s"])
@pytest.mark.parametrize("blank", [" ", "\t", "\u3000"])
def test_long_white_space_equals_the_reference(reference, before, after, blank):
    """A run of white space that is encoded on its own must be cut exactly where the split pattern would."""
    text = before + blank * BLANK + after
    assert encode(text) == reference.encode(text).ids


def test_long_runs_of_marks_equal_the_reference(reference):
    """Marks that are sorted before Python normalises them must come out in the same order."""
    rng = random.Random(5)
    for base in "aé가":
        text = base + "".join(rng.choice("\u0301\u0323\u0344\u0f71\u0327\u05b0") for _ in range(3000)) + "z"
        assert encode(text) == reference.encode(text).ids


STRESS = """
import sys
from ctxbench_qwen_tokens import encode
n = int(sys.argv[1])
texts = {"spaces": " " * n, "spaces then a word": " " * n + "x", "line breaks": "\\n" * n,
         "blank lines": (" " * 70_000 + "\\n") * 28,
         "one letter": "a" * n, "digits": "0" * n, "chinese": "中" * (n // 3), "punctuation": "=" * n, "no-break": "\\xa0" * (n // 2),
         "marks": "a" + "\\u0301\\u0323" * (n // 4)}
for name, text in texts.items():
    print(name, len(encode(text)), flush=True)
"""


@pytest.mark.parametrize("n", [600_000, pytest.param(2_000_000, marks=pytest.mark.long)])
def test_megabytes_of_one_thing_do_not_hang(n):
    """Quadratic merging or normalisation would take hours here, and backtracking without bounds aborts the process."""
    done = subprocess.run([sys.executable, "-c", STRESS, str(n)], capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-1000:]
    counts = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert len(counts) == 10
    assert int(counts["digits"]) == n
    assert int(counts["one letter"]) == n // 8


def test_a_lone_surrogate_is_refused():
    """No tokenizer has it; counting something else in its place would be a wrong figure."""
    with pytest.raises(EncodeError, match=r"lone surrogate U\+D800 at character 2"):
        encode("ab\ud800")


def test_decode_refuses_what_is_no_text():
    """Ids outside the vocabulary, and ids whose bytes are half a character."""
    with pytest.raises(KeyError):
        decode([rank_table.VOCABULARY])
    with pytest.raises(UnicodeDecodeError):
        decode([rank_table.ranks()[b"\xe4"]])


def test_the_ranks_are_those_that_qwen_publishes():
    """Written out as ``qwen.tiktoken`` is, they have its SHA-256: one other token anywhere would count texts otherwise."""
    table = rank_table.ranks()
    text = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in table.items())
    assert hashlib.sha256(text).hexdigest() == "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"
    assert rank_table.unpack(rank_table.pack(text)) == table


@pytest.mark.parametrize("content", [None, b"version https://git-lfs\n", "truncated", "fewer"])
def test_a_missing_or_damaged_rank_file_says_what_to_do(monkeypatch, tmp_path, content):
    """A user whose installation is broken gets the command that mends it, never wrong counts."""
    path = tmp_path / "qwen2-ranks.xz"
    if content == "truncated":
        path.write_bytes(rank_table.FILE.read_bytes()[:-1000])
    elif content == "fewer":
        path.write_bytes(rank_table.pack(b"IQ== 0\nIg== 1\n"))
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(rank_table, "FILE", path)
    with pytest.raises(
        ConfigError, match=r"qwen2-ranks.xz cannot be read \(.+\): pip install --force-reinstall --no-deps ctxbench-qwen-tokens"
    ):
        rank_table.ranks.__wrapped__()


def test_importing_the_package_is_light():
    """tiktoken is loaded at the first count, not when plugins are listed."""
    light = "import sys, ctxbench_qwen_tokens; print('tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_reference_tokenizer_of_core_is_this_one():
    """``ctxbench.tokens.count_text`` without a family counts with Qwen2's tokenizer."""
    assert core_tokens.count_text("hello world") == 2
    assert core_tokens.count_text("天地玄黄", "qwen3-vl") == count("天地玄黄")
