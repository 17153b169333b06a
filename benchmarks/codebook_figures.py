"""Draws the figures of docs/codebook.md: ``python -m benchmarks.codebook_figures [--folder docs/images]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ctxbench
from benchmarks import codebook_channel as channel
from benchmarks.codebook import CODES, full, text_of
from benchmarks.codebook_photographs import ALL, Shot, reason, taken
from ctxbench_codebook import grid, hard_reader
from ctxbench_codebook.classify import palette
from ctxbench_codebook.codec import Codebook
from ctxbench_codebook.layout import BAND_CELL, EDGE, QUIET, Layout, pilots

TEXT = "A page of the codebook, small enough to see its cells. " * 2
ZOOM = 5
INK = (20, 20, 20)
SHOTS: tuple[tuple[str, str, Shot], ...] = (
    ("camera", "perspective 0.2", Shot(perspective=0.2)),
    ("camera", "lens 0.1", Shot(lens=0.1)),
    ("camera", "finger 0.15", Shot(finger=0.15)),
    ("camera", "moire 0.2, vignette 0.7", Shot(moire=0.2, vignette=0.7)),
    ("camera", "0.5 px a px", Shot(scale=0.5)),
    ("robust", "a little of everything", ALL),
)


def anatomy() -> Image.Image:
    """A small page, enlarged, with its parts named and pilots and known header cells ringed."""
    (page,) = Codebook(cell=4, colors=8, compression="raw", page=140).encode(TEXT).pages
    layout = Layout(page.width, page.height, 4, 8)
    side = 250
    out = Image.new("RGB", (page.width * ZOOM + side, page.height * ZOOM), "white")
    out.paste(page.resize((page.width * ZOOM, page.height * ZOOM), Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(out)
    known = layout.band.known()[0]
    for (y, x), top, size in [
        *((p, EDGE + BAND_CELL, BAND_CELL) for p in np.argwhere(known)),
        *((p, layout.top, 4) for p in np.argwhere(pilots(layout)[0])),
    ]:
        box = [EDGE + x * size, top + y * size, EDGE + (x + 1) * size, top + (y + 1) * size]
        pen.rectangle([int(v * ZOOM) + (1 if i < 2 else -2) for i, v in enumerate(box)], outline=(255, 90, 0), width=2)
    font = ImageFont.load_default(15)
    band_middle = (EDGE + BAND_CELL + layout.top) / 2
    for name, y in (
        ("quiet zone, 6 px", QUIET / 2),
        ("frame, 6 px", QUIET + 2.5),
        ("timing row, 4 px", EDGE + BAND_CELL / 2),
        ("header, 4 px a bit;\nringed: every fourth, known", band_middle),
        ("payload cells;\nringed: pilots", (layout.top + page.height - EDGE) / 2),
    ):
        lines = name.count("\n") + 1
        pen.text((page.width * ZOOM + 24, y * ZOOM - 9 * lines), name, fill=INK, font=font, spacing=3)
        pen.line([(page.width - 7) * ZOOM, y * ZOOM, page.width * ZOOM + 18, y * ZOOM], fill=(255, 90, 0), width=2)
    return out


def stages() -> Image.Image:
    """Part of a page after heavy damage, and the colours of its cells after each attempt."""
    text = np.random.default_rng(3).integers(32, 127, 9000, np.uint8).tobytes().decode()
    (page,) = Codebook(preset="robust", compression="raw").encode(text).pages
    heavy = ctxbench.load_plugins().augmenter("heavy", order="camera", scale=0.8)
    damaged = heavy.apply(page, np.random.default_rng(4))
    sent, seen = channel.locate_page(page), channel.locate_page(damaged)
    assert sent is not None
    assert seen is not None
    layout = Layout(page.width, page.height, 5, 16)
    truth = next(hard_reader.attempts(sent[0], sent[1], layout))
    colors, shape, cut = palette(16), (layout.rows, layout.columns), (slice(0, 32), slice(0, 44))
    panels = [("sent", colors[truth])]
    names = ("nearest colour", "equaliser, from pilots", "equaliser, from all cells", "interference cancelled")
    tries = list(hard_reader.attempts(seen[0], seen[1], layout))
    for name, symbols in zip(names, tries, strict=False):
        wrong = float((symbols != truth).mean())
        panels.append((f"{name}: {wrong:.1%} wrong", colors[symbols]))
    raw = grid.cells_of(seen[0], seen[1], layout)[2:-2, 2:-2].reshape(-1, 3)
    panels.insert(1, ("received (mean of each cell)", raw))
    return sheet([(name, cells.reshape(*shape, 3)[cut]) for name, cells in panels])


def photographs() -> Image.Image:
    """Pages as a phone takes them: what is read, and what is not. Below each a part of it, four times as large."""
    width, font = 300, ImageFont.load_default(14)
    out = Image.new("RGB", (3 * (width + 12), 2 * (width + 150)), "white")
    pen = ImageDraw.Draw(out)
    for place, (code, name, shot) in enumerate(SHOTS):
        for number in range(8):  # of what is read sometimes, one that is not
            (page,) = CODES[code].encode(text_of(full(CODES[code]), "figure", number)).pages
            picture = taken(page, shot, np.random.default_rng(number))
            failed = reason(code, picture)
            if failed or shot is not ALL:
                break
        x, y = place % 3 * (width + 12) + 4, place // 3 * (width + 150)
        pen.text((x, y + 4), f"{code}, {name}: {failed or 'read'}", fill=INK if not failed else (190, 30, 0), font=font)
        small = picture.copy()
        small.thumbnail((width, width), Image.Resampling.LANCZOS)
        out.paste(small, (x, y + 26))
        left, top = picture.width * 5 // 12, picture.height * 5 // 12
        part = picture.crop((left, top, left + width // 4, top + 24))
        out.paste(part.resize((width, 96), Image.Resampling.NEAREST), (x, y + 30 + small.height))
    return out


def sheet(panels: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Panels in rows of three, each with its name above."""
    zoom, font = 6, ImageFont.load_default(14)
    height, width = (n * zoom for n in panels[0][1].shape[:2])
    rows = -(-len(panels) // 3)
    out = Image.new("RGB", (3 * (width + 12), rows * (height + 30)), "white")
    pen = ImageDraw.Draw(out)
    for i, (name, cells) in enumerate(panels):
        x, y = i % 3 * (width + 12) + 4, i // 3 * (height + 30)
        pixels = np.rint(255 * np.clip(cells, 0, 1)).astype(np.uint8)
        pen.text((x, y + 5), name, fill=INK, font=font)
        out.paste(Image.fromarray(pixels.repeat(zoom, 0).repeat(zoom, 1)), (x, y + 26))
    return out


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (("anatomy", anatomy()), ("stages", stages())):
        path = folder / f"codebook-{name}.png"
        figure.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.name}: {figure.width} x {figure.height} px, {path.stat().st_size:,} bytes")
    path = folder / "codebook-photographs.jpg"
    photographs().save(path, quality=80, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
