"""Reading rendered pages: ``python -m benchmarks.render_ocr [--samples 20] [--language en] [--buckets 512] [--out FILE]``.

The decoder that fits the codec's own glyphs (``decoder: auto``) against optical character recognition alone (``decoder: ocr``, which here
gives whatever it reads, however unsure it is), on the same pages of fresh seeds: mean character error rate, texts read exactly, texts that
the glyphs' reader refuses (their error rate counts as 1) and CPU time as a ratio.
A second table has what the decoder's thresholds are compared with, on pages of text and on images that hold none.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

from ctxbench import Carrier, Codec, DecodeError, load_plugins
from ctxbench_render import damaged, ocr, reader, recognise
from ctxbench_render.codec import RenderCodec
from ctxbench_render.registration import find_pose

SEED = 740_000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LEVELS = ("clean", "light", "heavy")
TASKS = ("needle", "json_restore")


@attrs.frozen
class Page:
    """A text, and its pages after an augmenter."""

    text: str
    carrier: Carrier


@attrs.frozen
class Score:
    """One carrier read: character error rate, whether it was refused, CPU seconds."""

    rate: float
    refused: bool
    seconds: float


def pages(task: str, bucket: int, level: str, samples: int, language: str) -> Iterator[Page]:
    """Contexts of fresh seeds on damaged pages, the same ones every time."""
    registry = load_plugins()
    maker, augmenter = registry.task(task, language=language), registry.augmenter(level)
    for i in range(samples):
        text = maker.sample(bucket, SEED + i).context
        clean = RenderCodec().encode(text).pages
        yield Page(text, Carrier(pages=[augmenter.apply(page, np.random.default_rng([SEED, i, n])) for n, page in enumerate(clean)]))


def score(codec: Codec, page: Page) -> Score:
    """What a decoder makes of a carrier."""
    start = time.process_time()
    try:
        found, refused = codec.decode(page.carrier), False
    except DecodeError:
        found, refused = "", True
    return Score(min(1.0, Levenshtein.distance(found, page.text) / len(page.text)), refused, time.process_time() - start)


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """Whatever is read is returned."""
    kept = reader.LEAST_SURE, ocr.HOPELESS
    reader.LEAST_SURE = ocr.HOPELESS = 0.0
    try:
        yield
    finally:
        reader.LEAST_SURE, ocr.HOPELESS = kept


def compare(buckets: list[int], samples: int, language: str) -> list[str]:
    """The table of both decoders."""
    lines = [
        "| task | tokens | level | CER, OCR | CER, glyphs | exact, OCR | exact, glyphs | refused, glyphs "
        "| CPU s a context, OCR | OCR's CPU time over glyphs' |",
        "|---" * 10 + "|",
    ]
    new, old = RenderCodec(), RenderCodec(decoder="ocr")
    _warm_up(new, old)
    for task in TASKS:
        for bucket in buckets:
            for level in LEVELS:
                some = list(pages(task, bucket, level, samples, language))
                with unlimited():
                    read = [[score(old, page) for page in some]]
                read.append([score(new, page) for page in some])
                rate = [np.mean([one.rate for one in each]) for each in read]
                exact = [sum(one.rate == 0 for one in each) for each in read]
                refused = sum(one.refused for one in read[1])
                cpu = [np.mean([one.seconds for one in each]) for each in read]
                lines.append(
                    f"| {task} | {bucket} | {level} | {rate[0]:.4f} | {rate[1]:.4f} | {exact[0]} of {samples} | {exact[1]} of {samples} | "
                    f"{refused} | {cpu[0]:.2f} | {cpu[0] / cpu[1]:.1f} |"
                )
                print(lines[-1], flush=True)
    return lines


def _warm_up(*codecs: Codec) -> None:
    """Draw the glyphs and load the model, which happens once a process."""
    for codec in codecs:
        for text in ("warm up", "暖机"):
            codec.decode(codec.encode(text * 20))


def unreadable() -> dict[str, Image.Image]:
    """Images that hold no text."""
    registry = load_plugins()
    rng = np.random.default_rng(SEED)
    text = registry.task("needle").sample(512, SEED).context
    y, x = np.mgrid[0:448, 0:784]
    photo = 128 + 60 * np.sin(x / 57) + 50 * np.cos(y / 41 + x / 100) + rng.normal(0, 6, x.shape)
    (print_,) = RenderCodec().encode(text).pages
    return {
        "noise, uniform": Image.fromarray(rng.integers(0, 256, (364, 784, 3), np.uint8)),
        "noise, Gaussian": Image.fromarray(np.clip(rng.normal(128, 40, (364, 784)), 0, 255).astype(np.uint8)).convert("RGB"),
        "gradient": Image.fromarray(np.linspace(0, 255, 120_000).reshape(300, 400).astype(np.uint8)).convert("RGB"),
        "waves": Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).convert("RGB"),
        "QR code": registry.codec("codebook_external").encode(text).pages[0],
        "codebook": registry.codec("codebook").encode(text).pages[0],
        "codebook, aligned": registry.codec("codebook", preset="aligned").encode(text).pages[0],
        "print, a quarter as large": print_.resize((print_.width // 4, print_.height // 4), Image.Resampling.LANCZOS),
        "print, upside down": print_.rotate(180),
    }


def thresholds(samples: int) -> list[str]:
    """The table of what the thresholds are compared with: lowest or highest of each kind of page."""
    lines = [
        f"| page | fit, at least {reader.LEAST_FIT} | cells unexplained, at most {reader.UNEXPLAINED} "
        f"| sure, at least {reader.LEAST_SURE} | OCR sure, at least {reader.LEAST_SURE} |",
        "|---" * 5 + "|",
    ]
    for level in ("light", "heavy"):
        for language in ("en", "zh"):
            some = [page for task in TASKS for page in pages(task, 512, level, max(2, samples // 4), language)]
            found = np.array([_measures(one.carrier.pages[0]) for one in some])
            worst = (found[:, 0].min(), found[:, 1].max(), found[:, 2].min(), found[:, 3].min())
            lines.append(f"| {language}, {level}: the worst of {len(some)} | " + " | ".join(f"{value:.3f}" for value in worst) + " |")
    for name, image in unreadable().items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in _measures(image)) + " |")
    return lines


def _measures(page: Image.Image) -> tuple[float, float, float, float]:
    codec, grey = RenderCodec(), page.convert("L")
    pose = find_pose(grey, codec)
    if pose is None:
        return (0.0, 1.0, 0.0, 0.0)
    fitted = damaged.read_damaged(grey, pose, codec)
    return fitted.fit, fitted.unexplained, fitted.sure, ocr.read_page(grey, pose, codec).sure if recognise.available() else float("nan")


def main() -> None:
    """Print the tables."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # linear algebra reads it when it is loaded; its idle threads would count as CPU time
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.render_ocr", *sys.argv[1:]], os.environ | ONE_THREAD)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--language", default="en", choices=("en", "zh"))
    parser.add_argument("--buckets", type=int, nargs="+", default=[512])
    parser.add_argument("--no-thresholds", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = compare(given.buckets, given.samples, given.language)
    if not given.no_thresholds:
        lines += ["", *thresholds(given.samples)]
    print("\n" + "\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
