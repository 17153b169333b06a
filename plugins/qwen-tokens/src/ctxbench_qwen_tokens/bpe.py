"""Qwen2's byte-pair encoding, which Qwen2-VL and its successors share.

The 151,643 merge ranks are a file in the ``dashscope`` wheel; the split pattern and the NFC normalisation are those of Qwen2's
``tokenizer.json``. Special tokens are not recognised: a context is data.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctxbench import ConfigError

if TYPE_CHECKING:
    import tiktoken

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VOCABULARY = 151_643

_LONGEST_RUN = 8192
# The regular-expression engine's stack grows with a run of white space; no merge is longer than 128 spaces, so that cutting a
# run far beyond any real text costs at most one token a cut.
_LONG_RUN = re.compile(rf"\s{{{_LONGEST_RUN},}}")


def rank_file() -> Path:
    """Where the merge ranks are.

    Raises:
        ConfigError: the ``dashscope`` wheel is not installed, or no longer holds the file.
    """
    spec = importlib.util.find_spec("dashscope")  # finds it without importing it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "qwen.tiktoken"
        if path.exists():
            return path
    raise ConfigError("Qwen's tokenizer needs the file qwen.tiktoken of the dashscope wheel: pip install dashscope")


@functools.lru_cache(maxsize=1)
def ranks() -> dict[bytes, int]:
    """Token bytes to token id."""
    lines = rank_file().read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}


@functools.lru_cache(maxsize=1)
def _encoding() -> tiktoken.Encoding:
    import tiktoken

    return tiktoken.Encoding("qwen2", pat_str=PATTERN, mergeable_ranks=ranks(), special_tokens={})


def _pieces(text: str) -> Iterator[str]:
    """The text, cut only inside runs of white space that no real text has."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        for cut in range(run.start() + _LONGEST_RUN // 2, run.end(), _LONGEST_RUN // 2):
            yield text[start:cut]
            start = cut
    yield text[start:]


def encode(text: str) -> list[int]:
    """Token ids of ``text`` after NFC normalisation, without special tokens."""
    text = unicodedata.normalize("NFC", text)
    encoding = _encoding()
    return [token for piece in _pieces(text) for token in encoding.encode_ordinary(piece)]


def count(text: str) -> int:
    """Number of tokens of ``text``."""
    return len(encode(text))


def decode(ids: Sequence[int]) -> str:
    """The text of token ids.

    Raises:
        KeyError: an id is not in the vocabulary.
        UnicodeDecodeError: the bytes of the ids are not UTF-8.
    """
    return _encoding().decode_bytes(list(ids)).decode("utf-8")
