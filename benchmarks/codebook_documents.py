"""Long texts, page by page: ``python -m benchmarks.codebook_documents [--documents 20] [--pages 8] [--order camera] [--seed 1]``.

Each page of a document is damaged on its own, with a scale between 0.7 and 1.3. Documents of full pages of 980 px, of random ASCII stored
without compression, are read as single pages (presets ``camera`` and ``paper``) and as pages that share a code word (``camera_pages`` and
``paper_pages``); a document counts as exact if all of its text came back. The last column is the mean of its bytes a visual token over that
of single pages.

*What could be*: the mutual information of a page's cells after a linear equaliser, over the scale (:mod:`benchmarks.codebook_channel`);
what all but one of 1,000 single pages carry, and what all but one of 1,000 documents carry a page if their pages share one code.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

import ctxbench
from benchmarks import codebook_channel as channel
from benchmarks.codebook import SQUARE, full, text_of
from ctxbench import Carrier, Codec, DecodeError, derive_seed
from ctxbench_codebook.codec import Codebook

SCALES = (0.7, 0.775, 0.85, 0.925, 1.0, 1.075, 1.15, 1.225, 1.3)
SIDE = 980


def most(codec: Codec, pages: int) -> int:
    """Bytes that so many pages hold."""
    low, high = 1, 100_000 * pages
    while low < high:
        middle = (low + high + 1) // 2
        if len(codec.page_sizes("a" * middle)) <= pages:
            low = middle
        else:
            high = middle - 1
    return low


def documents_table(order: str, pages: int, documents: int, seed: int) -> Iterator[str]:
    """Exact documents, and what they carry."""
    augmenter = ctxbench.load_plugins().augmenter("heavy", order=order)
    yield "| order | preset | pages | bytes | B/token | exact documents | wrong texts | decode kB/s | ratio to single pages |"
    yield "|---|---|---|---|---|---|---|---|---|"
    base = 0.0
    for preset in (order, f"{order}_pages"):
        codec = Codebook(preset=preset, compression="raw", page=SIDE)
        size = most(codec, pages)
        density = size * SQUARE / (pages * SIDE**2)
        base = base or density
        exact = wrong = 0
        seconds = 0.0
        for number in range(documents):
            text = text_of(size, "document", seed, number)
            sent = codec.encode(text).pages
            damage = [np.random.default_rng(derive_seed("document", seed, number, page, order)) for page in range(len(sent))]
            seen = [augmenter.apply(page, draw) for page, draw in zip(sent, damage, strict=True)]
            start = time.process_time()
            try:
                found: str | None = codec.decode(Carrier(pages=seen))
            except DecodeError:
                found = None
            seconds += time.process_time() - start
            exact, wrong = exact + (found == text), wrong + (found is not None and found != text)
        speed = size * documents / seconds / 1000
        yield (
            f"| {order} | {preset} | {pages} | {size:,} | {density:.2f} | {exact} of {documents} | {wrong} | {speed:.1f} "
            f"| {density / base:.2f} |"
        )


def possible_table(order: str, pages: int, seed: int) -> Iterator[str]:
    """Estimated from one page a scale."""
    yield "| order | cells | " + " | ".join(map(str, SCALES)) + f" | 999 of 1,000 pages | 999 of 1,000 documents of {pages} pages | ratio |"
    yield "|---" * (len(SCALES) + 5) + "|"
    draws = np.random.default_rng(derive_seed("scales", seed)).uniform(0.7, 1.3, (200_000, pages))
    for cell, colors in ((4, 16), (4, 32), (3, 16)):
        codec = Codebook(preset="camera", cell=cell, colors=colors, compression="raw")
        size, rates = full(codec), []
        for scale in SCALES:
            page = codec.encode(text_of(size, "possible", seed, scale)).pages[0]
            augmenter = ctxbench.load_plugins().augmenter("heavy", order=order, scale=scale)
            found = channel.information(page, augmenter.apply(page, np.random.default_rng(derive_seed("possible", seed, scale, order))))
            rates.append(found[1] if found else 0.0)
        carried = np.interp(draws, SCALES, rates)
        single, together = np.quantile(carried[:, 0], 0.001), np.quantile(carried.mean(1), 0.001)
        cells = " | ".join(f"{rate:.1f}" for rate in rates)
        yield f"| {order} | {cell} px, {colors} colours | {cells} | {single:.1f} | {together:.1f} | {together / single:.2f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--order", choices=("camera", "paper"), default="camera")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("documents", "possible"))
    options = parser.parse_args()
    if options.only != "documents":
        print("\n".join(possible_table(options.order, options.pages, options.seed)) + "\n", flush=True)
    if options.only != "possible":
        for line in documents_table(options.order, options.pages, options.documents, options.seed):
            print(line, flush=True)


if __name__ == "__main__":
    main()
