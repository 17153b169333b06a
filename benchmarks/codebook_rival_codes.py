"""Other codes in the place of the codebook's own, for :mod:`benchmarks.codebook_waterfall`: a page's bits in several blocks, each a code
word of its own, of the codebook's code or of base graph 1 of 5G New Radio.

The base graph is a protograph with punctured bits (3GPP TS 38.212, 5.3.2, table 5.3.2-2). Its table is read from a file with the columns
row; column; shifts of sets 0 to 7, where an empty row means the one before: ``codes/bg1.csv`` of the package ``py3gpp`` (0.6.0) is one.

These classes have what the pages' reader asks of :mod:`ctxbench_codebook.ldpc`. What they lack is a way from a code word of the base graph
back to its message, whose first bits are not sent, so the message is taken from the decoder that was used last.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook import ldpc, ldpc_page, soft_reader
from ctxbench_codebook.ldpc import Bits, Code, Ratios

MOST = 8448  # message bits of a block of base graph 1: 22 groups of 384
SIZES = tuple(sorted(a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384))
"""Sides of circulants that the standard has."""


@attrs.frozen
class Blocks:
    """How a code word of ``size`` bits is cut. Bits that no block takes are zeros.

    Attributes:
        count: blocks.
        message: message bits of a block.
        sent: bits of a block that are sent.
    """

    size: int
    count: int
    message: int
    sent: int

    @classmethod
    def of(cls, code: Code) -> Blocks:
        """As many as the base graph needs, of equal length."""
        wanted = code.size - code.size * code.parity // 256
        count = -(-wanted // MOST)
        return cls(code.size, count, wanted // count, code.size // count)


class Block(Code):
    """A code of the codebook that stays what it is while another stands in the place of all others."""

    message = property(Code.message.fget)  # type: ignore[attr-defined, assignment]
    checks = property(Code.checks.fget)  # type: ignore[attr-defined, assignment]


class OwnCode:
    """Blocks of the codebook's code."""

    def __init__(self, code: Code) -> None:
        blocks = Blocks.of(code)
        self.size, self.count, self.sent = blocks.size, blocks.count, blocks.sent
        self.code = Block(blocks.sent, code.parity)
        self.message, self.checks = self.count * self.code.message, self.count * self.code.checks

    def encode(self, message: Bits) -> Bits:
        """A code word, (size,)."""
        made = np.zeros(self.size, np.uint8)
        for own, part in zip(made[: self.count * self.sent].reshape(self.count, -1), message.reshape(self.count, -1), strict=True):
            own[:] = _ENCODE(part, self.code)
        return made

    def decoder(self) -> OwnDecoder:
        """A decoder of one code word."""
        return OwnDecoder(self)


class OwnDecoder:
    """One decoder for each block."""

    def __init__(self, code: OwnCode) -> None:
        self._code = code
        self._parts = [_DECODER(code.code) for _ in range(code.count)]

    def see(self, ratios: Ratios) -> None:
        """Takes the channel's ratios, (size,)."""
        for part, own in zip(self._parts, ratios[: self._code.count * self._code.sent].reshape(self._code.count, -1), strict=True):
            part.see(own)

    def step(self) -> int:
        """One round; how many checks were not satisfied."""
        return sum(part.step() for part in self._parts)

    @property
    def solved(self) -> bool:
        """All checks are satisfied by the likelier values of the bits."""
        return all(part.solved for part in self._parts)

    @property
    def message(self) -> Bits:
        """The likelier values of the message's bits."""
        return np.concatenate([(part.ratios[: self._code.code.message] < 0).astype(np.uint8) for part in self._parts])

    @property
    def ratios(self) -> Ratios:
        """What is believed of each bit, (size,)."""
        found = np.full(self._code.size, ldpc.SURE, np.float32)
        found[: self._code.count * self._code.sent] = np.concatenate([part.ratios for part in self._parts])
        return found


