"""Reed-Solomon over GF(256), interleaved: encoding and the check for errors for all blocks at once; blocks with errors go to reedsolo.

Field polynomial 0x11D, generator element 2, first consecutive root 0 (as in QR; ISO/IEC 18004, annex A). Byte ``j`` of block ``b`` stands
at position ``j * blocks + b``, so that a smudge spreads over all blocks.
"""

from __future__ import annotations

import functools

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import DecodeError

Bytes = npt.NDArray[np.uint8]
_CHUNK = 512  # blocks worked on at once, to bound memory


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """(powers of 2, twice over; logarithms with the logarithm of 0 far below any index)."""
    power = np.zeros(1024, np.uint8)
    log = np.zeros(256, np.int16)
    value = 1
    for i in range(255):
        power[i] = power[i + 255] = value
        log[value] = i
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return power, log


def _times(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Products, element by element."""
    power, log = _tables()
    product = power[log[a].astype(np.int32) + log[b]]
    return np.where((a == 0) | (b == 0), np.uint8(0), product)


@functools.lru_cache(maxsize=64)
def _generator(parity: int) -> npt.NDArray[np.uint8]:
    """Coefficients of the generator polynomial, highest first."""
    power, _ = _tables()
    made = np.array([1], np.uint8)
    for i in range(parity):
        longer = np.append(made, np.uint8(0))
        longer[1:] ^= _times(made, np.full(len(made), power[i], np.uint8))
        made = longer
    return made


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
    return np.ascontiguousarray(with_parity(message, blocks.check).T).ravel()


def with_parity(message: Bytes, check: int) -> Bytes:
    """Code words, (blocks, size + check), of messages, (blocks, size)."""
    generator = _generator(check)[1:]
    rest = np.zeros((len(message), check), np.uint8)
    for j in range(message.shape[1]):  # polynomial division, one byte of every block at a time
        lead = message[:, j] ^ rest[:, 0]
        rest[:, :-1] = rest[:, 1:]
        rest[:, -1] = 0
        rest ^= _times(np.broadcast_to(lead[:, None], rest.shape), np.broadcast_to(generator, rest.shape))
    return np.hstack([message, rest])


def clean_blocks(words: Bytes, check: int) -> npt.NDArray[np.bool_]:
    """Which of the words, (blocks, size), have all syndromes zero."""
    power, _ = _tables()
    good = np.zeros(len(words), np.bool_)
    roots = power[:check]
    for start in range(0, len(words), _CHUNK):
        part = words[start : start + _CHUNK]
        value = np.zeros((len(part), check), np.uint8)
        for j in range(part.shape[1]):  # Horner's rule at every root
            value = _times(value, np.broadcast_to(roots, value.shape)) ^ part[:, j : j + 1]
        good[start : start + _CHUNK] = ~value.any(1)
    return good


def decode(raw: Bytes, blocks: Blocks) -> bytes:
    """The data of interleaved code words.

    Raises:
        DecodeError: a block has more errors than its parity can correct.
    """
    words = np.ascontiguousarray(raw[: blocks.count * blocks.size].reshape(blocks.size, blocks.count).T)
    return repair(words, blocks.check)[:, : blocks.size - blocks.check].tobytes()


def repair(words: Bytes, check: int) -> Bytes:
    """The code words, (blocks, size), without their errors; ``words`` is changed.

    Raises:
        DecodeError: a block has more errors than its parity can correct.
    """
    import reedsolo

    bad = np.flatnonzero(~clean_blocks(words, check))
    coder = reedsolo.RSCodec(check, fcr=0, prim=0x11D, generator=2, c_exp=8)
    for failures, b in enumerate(bad):
        try:
            words[b] = np.frombuffer(bytes(coder.decode(words[b].tobytes())[1]), np.uint8)
        except reedsolo.ReedSolomonError:
            place = f"block {failures + 1} of {len(bad)} with errors, of {len(words)} in all"
            raise DecodeError(f"too many errors for {check} parity bytes ({place})") from None
    return words
