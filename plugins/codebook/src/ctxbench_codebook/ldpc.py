"""A low-density parity-check code of any size: each message bit enters three checks, and a check's bit is the sum of all checks so far.

Repeat-accumulate codes (Jin, Khandekar and McEliece, *Irregular repeat-accumulate codes*, 2000) are encoded in linear time. Made of
circulants (Fossorier, *Quasi-cyclic low-density parity-check codes from circulant permutation matrices*, 2004), a whole class of checks is
worked on at once. Decoding is the sum-product algorithm, one class after the other (Hocevar, *A reduced complexity decoder architecture
via layered decoding of LDPC codes*, 2004). docs/codebook.md has the code in full.
"""

from __future__ import annotations

import functools
import math

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench_codebook.layout import mix

Bits = npt.NDArray[np.uint8]
Ratios = npt.NDArray[np.float32]
"""Log-likelihood ratios of bits, ln of P(0) over P(1)."""

DEGREE = 3  # checks of a message bit
SMALLEST = 512  # bits; below that no text is worth a page
LARGEST = 1 << 22  # bits; decoding takes some 50 bytes of memory and 2 microseconds for each
SURE = 25.0  # ratio of a bit that is known
_MOST = np.float32(1 - 2.0**-22)  # of the tangent of a message, so that its ratio stays finite
_LEAST = np.float32(1e-7)
_FIRST_NUMBER = 1 << 32


