"""A reader of clean pages written from docs/codebook.md alone, sharing nothing with the codec: the specification is complete and right."""

from __future__ import annotations

import functools
import json
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
    assert head[:2] == b"\xcb\x01"
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
    raw = to_bytes(bits)
    blocks = -(-len(raw) // 255)
    size = len(raw) // blocks
    check = max(2 * min(4, parity // 4 + 1), 2 * round(parity * size / 510))
    left = bits[blocks * size * 8 :]
    assert left == "".join(str(i * 0x9E3779B1 >> 16 & 1) for i in range(len(left)))
    coder = reedsolo.RSCodec(check)
    data = b"".join(bytes(coder.decode(raw[n : blocks * size : blocks])[0]) for n in range(blocks))
    length = int.from_bytes(head[10:13], "big")
    assert zlib.crc32(data[:length]) == int.from_bytes(data[length : length + 4], "big")
    assert not any(data[length + 4 :])
    return head, data[:length]


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_read_by_the_specification(name):
    """If this fails, document and codec disagree."""
    found = [read(Image.open(DATA / file).convert("RGB")) for file in VECTORS[name]["pages"]]
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
