"""Qwen2's merge ranks, a file of this package.

The file holds what ``qwen.tiktoken`` of Alibaba Cloud's ``dashscope`` wheel (2.0.2, Apache-2.0) holds, the BPE of Qwen2 and its successors,
packed by :func:`pack`: that wheel brings some thirty packages of a web client along, for one table. The license lies beside it.
"""

from __future__ import annotations

import base64
import functools
import lzma
from itertools import accumulate, pairwise
from pathlib import Path

from ctxbench import ConfigError

FILE = Path(__file__).with_name("data") / "qwen2-ranks.xz"

VOCABULARY = 151_643
"""Number of ranks; token ids are 0 to VOCABULARY - 1."""


def pack(tiktoken_file: bytes) -> bytes:
    """The packed form of a file of lines ``base64 rank``: xz of one length byte a token, then of all tokens' bytes, both in order of rank.

    Raises:
        ValueError: a line is no such pair, ranks are not 0, 1, 2 ..., or a token is longer than 255 bytes.
    """
    pairs = [line.split() for line in tiktoken_file.splitlines() if line]
    if [int(rank) for _, rank in pairs] != list(range(len(pairs))):
        raise ValueError("the ranks are not 0, 1, 2 ... in order")
    tokens = [base64.b64decode(token, validate=True) for token, _ in pairs]
    return lzma.compress(bytes(map(len, tokens)) + b"".join(tokens), preset=9 | lzma.PRESET_EXTREME)


def unpack(packed: bytes, count: int = VOCABULARY) -> dict[bytes, int]:
    """Token bytes to rank: what :func:`pack` packed, ``count`` tokens.

    Raises:
        ValueError: ``packed`` is damaged or holds another number of tokens.
    """
    try:
        data = lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from None
    ends = list(accumulate(data[:count], initial=count))
    if len(ends) != count + 1 or ends[-1] != len(data):
        raise ValueError(f"it does not hold {count} tokens")
    return {data[start:end]: rank for rank, (start, end) in enumerate(pairwise(ends))}


@functools.lru_cache(maxsize=1)
def ranks() -> dict[bytes, int]:
    """Token bytes to token id.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    try:
        return unpack(FILE.read_bytes())
    except (OSError, ValueError) as error:
        again = "pip install --force-reinstall --no-deps ctxbench-qwen-tokens"
        raise ConfigError(f"Qwen's token ranks in {FILE} cannot be read ({error}): {again}") from None
