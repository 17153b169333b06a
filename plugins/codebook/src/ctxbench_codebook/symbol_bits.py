"""Bits as the symbols of cells, and back: a symbol of ``width`` bits is one cell's colour, most significant bit first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Symbols = npt.NDArray[np.uint8]


def pack(bits: Symbols, width: int) -> Symbols:
    """Bits (n) as symbols (ceil(n / width)), the last filled up with zeros."""
    padded = np.zeros(-(-len(bits) // width) * width, np.uint8)
    padded[: len(bits)] = bits
    made = np.zeros(len(padded) // width, np.uint8)
    for place in range(width):  # bytes throughout: a matrix product would take eight times the memory
        made |= padded[place::width] << np.uint8(width - 1 - place)
    return made


def unpack(symbols: Symbols, width: int) -> Symbols:
    """The bits of symbols (n), as (n * width)."""
    return np.asarray((symbols[:, None] >> np.arange(width - 1, -1, -1, dtype=np.uint8)) & np.uint8(1), np.uint8).ravel()


def to_bytes(symbols: Symbols, bits: int) -> npt.NDArray[np.uint8]:
    """Symbols as the bytes whose bits they hold, most significant first."""
    return np.packbits(unpack(symbols, bits))[: len(symbols) * bits // 8]


def to_symbols(data: npt.NDArray[np.uint8], bits: int, cells: int) -> Symbols:
    """The bits of bytes as symbols, filled up to ``cells`` with alternating bits, since large even areas are harder to read."""
    stream = np.unpackbits(data)
    filler = (np.arange(cells * bits - len(stream)) * 0x9E3779B1 >> 16 & 1).astype(np.uint8)
    return pack(np.concatenate([stream, filler]), bits)