@attrs.frozen
class Code:
    """The code of ``size`` bits with ``parity`` checks in each 256, and more where there are few, since chance weighs more there.

    Attributes:
        size: bits in a code word.
        parity: check bits for each 256.
    """

    size: int
    parity: int

    @property
    def lift(self) -> int:
        """Side of the circulants: bits in a group, and checks in a class."""
        return 1 << max(2, (self.size // 256).bit_length() - 1)

    @property
    def classes(self) -> int:
        """Classes of checks."""
        wanted = self.size * self.parity // 256 + 2 * math.isqrt(self.size)
        return -(-wanted // self.lift)

    @property
    def checks(self) -> int:
        """Check bits of a code word."""
        return self.classes * self.lift

    @property
    def message(self) -> int:
        """Message bits of a code word; 0 for a size that is not used."""
        return max(0, self.size - self.checks) if SMALLEST <= self.size <= LARGEST else 0

    @property
    def groups(self) -> int:
        """Groups of message bits. What the last has beyond the message is zero and not sent."""
        return -(-self.message // self.lift)


Turned = tuple[int, int]
"""A group of message bits, and by how much it is turned: bit ``b`` enters check ``(b + turn) mod lift`` of a class."""


@functools.lru_cache(maxsize=16)
def graph(code: Code) -> tuple[tuple[Turned, ...], ...]:
    """For each class of checks, the groups whose bits enter it.

    Classes are shuffled, again and again, into an endless row. Each group takes from the row the first three that differ, so that classes
    stay equally full, and each of these is turned by a number of chance, or the next one that makes no cycle of four.
    """
    numbers = _Numbers()
    row: list[int] = []
    entered: list[list[Turned]] = [[] for _ in range(code.classes)]
    taken: set[tuple[int, int, int]] = set()
    for group, degree in enumerate(_degrees(code)):
        if len(row) < code.classes:
            row += numbers.shuffled(code.classes)
        chosen: list[Turned] = []
        for _ in range(degree):
            one = row.pop(next(place for place, other in enumerate(row) if all(other != own for own, _ in chosen)))
            turn = numbers.one() % code.lift
            for _ in range(code.lift):
                cycles = {_difference(one, turn, *other, code.lift) for other in chosen}
                if not cycles & taken and not any(_adjacent(one, turn, *other, code) for other in chosen):
                    break
                turn = (turn + 1) % code.lift
            taken |= {_difference(one, turn, *other, code.lift) for other in chosen}
            chosen.append((one, turn))
        for one, turn in chosen:
            entered[one].append((group, turn))
    return tuple(map(tuple, entered))


def _degrees(code: Code) -> list[int]:
    """Checks that each group's bits enter. ``python -m benchmarks.codebook_waterfall`` tries others in their place."""
    return [DEGREE] * code.groups


def _difference(one: int, turn: int, other: int, turned: int, lift: int) -> tuple[int, int, int]:
    """What two groups must not share: two classes and by how much more they are turned in one of them. It would be a cycle of four."""
    return (one, other, (turn - turned) % lift) if one < other else (other, one, (turned - turn) % lift)


def _adjacent(one: int, turn: int, other: int, turned: int, code: Code) -> bool:
    """Whether two checks of a bit are neighbours; with the check bit between them they would make a cycle of four."""
    first, second = sorted(((one, turn), (other, turned)))
    if second[0] - first[0] == 1:
        return first[1] == second[1]
    return (first[0], second[0]) == (0, code.classes - 1) and first[1] == (second[1] + 1) % code.lift


class _Numbers:
    """Fixed pseudo-random numbers: M(2^32), M(2^32 + 1), and so on."""

    def __init__(self) -> None:
        self._next = _FIRST_NUMBER
        self._some: list[int] = []

    def one(self) -> int:
        """The next number."""
        if not self._some:
            self._some = mix(np.arange(self._next, self._next + 1024, dtype=np.uint64)).tolist()[::-1]
            self._next += 1024
        return self._some.pop()

    def shuffled(self, count: int) -> list[int]:
        """0 to ``count - 1``, sorted by as many numbers."""
        return sorted(range(count), key=[self.one() for _ in range(count)].__getitem__)


def encode(message: Bits, code: Code) -> Bits:
    """The code word: the message's bits, ``code.message`` of them, then the check bits. Check ``t classes + c`` is number ``t`` of class
    ``c``."""
    padded = np.zeros(code.groups * code.lift, np.uint8)
    padded[: len(message)] = message
    groups = padded.reshape(code.groups, code.lift)
    sums = np.zeros((code.classes, code.lift), np.uint8)
    for own, entered in zip(sums, graph(code), strict=True):
        for group, turn in entered:
            own[turn:] ^= groups[group, : code.lift - turn]
            own[:turn] ^= groups[group, code.lift - turn :]
    return np.concatenate([padded[: code.message], np.bitwise_xor.accumulate(sums.T.ravel())])


class Decoder:
    """Sum-product decoding of one code word, which can go on with ratios that became better meanwhile.

    The bits are kept as groups, then check bits by class; a row of zeros stands for the check before the first.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        shape = (code.groups + code.classes, code.lift)
        self._belief = np.zeros(shape, np.float32)
        self._seen = np.zeros(shape, np.float32)
        self._told = [np.zeros((len(entered) + 2, code.lift), np.float32) for entered in graph(code)]
        self._work = np.empty((3, max(map(len, self._told)), code.lift), np.float32)

    def see(self, ratios: Ratios) -> None:
        """Takes the channel's ratios, (size,), in place of those before."""
        code = self._code
        seen = np.full_like(self._seen, SURE)
        seen[: code.groups].reshape(-1)[: code.message] = ratios[: code.message]
        seen[code.groups :] = ratios[code.message :].reshape(code.lift, code.classes).T
        self._belief += seen - self._seen
        self._seen = seen

    def step(self) -> int:
        """One round over all classes; how many checks were not satisfied when their turn came."""
        import cv2

        unsatisfied = 0
        for one, (entered, told) in enumerate(zip(graph(self._code), self._told, strict=True)):
            asked, small, size = self._work[:, : len(told)]
            self._gather(asked, one, entered)
            unsatisfied += int(np.count_nonzero(np.count_nonzero(asked < 0, axis=0) & 1))
            asked -= told
            # tanh(q / 2) = (1 - e^-q) / (1 + e^-q); what a check tells a bit is 2 artanh of the product of the others' tangents
            np.clip(asked, -30, 30, out=small)
            np.negative(small, out=small)
            cv2.exp(small, small)
            np.subtract(1, small, out=size)
            small += 1
            size /= small
            np.copyto(size, _LEAST, where=size == 0)
            np.divide(np.multiply.reduce(size, 0), size, out=size)
            np.clip(size, -_MOST, _MOST, out=size)
            np.subtract(1, size, out=small)
            size += 1
            size /= small
            cv2.log(size, told)
            asked += told
            self._scatter(asked, one, entered)
        return unsatisfied

    def _gather(self, into: Ratios, one: int, entered: tuple[Turned, ...]) -> None:
        belief, lift, groups = self._belief, self._code.lift, self._code.groups
        for own, (group, turn) in zip(into, entered, strict=False):
            own[turn:] = belief[group, : lift - turn]
            own[:turn] = belief[group, lift - turn :]
        into[-2] = belief[groups + one]
        if one:
            into[-1] = belief[groups + one - 1]
        else:
            into[-1, 1:] = belief[-1, :-1]
            into[-1, 0] = SURE

    def _scatter(self, made: Ratios, one: int, entered: tuple[Turned, ...]) -> None:
        belief, lift, groups = self._belief, self._code.lift, self._code.groups
        for own, (group, turn) in zip(made, entered, strict=False):
            belief[group, : lift - turn] = own[turn:]
            belief[group, lift - turn :] = own[:turn]
        belief[groups + one] = made[-2]
        if one:
            belief[groups + one - 1] = made[-1]
        else:
            belief[-1, :-1] = made[-1, 1:]

    @property
    def solved(self) -> bool:
        """All checks are satisfied by the likelier values of the bits."""
        return satisfies((self.ratios < 0).astype(np.uint8), self._code)

    @property
    def ratios(self) -> Ratios:
        """What is believed of each bit, (size,): the channel's ratio, and what the checks tell."""
        code = self._code
        return np.concatenate([self._belief[: code.groups].reshape(-1)[: code.message], self._belief[code.groups :].T.ravel()])


def satisfies(word: Bits, code: Code) -> bool:
    """Whether this is a code word."""
    return np.array_equal(encode(word[: code.message], code), word)
