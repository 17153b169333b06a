"""What aligned pages cost: ``python -m benchmarks.codebook_aligned [--samples 20] [--out FILE]``.

Reference tokens per visual token, in which header, parity and what a page's shape adds are counted, on json_restore contexts of fresh
seeds; every carrier is decoded and compared. Bytes a code tell how well the dictionary fits texts like and unlike those it was made from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ctxbench import Carrier, DecodeError, Task, load_plugins
from ctxbench.tokens import count_text, visual_tokens
from ctxbench_codebook import symbols
from ctxbench_codebook.codec import Codebook

BUCKETS = (64, 128, 512, 4096)
SEED = 910_000
COLORS = (2, 4, 8, 16)
ROOT = Path(__file__).resolve().parents[1]


def cost(codec: Codebook, context: str) -> int:
    """Visual tokens of a context whose pages decode to it.

    Raises:
        SystemExit: they do not.
    """
    carrier = codec.encode(context)
    if codec.decode(carrier) != context:
        raise SystemExit(f"{codec.config} does not give the text back")
    return sum(visual_tokens(*page.size) for page in carrier.pages)


def density(samples: int) -> list[str]:
    """The table of reference tokens per visual token."""
    task = load_plugins().task("json_restore")
    texts = {bucket: [task.sample(bucket, SEED + i).context for i in range(min(samples, max(4, 20480 // bucket)))] for bucket in BUCKETS}
    counted = {bucket: sum(map(count_text, some)) for bucket, some in texts.items()}
    columns = [f"{bucket} ({len(some)})" for bucket, some in texts.items()]
    lines = ["| symbol | cell px | colors | codes a square | " + " | ".join(columns) + " |", "|---" * (4 + len(columns)) + "|"]
    for symbol in symbols.SYMBOLS:
        for cell in (4, 2):
            for colors in COLORS:
                codec = Codebook(preset="aligned", symbol=symbol, cell=cell, colors=colors)
                each = (28 // cell) ** 2 * (colors.bit_length() - 1) // symbols.WIDTHS[symbol]
                found = [counted[bucket] / sum(cost(codec, text) for text in some) for bucket, some in texts.items()]
                lines.append(f"| {symbol} | {cell} | {colors} | {each} | " + " | ".join(f"{ratio:.2f}" for ratio in found) + " |")
    return lines


def fit(samples: int) -> list[str]:
    """The table of UTF-8 bytes a code and tokens a code."""
    registry = load_plugins()
    tasks: list[tuple[str, Task]] = [
        ("json_restore", registry.task("json_restore")),
        ("json_restore, random values", registry.task("json_restore", entropy="random")),
        ("needle", registry.task("needle")),
    ]
    texts = {name: [task.sample(1024, SEED + i).context for i in range(samples)] for name, task in tasks}
    texts["this project's documentation"] = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    lines = ["| text | bytes a dictionary code | bytes a Qwen token |", "|---|---|---|"]
    for name, some in texts.items():
        size = sum(len(text.encode()) for text in some)
        codes = sum(len(symbols.encode(text, "dictionary")[0]) for text in some)
        lines.append(f"| {name} | {size / codes:.2f} | {size / sum(map(count_text, some)):.2f} |")
    return lines


def light(samples: int) -> list[str]:
    """The table of pages that are read after the augmenter ``light``.

    Raises:
        SystemExit: a page gave another text.
    """
    registry = load_plugins()
    task, augmenter = registry.task("json_restore"), registry.augmenter("light")
    lines = ["| cell px | colors | parity | exact text |", "|---|---|---|---|"]
    for cell, colors, parity in ((4, 4, 8), (4, 2, 8), (4, 8, 8), (4, 16, 8), (4, 16, 64), (2, 4, 8), (2, 4, 64), (7, 16, 64)):
        codec, exact = Codebook(preset="aligned", cell=cell, colors=colors, parity=parity), 0
        for i in range(samples):
            context = task.sample(512, SEED + i).context
            pages = [augmenter.apply(page, np.random.default_rng([SEED, i])) for page in codec.encode(context).pages]
            try:
                found = codec.decode(Carrier(pages=pages))
            except DecodeError:
                continue
            if found != context:
                raise SystemExit(f"{codec.config}, sample {i}: another text")
            exact += 1
        lines.append(f"| {cell} | {colors} | {parity} | {exact} of {samples} |")
    return lines


def small(samples: int) -> str:
    """How often the smallest setting for models keeps a short context under a quarter of its tokens."""
    task, codec = load_plugins().task("json_restore"), Codebook(preset="aligned")
    costs = [cost(codec, task.sample(128, SEED + i).context) for i in range(samples)]
    within = sum(c <= 32 for c in costs)
    return (
        f"Byte codes, 4 colours, 4 px, contexts of 128 reference tokens: {sum(costs) / len(costs):.2f} visual tokens on average, "
        f"{within} of {samples} within 32, at most {max(costs)}."
    )


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        "# Aligned codebook pages",
        "",
        f"`python -m benchmarks.codebook_aligned --samples {options.samples}`; seeds from {SEED:,}; all pages decode exactly.",
        "",
        "Reference tokens per visual token on json_restore contexts; columns: tokens of a context (number of contexts).",
        "",
        *density(options.samples),
        "",
        small(10 * options.samples),
        "",
        "Pages of 512 tokens in byte codes after the augmenter `light`; the others were DecodeErrors, and none gave another text.",
        "",
        *light(2 * options.samples),
        "",
        "How well `dictionary` fits: it was made from text of the first and third kind (of other seeds), and",
        "is of little use for other text; `python -m benchmarks.dictionaries` is about `dictionary2`.",
        "",
        *fit(options.samples),
    ]
    report = "\n".join(lines) + "\n"
    print(report, end="")
    if options.out:
        options.out.write_text(report, "utf-8")


if __name__ == "__main__":
    main()
