"""Bytes as one code word of the low-density parity-check code, and where its bits stand on the page or pages that hold it."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from ctxbench_codebook import ldpc
from ctxbench_codebook.header import CRC_BYTES
from ctxbench_codebook.layout import Layout, Symbols, mix
from ctxbench_codebook.ldpc import Bits, Code, Ratios
from ctxbench_codebook.symbol_bits import pack

_FIRST_OF_NOISE = 1 << 33
_FIRST_OF_ORDER = 1 << 34


def code_of(layout: Layout, parity: int, pages: int = 1) -> Code:
    """The code that fills the data cells of a page, or of several that share it."""
    return Code(pages * layout.data_cells * layout.bits, parity)


def capacity(layout: Layout, parity: int, pages: int = 1) -> int:
    """Payload bytes of a code word; 0 if so many pages are too small for one, or too large."""
    return max(0, code_of(layout, parity, pages).message // 8 - CRC_BYTES)


def symbols_of(data: bytes, code: Code, width: int) -> Symbols:
    """A code word in symbols of so many bits, in the order of the cells. What it has beyond ``data`` is zero; all of it is made noise,
    which is easier to read than an even area."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    message = noise(code.message).copy()
    message[: len(bits)] ^= bits
    placed = np.empty(code.size, np.uint8)
    placed[order(code.size)] = ldpc.encode(message, code)
    return pack(placed, width)


def to_data(word: Bits, code: Code) -> bytes:
    """The whole bytes of a code word's message."""
    return np.packbits(word[: code.message // 8 * 8] ^ noise(code.message)[: code.message // 8 * 8]).tobytes()


def with_padding(ratios: Ratios, used: int, code: Code) -> Ratios:
    """The ratios of a code word's bits, those of the message from ``used`` on replaced by what is known: there is no data in them."""
    ratios[used : code.message] = ldpc.SURE * (1 - 2 * noise(code.message)[used:].astype(np.float32))
    return ratios


@functools.lru_cache(maxsize=4)
def order(size: int) -> npt.NDArray[np.int32]:
    """Where the bits of a code word stand among those of the data cells, (size,): spread over the page by pseudo-random numbers, so that
    a smudge takes a little of every check."""
    numbers = mix(np.arange(_FIRST_OF_ORDER, _FIRST_OF_ORDER + size, dtype=np.uint64))
    made = np.argsort(numbers, kind="stable").astype(np.int32)
    made.flags.writeable = False
    return made


@functools.lru_cache(maxsize=4)
def noise(size: int) -> Bits:
    """Bits that the message is added to, (size,)."""
    numbers = mix(np.arange(_FIRST_OF_NOISE, _FIRST_OF_NOISE + size, dtype=np.uint64))
    made = (numbers & np.uint64(1)).astype(np.uint8)
    made.flags.writeable = False
    return made
