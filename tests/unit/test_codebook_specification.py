"""A reader of clean pages written from docs/codebook.md alone, sharing nothing with the codec: the specification is complete and right."""

from __future__ import annotations

import functools
import itertools
import json
import math
import operator
import zlib
from pathlib import Path

import brotli
import pytest
import reedsolo
import zstandard
from PIL import Image

DATA = Path(__file__).parents[1] / "data" / "codebook"
VECTORS = json.loads((DATA / "vectors.json").read_text(encoding="utf-8"))
TWO_BITS = {0b00: 0, 0b01: 85, 0b11: 170, 0b10: 255}
CHANNELS = {8: "grb", 16: "ggrb", 32: "ggrrb", 64: "ggrrbb"}
UNPACK = (bytes, zlib.decompress, lambda data: zstandard.ZstdDecompressor().decompress(data), brotli.decompress)


def mixed(value: int) -> int:
    z = (value + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def colour(symbol: int, colours: int) -> tuple[int, int, int]:
    if colours == 2:
        return (symbol * 255,) * 3
    if colours == 4:
        return ((0, 0, 0), (0, 255, 255), (255, 0, 255), (255, 255, 0))[symbol]
    order = CHANNELS[colours]
    bits = format(symbol, f"0{len(order)}b")
    found = {}
    for channel in "rgb":
        own = "".join(bit for bit, name in zip(bits, order, strict=True) if name == channel)
        found[channel] = int(own) * 255 if len(own) == 1 else TWO_BITS[int(own, 2)]
    return found["r"], found["g"], found["b"]


def to_bytes(bits: str) -> bytes:
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8))


