"""How dense, safe and fast the codebook is: ``python -m benchmarks.codebook [--pages N] [--seed N] [--codes robust,dense]``.

Every page is full of random printable ASCII and stored without compression, so that nothing flatters a code. *B/token* is the text's bytes
over (pixels of the page / 28^2): frame, pilots, header, parity and padding are counted. A preset on a
channel that it is not made for is tried on one page. Speeds are of processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from PIL import Image

import ctxbench
from benchmarks import codebook_channel as channel
from ctxbench import Carrier, Codec, CtxbenchError, DecodeError, derive_seed
from ctxbench_codebook.codec import PRESETS, Codebook
from ctxbench_codebook_external.codec import CodebookExternal

SQUARE = 28 * 28
QR = "QR, 4 px, L"
MADE_FOR = {
    "dense": ("light", "clean"),
    "fine": ("light", "clean"),
    "max": ("clean",),
    "paper": ("heavy, paper order", "light", "clean"),
}
"""Channels or levels that a code is made for, where not for all; on others one page is tried."""

CHANNELS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("heavy, camera order", "heavy", {"order": "camera"}),
    ("heavy, paper order", "heavy", {"order": "paper"}),
    ("light, camera order", "light", {"order": "camera"}),
    ("light, paper order", "light", {"order": "paper"}),
    ("clean", "clean", {}),
)
STRESS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as it is", {}),
    ("grey noise", {"noise_per_channel": False}),
    ("JPEG 40", {"jpeg_quality": 40}),
    ("rotation 30 degrees", {"rotation": 30}),
    ("perspective 0.02", {"perspective": 0.02}),
    ("perspective 0.05", {"perspective": 0.05}),
    ("all of these", {"noise_per_channel": False, "jpeg_quality": 40, "rotation": 30, "perspective": 0.05}),
)


TABLES = ("density", "context", "stress", "shannon")


class Nearest(Codebook):
    """The codebook read without equaliser: each cell becomes the palette's nearest colour."""

    def decode(self, carrier: Carrier) -> str:
        return channel.nearest_only(carrier.pages[0])


CODES: dict[str, Codec] = {
    **{name: Codebook(preset=name, compression="raw") for name in PRESETS if name != "aligned"},
    "robust, parity 18": Codebook(preset="robust", parity=18, compression="raw"),
    QR: CodebookExternal(),
    "DataMatrix, 4 px": CodebookExternal(format="datamatrix"),
    "Aztec, 4 px": CodebookExternal(format="aztec"),
    "color4, nearest colour": Nearest(preset="color4", compression="raw"),
}


@attrs.frozen
class Score:
    """What one code did on one channel."""

    density: float
    exact: int
    tried: int
    wrong: int
    encode_speed: float
    decode_speed: float


def text_of(size: int, *seed: Any) -> str:
    """Random printable ASCII."""
    return np.random.default_rng(derive_seed(*seed)).integers(32, 127, size, np.uint8).tobytes().decode("ascii")


def full(codec: Codec) -> int:
    """Most bytes of random ASCII that one page takes."""
    low, high = 1, 2_000_000
    while low < high:
        middle = (low + high + 1) // 2
        if pages_of(codec, middle) == 1:
            low = middle
        else:
            high = middle - 1
    return low


def pages_of(codec: Codec, size: int) -> int:
    """Pages of a text of ``size`` bytes; 2 for any more than one."""
    if isinstance(codec, CodebookExternal) and size > 3000:
        return 2
    try:
        return min(2, len(codec.page_sizes(text_of(size, "full"))))
    except CtxbenchError:
        return 2


def measure(codec: Codec, size: int, level: str, options: dict[str, Any], pages: int, seed: int) -> Score:
    """Encode, damage and decode full pages."""
    augmenter = ctxbench.load_plugins().augmenter(level, **options)
    exact = tried = wrong = 0
    squares = encoding = decoding = 0.0
    for number in range(pages):
        text = text_of(size, "text", seed, number)
        start = time.process_time()
        page = codec.encode(text).pages[0]
        encoding += time.process_time() - start
        squares += page.width * page.height / SQUARE
        damaged = augmenter.apply(page, np.random.default_rng(derive_seed("damage", seed, number, level, options)))
        found, seconds = timed_decode(codec, damaged)
        decoding += seconds
        tried += 1
        exact += found == text
        wrong += found is not None and found != text
    return Score(size * tried / squares, exact, tried, wrong, size * tried / 1000 / encoding, size * tried / 1000 / decoding)


def timed_decode(codec: Codec, page: Image.Image) -> tuple[str | None, float]:
    """(text or ``None``, seconds of processor time, which other work on the machine does not change much)."""
    start = time.process_time()
    try:
        found: str | None = codec.decode(Carrier(pages=[page]))
    except DecodeError:
        found = None
    return found, time.process_time() - start


