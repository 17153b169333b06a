"""Which code, which mapping, which rate: ``python -m benchmarks.codebook_waterfall [--pages 6] [--tables pages,length] [--seed 1]``.

*pages*: full pages of 980 px, cells of 4 px and 16 colours, damaged by ``heavy`` at its worst scale, 0.7, at rising rates, until one at
which no page is read; for each way to make the code. With ``--base-graph FILE`` (see :mod:`benchmarks.codebook_rival_codes`) base graph 1
of 5G is one of them. Beside them the mutual information of the channel (see :mod:`benchmarks.codebook_channel`), in the same unit: with a
linear equaliser, and with all neighbours known.

*length*: code words of several lengths over a channel with Gaussian noise, whose capacity is known: frames that are lost at rates of so
many hundredths of the capacity. The rate is the one of the code, about 3/4. With ``--base-graph`` also a block of base graph 1, as long as
the standard has them at that rate, and a code word of ours of that length.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

import ctxbench
from benchmarks import codebook_channel as channel
from benchmarks import codebook_rival_codes as rival
from benchmarks.codebook import SQUARE, full, text_of, timed_decode
from ctxbench import derive_seed
from ctxbench_codebook import ldpc, ldpc_page, soft
from ctxbench_codebook.codec import Codebook
from ctxbench_codebook.ldpc import Code

PARITIES = (88, 80, 72, 64, 56, 48, 40, 32, 24)
LENGTHS = (2_048, 16_384, 140_000)
BLOCK = 11_264  # bits: 8,448 of a message at a rate of 3/4


def irregular(share: int, degree: int) -> Callable[[Code], list[int]]:
    """``share`` of 256 groups in ``degree`` checks, the others in three."""
    return lambda code: [degree if group * share % 256 < share else ldpc.DEGREE for group in range(code.groups)]


def natural(colors: int) -> np.ndarray:
    """Symbols in the order of a mapping that counts the levels of each channel in plain binary, as set partitioning does."""
    symbols = np.arange(colors)
    if colors >= 16:
        symbols = symbols ^ ((symbols >> (colors.bit_length() - 2) & 1) << (colors.bit_length() - 3))
    return symbols.astype(np.uint8)


@contextlib.contextmanager
def made(name: str, table: Path | None = None) -> Iterator[None]:
    """The codec with another code or mapping. ``table`` is that of the base graph."""
    with contextlib.ExitStack() as stack:
        if name == "four checks a bit":
            stack.enter_context(mock.patch.object(ldpc, "_degrees", irregular(256, 4)))
        elif name == "1 of 6 in eight checks":
            stack.enter_context(mock.patch.object(ldpc, "_degrees", irregular(43, 8)))
        elif name == "1 of 6 in twelve checks":
            stack.enter_context(mock.patch.object(ldpc, "_degrees", irregular(43, 12)))
        elif name == "set partitioning":
            bits, pack = soft._bits, ldpc_page.pack
            stack.enter_context(mock.patch.object(soft, "_bits", lambda colors: bits(colors)[:, np.argsort(natural(colors))]))
            stack.enter_context(mock.patch.object(ldpc_page, "pack", lambda placed, width: natural(1 << width)[pack(placed, width)]))
        elif name == "several blocks":
            stack.enter_context(rival.in_place(rival.OwnCode))
        elif name == BASE_GRAPH:
            assert table is not None
            stack.enter_context(rival.in_place(lambda code: rival.BaseGraph(code, table)))
        ldpc.graph.cache_clear()
        yield
    ldpc.graph.cache_clear()


BASE_GRAPH = "base graph 1 of 5G, several blocks"
WAYS = (
    "three checks a bit",
    "several blocks",
    "four checks a bit",
    "1 of 6 in eight checks",
    "1 of 6 in twelve checks",
    "set partitioning",
)


def pages_table(pages: int, seed: int, ways: list[str], table: Path | None) -> Iterator[str]:
    """Lost pages over the rate, for each way to make the code."""
    yield "| order | code | parity of 256 | B/token | pages read | seconds a page |"
    yield "|---|---|---|---|---|---|"
    for order in ("camera", "paper"):
        augmenter = ctxbench.load_plugins().augmenter("heavy", order=order, scale=0.7)
        told = False
        for way in ways:
            with made(way, table):
                for parity in PARITIES if order == "camera" else PARITIES[3:]:
                    codec = Codebook(preset="camera", parity=parity, compression="raw")
                    size = full(codec)
                    exact, seconds = 0, 0.0
                    for number in range(pages):
                        text = text_of(size, "waterfall", seed, number)
                        page = codec.encode(text).pages[0]
                        damaged = augmenter.apply(page, np.random.default_rng(derive_seed("waterfall", seed, number, order)))
                        if not told:
                            rates = channel.information(page, damaged)
                            told = rates is not None
                            if rates is not None:
                                yield f"| {order} | mutual information, linear equaliser | | {rates[1]:.2f} | | |"
                                yield f"| {order} | mutual information, neighbours known | | {rates[2]:.2f} | | |"
                        found, spent = timed_decode(codec, damaged)
                        exact, seconds = exact + (found == text), seconds + spent
                    yield f"| {order} | {way} | {parity} | {size * SQUARE / 980**2:.2f} | {exact} of {pages} | {seconds / pages:.2f} |"
                    if not exact:
                        break


def capacity(sigma: float) -> float:
    """Bits a use of the channel that adds noise of this deviation to +1 and -1."""

    def lost(y: float) -> float:
        return math.exp(-((y - 1) ** 2) / 2 / sigma**2) / math.sqrt(2 * math.pi) / sigma * math.log2(1 + math.exp(-2 * y / sigma**2))

    return float(1 - quad(lost, 1 - 10 * sigma, 1 + 10 * sigma)[0])


def deviation(wanted: float) -> float:
    """The noise at which the channel's capacity is this."""
    return float(brentq(lambda sigma: capacity(sigma) - wanted, 0.2, 2.0))