def reed_solomon(bits: str, parity: int) -> bytes:
    """The data of a page of version 1."""
    raw = to_bytes(bits)
    blocks = -(-len(raw) // 255)
    size = len(raw) // blocks
    check = max(2 * min(4, parity // 4 + 1), 2 * round(parity * size / 510))
    left = bits[blocks * size * 8 :]
    assert left == "".join(str(i * 0x9E3779B1 >> 16 & 1) for i in range(len(left)))
    coder = reedsolo.RSCodec(check)
    return b"".join(bytes(coder.decode(raw[n : blocks * size : blocks])[0]) for n in range(blocks))


def parity_checks(bits: str, parity: int) -> bytes:
    """The data of a page of version 2, whose check bits are right."""
    n = len(bits)
    lift = 2 ** max(2, (n // 256).bit_length() - 1)
    classes = math.ceil((n * parity // 256 + 2 * math.isqrt(n)) / lift)
    message = n - classes * lift
    groups = math.ceil(message / lift)
    word = [int(bits[place]) for place in sorted(range(n), key=lambda p: mixed(2**34 + p))]

    numbers = (mixed(2**32 + i) for i in itertools.count())
    row: list[int] = []
    entered: list[list[tuple[int, int]]] = []
    met: set[tuple[int, int, int]] = set()
    for _ in range(groups):
        if len(row) < classes:
            drawn = [next(numbers) for _ in range(classes)]
            row += sorted(range(classes), key=lambda c, drawn=drawn: drawn[c])
        own: list[tuple[int, int]] = []
        for _ in range(3):
            one = next(c for c in row if c not in [c for c, _ in own])
            row.remove(one)
            turn = next(numbers) % lift
            for _ in range(lift):
                if not refused(one, turn, own, met, classes, lift):
                    break
                turn = (turn + 1) % lift
            for (c, u), (d, v) in (sorted([(one, turn), other]) for other in own):
                met.add((c, d, (u - v) % lift))
            own.append((one, turn))
        entered.append(own)

    sums = [0] * (classes * lift)
    for i in range(message):
        for c, turn in entered[i // lift]:
            sums[(i % lift + turn) % lift * classes + c] ^= word[i]
    assert list(itertools.accumulate(sums, operator.xor)) == word[message:]
    data = "".join(str(word[i] ^ mixed(2**33 + i) & 1) for i in range(message))
    assert "1" not in data[message // 8 * 8 :]
    return to_bytes(data)


def refused(one: int, turn: int, own: list[tuple[int, int]], met: set[tuple[int, int, int]], classes: int, lift: int) -> bool:
    for (c, u), (d, v) in (sorted([(one, turn), other]) for other in own):
        if (c, d, (u - v) % lift) in met or (d == c + 1 and u == v) or ((c, d) == (0, classes - 1) and u == (v + 1) % lift):
            return True
    return False


def read(page: Image.Image) -> tuple[bytes, bytes]:
    """(header, payload) of a page as encoded."""
    width, height = page.size
    c = width // 4 - 6
    rows = -(-342 // c)
    assert [page.getpixel((12 + 4 * x, 12))[0] for x in range(c)] == [0 if x % 2 else 255 for x in range(c)]
    free = ""
    for i in range(rows * c):
        bit = page.getpixel((12 + 4 * (i % c), 16 + 4 * (i // c)))[0] // 255
        if i % 4 == 3:
            assert bit == mixed(i) & 1
        else:
            free += str(bit)
    head = bytes(reedsolo.RSCodec(14).decode(to_bytes(free[:256]))[0])
    assert head[0] == 0xCB
    assert head[17] * 28 == height

    cell, b, parity = head[2], head[3], head[4]
    symbols = {colour(s, 2**b): s for s in range(2**b)}
    top = 12 + 4 * (1 + rows)
    bits = ""
    for y in range((height - 12 - top) // cell):
        for x in range((width - 24) // cell):
            symbol = symbols[page.getpixel((12 + cell * x, top + cell * y))]
            if y % 5 == 2 and x % 5 == 2:
                assert symbol == mixed(65536 * y + x) % 2**b
            else:
                bits += format(symbol, f"0{b}b")
    if head[1] == 3:
        return head, bits.encode()
    return head, part_of(head, {1: reed_solomon, 2: parity_checks}[head[1]](bits, parity))


def part_of(head: bytes, data: bytes) -> bytes:
    length = int.from_bytes(head[10:13], "big")
    assert zlib.crc32(data[:length]) == int.from_bytes(data[length : length + 4], "big")
    assert not any(data[length + 4 :])
    return data[:length]


def shared(found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The pages of version 3, all bytes of a code word with its first page."""
    made = []
    for first in range(0, len(found), 8):
        some = found[first : first + 8]
        assert len({head[:6] + head[8:] for head, _ in some}) == 1
        data = part_of(some[0][0], parity_checks(b"".join(bits for _, bits in some).decode(), some[0][0][4]))
        made += [(head, b"" if i else data) for i, (head, _) in enumerate(some)]
    return made


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_read_by_the_specification(name):
    """If this fails, document and codec disagree."""
    found = [read(Image.open(DATA / file).convert("RGB")) for file in VECTORS[name]["pages"]]
    if found[0][0][1] == 3:
        found = shared(found)
    count = len(found) - VECTORS[name]["options"].get("parity_page", False)
    assert [int.from_bytes(head[6:8], "big") for head, _ in found] == list(range(len(found)))
    assert all(int.from_bytes(head[8:10], "big") == count for head, _ in found)
    payload = b"".join(data for _, data in found[:count])
    assert all(zlib.crc32(payload) == int.from_bytes(head[13:17], "big") for head, _ in found)
    assert UNPACK[found[0][0][5]](payload).decode("utf-8") == VECTORS[name]["text"]
    for _, parity in found[count:]:
        records = [len(data).to_bytes(3, "big") + data for _, data in found[:count]]
        assert len(parity) == max(map(len, records))
        padded = (record.ljust(len(parity), b"\0") for record in (parity, *records))
        assert all(functools.reduce(operator.xor, column) == 0 for column in zip(*padded, strict=True))
