"""Reed-Solomon parity of an aligned page. It stands apart from the payload, which is the beginning of the interleaved code words byte for
byte: byte ``i`` belongs to block ``i`` modulo the blocks.
"""

from __future__ import annotations

import numpy as np

from ctxbench import DecodeError
from ctxbench_codebook import reed_solomon
from ctxbench_codebook.aligned.layout import Shares, Symbols


def parity(data: Symbols, found: Shares) -> Symbols:
    """The parity bytes of a page's payload bytes, interleaved."""
    words = reed_solomon.with_parity(_words(data, found), found.check)
    return np.ascontiguousarray(words[:, found.size :].T).ravel()


def repaired(data: Symbols, check: Symbols, found: Shares) -> Symbols:
    """Payload bytes without their errors.

    Raises:
        DecodeError: a block has more errors than its parity can correct.
    """
    words = np.ascontiguousarray(np.hstack([_words(data, found), check.reshape(found.check, found.blocks).T]))
    bad = np.count_nonzero(~reed_solomon.repair(words, found.check))
    if bad:
        raise DecodeError(f"too many errors for {found.check} parity bytes in {bad} of {len(words)} blocks")
    return np.ascontiguousarray(words[:, : found.size].T).ravel()[: found.data]


def _words(data: Symbols, found: Shares) -> Symbols:
    """The blocks' data, (blocks, size)."""
    padded = np.zeros(found.size * found.blocks, np.uint8)
    padded[: len(data)] = data
    return padded.reshape(found.size, found.blocks).T
