"""Error correction: a page's bytes as interleaved Reed-Solomon blocks. Byte ``j`` of block ``b`` stands at position ``j * blocks + b``, so
that a smudge spreads over all blocks.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import DecodeError
from ctxbench_codebook import reed_solomon

Bytes = npt.NDArray[np.uint8]
_FIRST = 8  # blocks tried before all others: hopeless pages are told by these


@attrs.frozen
class Blocks:
    """How ``total`` raw bytes split into equal blocks with ``parity`` bytes for each 255."""

    total: int
    parity: int

    @property
    def count(self) -> int:
        """Number of blocks."""
        return max(1, -(-self.total // 255))

    @property
    def size(self) -> int:
        """Bytes in a block, parity included."""
        return self.total // self.count

    @property
    def check(self) -> int:
        """Parity bytes in a block: the share of ``parity`` in 255, even; small blocks get more, since their errors vary more."""
        return max(2 * min(4, self.parity // 4 + 1), 2 * round(self.parity * self.size / 255 / 2))

    @property
    def capacity(self) -> int:
        """Data bytes of all blocks; 0 if the page is too small for any."""
        return max(0, self.count * (self.size - self.check))


def encode(data: bytes, blocks: Blocks) -> Bytes:
    """Interleaved code words, ``blocks.count * blocks.size`` bytes; ``data`` is filled up with zeros."""
    k = blocks.size - blocks.check
    padded = np.zeros(blocks.capacity, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    message = padded.reshape(blocks.count, k)
    return np.ascontiguousarray(reed_solomon.with_parity(message, blocks.check).T).ravel()


def decode(raw: Bytes, blocks: Blocks) -> bytes:
    """The data of interleaved code words.

    Raises:
        DecodeError: a block has more errors than its parity can correct.
    """
    words, good = mend(raw, blocks)
    return data_of(words, good, blocks)


def mend(raw: Bytes, blocks: Blocks) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """(code words, (blocks, size), with their errors corrected where that can be done; where it was done).

    If none of the first few blocks can be corrected the others are not tried.
    """
    words = np.ascontiguousarray(raw[: blocks.count * blocks.size].reshape(blocks.size, blocks.count).T)
    good = np.zeros(blocks.count, np.bool_)
    good[:_FIRST] = reed_solomon.repair(words[:_FIRST], blocks.check)
    if good.any():
        good[_FIRST:] = reed_solomon.repair(words[_FIRST:], blocks.check)
    return words, good


def data_of(words: Bytes, good: npt.NDArray[np.bool_], blocks: Blocks) -> bytes:
    """The data of what ``mend`` gave.

    Raises:
        DecodeError: not all blocks are good.
    """
    if not good.all():
        bad = "all" if not good.any() else f"{np.count_nonzero(~good)} of {len(good)}"
        raise DecodeError(f"too many errors for {blocks.check} parity bytes a block, in {bad} blocks")
    return words[:, : blocks.size - blocks.check].tobytes()


def bits_of(words: Bytes, good: npt.NDArray[np.bool_]) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """(the interleaved code words' bits, which of them are of good blocks)."""
    return np.unpackbits(words.T.ravel()), np.tile(good, words.shape[1]).repeat(8)