class BaseGraph:
    """Base graph 1 with the circulants that fit, and as many of its rows as the rate wants."""

    def __init__(self, code: Code, table: Path) -> None:
        blocks = Blocks.of(code)
        self.size, self.count, self.sent, self.bits = blocks.size, blocks.count, blocks.sent, blocks.message
        self.lift = next(size for size in SIZES if 22 * size >= blocks.message)
        self.parity = self.sent - self.bits + 2 * self.lift  # bits that are sent, in columns from the 23rd on
        self.rows = max(4, -(-self.parity // self.lift))
        self.message, self.checks = self.count * self.bits, self.count * self.rows * self.lift
        self.entries = entries(table, self.lift)[: self.rows]

    def encode(self, message: Bits) -> Bits:
        """A code word, (size,): of each block what is sent."""
        columns = np.zeros((22 + self.rows, self.lift, self.count), np.uint8)
        padded = np.zeros((self.count, 22 * self.lift), np.uint8)
        padded[:, : self.bits] = message.reshape(self.count, -1)
        columns[:22] = padded.T.reshape(22, self.lift, self.count)

        def check(row: int) -> Bits:
            return functools.reduce(np.bitwise_xor, (_turned(columns[column], shift) for column, shift in self.entries[row]))

        # The first four rows determine four groups: all of one, added up, leave the first, turned as it is in the row where it has no pair.
        rows = [check(row) for row in range(4)]
        turns = [dict(self.entries[row]).get(22) for row in range(4)]
        (lone,) = (turn for turn in turns if turn is not None and turns.count(turn) == 1)
        columns[22] = np.roll(functools.reduce(np.bitwise_xor, rows), lone, axis=0)
        for row, column in ((0, 23), (1, 24), (3, 25)):
            columns[column] = check(row)
        for row in range(4, self.rows):
            columns[22 + row] = check(row)
        if any(check(row).any() for row in range(self.rows)):
            raise ValueError("no code word: the table is not that of base graph 1")
        return self._sent(columns, np.uint8(0))

    def _sent(self, columns: npt.NDArray[Any], rest: Any) -> npt.NDArray[Any]:
        flat = columns.reshape(-1, self.count)
        parts = np.concatenate([flat[2 * self.lift : self.bits], flat[22 * self.lift : 22 * self.lift + self.parity]])
        made = np.full(self.size, rest, columns.dtype)
        made[: self.count * self.sent] = parts.T.ravel()
        return made

    def decoder(self) -> BaseGraphDecoder:
        """A decoder of one code word."""
        return BaseGraphDecoder(self)


class BaseGraphDecoder:
    """Sum-product decoding, row after row, of all blocks at once."""

    def __init__(self, code: BaseGraph) -> None:
        self._code = code
        shape = (22 + code.rows, code.lift, code.count)
        self._belief, self._seen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._told = [np.zeros((len(row), code.lift, code.count), np.float32) for row in code.entries]

    def see(self, ratios: Ratios) -> None:
        """Takes the channel's ratios, (size,). Those of bits that are not sent are 0, those of filling bits sure."""
        code = self._code
        seen = np.zeros_like(self._seen)
        flat = seen.reshape(-1, code.count)
        parts = ratios[: code.count * code.sent].reshape(code.count, -1).T
        flat[2 * code.lift : code.bits] = parts[: code.bits - 2 * code.lift]
        flat[code.bits : 22 * code.lift] = ldpc.SURE
        flat[22 * code.lift : 22 * code.lift + code.parity] = parts[code.bits - 2 * code.lift :]
        self._belief += seen - self._seen
        self._seen = seen

    def step(self) -> int:
        """One round over all rows; how many checks were not satisfied when their turn came."""
        unsatisfied = 0
        for row, told in zip(self._code.entries, self._told, strict=True):
            asked = np.stack([_turned(self._belief[column], shift) for column, shift in row])
            unsatisfied += int((((asked < 0).sum(0) & 1) | (asked == 0).any(0)).sum())
            asked -= told
            size = np.tanh(np.clip(asked, -30, 30) / 2)
            size[size == 0] = ldpc._LEAST
            size = np.clip(np.multiply.reduce(size, 0) / size, -ldpc._MOST, ldpc._MOST)
            told[:] = np.log((1 + size) / (1 - size))
            for (column, shift), own in zip(row, asked + told, strict=True):
                self._belief[column] = np.roll(own, shift, axis=0)
        return unsatisfied

    @property
    def solved(self) -> bool:
        """All checks are satisfied by the likelier values of the bits."""
        return np.array_equal(self._code.encode(self.message), (self.ratios < 0).astype(np.uint8))

    @property
    def message(self) -> Bits:
        """The likelier values of the message's bits."""
        flat = self._belief.reshape(-1, self._code.count)
        return np.ascontiguousarray((flat[: self._code.bits] < 0).T.astype(np.uint8)).ravel()

    @property
    def ratios(self) -> Ratios:
        """What is believed of each bit, (size,)."""
        return self._code._sent(self._belief, np.float32(ldpc.SURE))


def _turned(group: npt.NDArray[Any], shift: int) -> npt.NDArray[Any]:
    """The bits of a group that enter the checks of a row: bit ``(check + shift) mod lift``."""
    return np.roll(group, -shift, axis=0)


@functools.lru_cache(maxsize=8)
def entries(table: Path, lift: int) -> list[list[tuple[int, int]]]:
    """(column, shift) of every circulant of each of the 46 rows."""
    chosen = next(i for i, a in enumerate((2, 3, 5, 7, 9, 11, 13, 15)) if any(a << j == lift for j in range(8)))
    found: list[list[tuple[int, int]]] = [[] for _ in range(46)]
    row = 0
    for line in table.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split(";")]
        if len(cells) < 10 or not cells[1].isdigit() or not cells[9].isdigit():
            continue
        row = int(cells[0]) if cells[0] else row
        found[row].append((int(cells[1]), int(cells[2 + chosen]) % lift))
    if sum(map(len, found)) != 316:
        raise ValueError(f"{table}: base graph 1 has 316 circulants, this table {sum(map(len, found))}")
    return found


_ENCODE, _DECODER, _TO_DATA = ldpc.encode, ldpc.Decoder, ldpc_page.to_data


@contextlib.contextmanager
def in_place(make: Any) -> Iterator[None]:
    """The codec with ``make(code)`` in place of its own code."""
    made: Any = functools.lru_cache(maxsize=4)(make)
    last: dict[str, Any] = {}

    def decoder(code: Code) -> Any:
        last.update(code=code, decoder=made(code).decoder())
        return last["decoder"]

    def satisfies(word: Bits, code: Code) -> bool:
        return last.get("code") == code and np.array_equal(made(code).encode(last["decoder"].message), word)

    def to_data(word: Bits, code: Code) -> bytes:
        message = last["decoder"].message
        return np.packbits(message[: len(message) // 8 * 8] ^ ldpc_page.noise(len(message))[: len(message) // 8 * 8]).tobytes()

    with contextlib.ExitStack() as stack:
        for place, name, other in (
            (Code, "message", property(lambda code: made(code).message)),
            (Code, "checks", property(lambda code: made(code).checks)),
            (ldpc, "encode", lambda message, code: made(code).encode(message)),
            (soft_reader, "Decoder", decoder),
            (soft_reader, "satisfies", satisfies),
            (soft_reader, "_MANY_CHECKS", 1 << 62),  # giving up early goes by what is usual in the codebook's own code
            (ldpc_page, "with_padding", lambda ratios, used, code: ratios),
            (ldpc_page, "to_data", to_data),
        ):
            stack.enter_context(mock.patch.object(place, name, other))
        yield