def length_table(words: int, seed: int, table: Path | None) -> Iterator[str]:
    """Lost code words over the share of the capacity that is used."""
    shares = (0.86, 0.90, 0.92, 0.94, 0.96, 0.97)
    yield "| code | bits | rate | " + " | ".join(f"{share:.0%} of capacity" for share in shares) + " |"
    yield "|---" * (len(shares) + 3) + "|"
    for length in (*LENGTHS, *([BLOCK] if table else [])):
        code = Code(length, 64)
        own = (code.message, functools.partial(_encode, code), functools.partial(ldpc.Decoder, code))
        yield f"| ours | {length:,} | " + " | ".join(_row(own, length, shares, words, seed)) + " |"
    if table:
        graph = rival.BaseGraph(Code(BLOCK, 64), table)
        yield (
            f"| base graph 1 | {BLOCK:,} | "
            + " | ".join(_row((graph.message, graph.encode, graph.decoder), BLOCK, shares, words, seed))
            + " |"
        )


def _encode(code: Code, message: ldpc.Bits) -> ldpc.Bits:
    return ldpc.encode(message, code)


def _row(
    code: tuple[int, Callable[..., Any], Callable[[], Any]], length: int, shares: tuple[float, ...], words: int, seed: int
) -> list[str]:
    size, encode, decoder = code
    rate, cells = size / length, []
    for share in shares:
        sigma = deviation(rate / share)
        lost = 0
        for number in range(words):
            draw = np.random.default_rng(derive_seed("length", seed, length, share, number))
            word = encode(draw.integers(0, 2, size, np.uint8))
            reader = decoder()
            reader.see((2 * (1 - 2.0 * word + sigma * draw.standard_normal(length)) / sigma**2).astype(np.float32))
            for _ in range(60):
                if not reader.step() and reader.solved:
                    break
            lost += not np.array_equal(reader.ratios < 0, word)
        cells.append(f"{lost} of {words} lost")
    return [f"{rate:.3f}", *cells]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", type=lambda value: value.split(","), default=["pages", "length"])
    parser.add_argument("--ways", type=lambda value: value.split(";"), default=list(WAYS), help="separated by ;")
    parser.add_argument("--base-graph", type=Path, metavar="FILE")
    options = parser.parse_args()
    ways = [*options.ways, *([BASE_GRAPH] if options.base_graph and BASE_GRAPH not in options.ways else [])]
    start = time.process_time()
    for name in options.tables:
        if name == "pages":
            lines = pages_table(options.pages, options.seed, ways, options.base_graph)
        else:
            lines = length_table(10 * options.pages, options.seed, options.base_graph)
        print(f"## {name}\n")
        for line in lines:
            print(line, flush=True)
        print()
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
