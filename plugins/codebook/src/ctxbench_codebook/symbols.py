"""Fixed-length codes of a text: bytes, entries of the dictionary, or Qwen's tokens."""

from __future__ import annotations

import functools
import importlib
import importlib.resources
import importlib.util
from typing import Any

import numpy as np
import numpy.typing as npt

from ctxbench import ConfigError, DecodeError

SYMBOLS = ("byte", "dictionary", "bpe", "dictionary2")
"""Their positions are the numbers that pages hold; another dictionary or tokenizer is another name at the end."""

WIDTHS = {"byte": 8, "dictionary": 12, "bpe": 18, "dictionary2": 12}
DICTIONARIES = {"dictionary": "dictionary_1.txt", "dictionary2": "dictionary_2.txt"}
"""Files of entries: the first was made of the tasks' generated texts, the second of real ones."""

Codes = npt.NDArray[np.int64]


def encode(text: str, symbol: str) -> tuple[Codes, str]:
    """(codes, their kind): that asked for, or bytes where tokens would not give the text back, since Qwen's tokenizer normalises to NFC.

    Raises:
        ConfigError: ``bpe`` without the tokenizer.
    """
    data = text.encode("utf-8")
    if symbol in DICTIONARIES:
        return np.array(greedy(data, *_index(symbol)), np.int64), symbol
    if symbol == "bpe":
        qwen = _qwen()
        if qwen is None:
            raise ConfigError("symbol bpe needs Qwen's tokenizer: pip install ctxbench-qwen-tokens")
        ids = qwen.encode(text)
        if qwen.decode(ids) == text:
            return np.array(ids, np.int64), symbol
    return np.frombuffer(data, np.uint8).astype(np.int64), "byte"


def decode(codes: Codes, symbol: str) -> str:
    """The text of codes.

    Raises:
        DecodeError: codes that no text has, or a tokenizer that is not installed.
    """
    try:
        if symbol in DICTIONARIES:
            table = entries(symbol)
            return b"".join(table[code] for code in codes.tolist()).decode("utf-8")
        if symbol == "bpe":
            qwen = _qwen()
            if qwen is None:
                raise DecodeError("the pages hold Qwen's tokens, and reading them needs: pip install ctxbench-qwen-tokens")
            return str(qwen.decode(codes.tolist()))
        return codes.astype(np.uint8).tobytes().decode("utf-8")
    except (KeyError, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(f"the pages were read, but do not hold a text: {error}") from None


def _qwen() -> Any:
    """Qwen's tokenizer, an optional dependency."""
    return importlib.import_module("ctxbench_qwen_tokens") if importlib.util.find_spec("ctxbench_qwen_tokens") else None


@functools.cache
def entries(symbol: str = "dictionary") -> tuple[bytes, ...]:
    """A dictionary's 4,096 entries: the 256 bytes, and the lines of its file, in which bytes are hexadecimal."""
    lines = importlib.resources.files("ctxbench_codebook").joinpath(DICTIONARIES[symbol]).read_text("ascii").split()
    return (*(bytes([i]) for i in range(256)), *map(bytes.fromhex, lines))


@functools.cache
def _index(symbol: str) -> tuple[dict[bytes, int], dict[bytes, list[int]]]:
    return index(entries(symbol))


def index(table: tuple[bytes, ...]) -> tuple[dict[bytes, int], dict[bytes, list[int]]]:
    """(code of each entry, lengths of the entries that begin with two bytes, the longest first)."""
    lengths: dict[bytes, set[int]] = {}
    for entry in table:
        if len(entry) > 1:
            lengths.setdefault(entry[:2], set()).add(len(entry))
    return {entry: code for code, entry in enumerate(table)}, {start: sorted(some, reverse=True) for start, some in lengths.items()}


def greedy(data: bytes, codes: dict[bytes, int], lengths: dict[bytes, list[int]]) -> list[int]:
    """The codes of the longest entries that match, from left to right."""
    found, start = [], 0
    while start < len(data):
        for length in lengths.get(data[start : start + 2], ()):
            code = codes.get(data[start : start + length])
            if code is not None:
                found.append(code)
                start += length
                break
        else:
            found.append(data[start])
            start += 1
    return found