def density_table(pages: int, seed: int, chosen: Sequence[str]) -> Iterator[str]:
    """Every chosen code on every channel; QR too, which the others are compared with."""
    codes = {name: codec for name, codec in CODES.items() if name in chosen or name == QR}
    yield "| channel | code | B/token | ratio to QR | exact pages | wrong | encode kB/s | decode kB/s | decode time a byte / zxing-cpp's |"
    yield "|---|---|---|---|---|---|---|---|---|"
    sizes = {name: full(codec) for name, codec in codes.items()}
    for title, level, options in CHANNELS:
        scores = {}
        for name, codec in codes.items():
            some = pages if {title, level} & set(MADE_FOR.get(name, (level,))) else 1
            scores[name] = measure(codec, sizes[name], level, options, some, seed)
        base = scores[QR]
        for name, score in scores.items():
            yield (
                f"| {title} | {name} | {score.density:.2f} | {score.density / base.density:.1f} | {score.exact} / {score.tried} "
                f"| {score.wrong} | {score.encode_speed:.0f} | {score.decode_speed:.1f} | {base.decode_speed / score.decode_speed:.2f} |"
            )


def stress_table(pages: int, seed: int) -> Iterator[str]:
    """``heavy`` in camera order, and more."""
    names = ("bw4", "color4", "robust", "camera")
    yield "| heavy, camera order, with | " + " | ".join(names) + " | wrong texts |"
    yield "|---" * (len(names) + 2) + "|"
    sizes = {name: full(CODES[name]) for name in names}
    for title, more in STRESS:
        scores = [measure(CODES[name], sizes[name], "heavy", {"order": "camera", **more}, pages, seed + 1) for name in names]
        cells = " | ".join(f"{score.exact} / {score.tried}" for score in scores)
        yield f"| {title} | {cells} | {sum(score.wrong for score in scores)} |"


def shannon_table(pages: int, seed: int) -> Iterator[str]:
    """What the channel could carry; see :mod:`benchmarks.codebook_channel`."""
    yield "| channel | cells of | sent B/token | after the equaliser B/token | neighbours known B/token | net B/token of its pages |"
    yield "|---|---|---|---|---|---|"
    for title, level, options in CHANNELS[:4]:
        for name, codec in {
            **{name: CODES[name] for name in ("color4", "robust", "dense", "camera", "fine")},
            "3 px, 16 colours": Codebook(preset="robust", cell=3, compression="raw"),
        }.items():
            size = full(codec)
            augmenter = ctxbench.load_plugins().augmenter(level, **options)
            rates = []
            for number in range(pages):
                page = codec.encode(text_of(size, "shannon", seed, number)).pages[0]
                damaged = augmenter.apply(page, np.random.default_rng(derive_seed("shannon", seed, number)))
                rates.append(channel.information(page, damaged))
            known = [rate for rate in rates if rate is not None]
            if known:
                sent, linear, genie = np.mean(known, 0)
                yield f"| {title} | {name} | {sent:.1f} | {linear:.1f} | {genie:.1f} | {size * SQUARE / 980**2:.1f} |"


def context_table(seed: int) -> Iterator[str]:
    """A ``json_restore`` context of 16,384 reference tokens in every preset, smallest compression, read back."""
    sample = ctxbench.load_plugins().task("json_restore").sample(16384, seed)
    yield f"json_restore, {len(sample.context.encode()):,} bytes, 16,384 reference tokens:"
    yield ""
    yield "| preset | pages | visual tokens | reference tokens a visual token | read back |"
    yield "|---|---|---|---|---|"
    for name in PRESETS:
        codec = Codebook(preset=name)
        carrier = codec.encode(sample.context)
        cost = sum(page.width * page.height // SQUARE for page in carrier.pages)
        exact = "exactly" if codec.decode(carrier) == sample.context else "NO"
        yield f"| {name} | {len(carrier.pages)} | {cost:,} | {16384 / cost:.1f} | {exact} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", help="only these", type=lambda value: value.split(","), default=list(TABLES))
    parser.add_argument("--codes", help="only these and QR, without the other tables", type=lambda value: value.split(","))
    options = parser.parse_args()
    if unknown := set(options.codes or ()) - set(CODES):
        parser.error(f"--codes knows {', '.join(CODES)}; got {', '.join(sorted(unknown))}")
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"--tables knows {', '.join(TABLES)}; got {', '.join(sorted(unknown))}")
    pages, seed = options.pages, options.seed
    print(f"# The codebook, measured\n\n`python -m benchmarks.codebook --pages {pages} --seed {seed}`, one thread.\n")
    print(__doc__.split("\n\n", 1)[1])
    few, fewer = min(50, max(3, pages // 2)), min(3, max(1, pages // 10))
    sections = {
        "density": (f"Density, safety, speed ({pages} pages each)", density_table(pages, seed, options.codes or tuple(CODES))),
        "context": ("Context of 16,384 tokens", context_table(seed)),
        "stress": (f"Harder than heavy ({few} pages each)", stress_table(few, seed)),
        "shannon": (f"What the channel could carry ({fewer} pages each)", shannon_table(fewer, seed)),
    }
    for title, lines in (sections[name] for name in (("density",) if options.codes else options.tables)):
        print(f"## {title}\n")
        if title.startswith("What"):
            print(channel.METHOD + "\n")
        for line in lines:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
