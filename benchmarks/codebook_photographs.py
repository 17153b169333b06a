"""Pages as a phone takes them: ``python -m benchmarks.codebook_photographs [--codes camera,robust] [--pages 6] [--pictures FOLDER]``.

A page of random ASCII, full, lies on a cluttered table, turned by up to 8 degrees, 0.8 px a px, in JPEG 70 with a little blur and noise;
then one thing is made worse at a time: perspective (corners moved by so much of the side), a lens that bends straight lines (Brown's first
coefficient, in half widths of the picture; positive is a barrel), darker corners, the moire of a screen, a finger over a corner (its length
as a share of the side), the distance. ``--pictures`` keeps one picture of each that failed. Seconds are of processor time.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.codebook import CODES, full, text_of, timed_decode
from ctxbench import Carrier, DecodeError, derive_seed

Samples = npt.NDArray[np.float32]
TABLE = 1.35  # width of the picture in pages


@attrs.frozen
class Shot:
    """How a picture is taken; lengths are shares of the page's side."""

    scale: float = 0.8
    perspective: float = 0.0
    lens: float = 0.0
    vignette: float = 0.0
    moire: float = 0.0
    finger: float = 0.0
    quality: int = 70


SERIES: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("perspective", (0.05, 0.1, 0.15, 0.2)),
    ("lens", (0.01, 0.02, 0.05, 0.1, -0.05)),
    ("vignette", (0.4, 0.7)),
    ("moire", (0.1, 0.2)),
    ("finger", (0.05, 0.1, 0.15)),
    ("scale", (0.7, 0.6, 0.5)),
    ("quality", (50, 30)),
)
ALL = Shot(perspective=0.1, lens=0.02, vignette=0.4, moire=0.05, finger=0.05)


def taken(page: Image.Image, shot: Shot, draw: np.random.Generator) -> Image.Image:
    """The picture."""
    import cv2

    paper = np.asarray(page, np.float32) / np.float32(255)
    height, width = paper.shape[:2]
    across, down = int(width * shot.scale * TABLE), int(height * shot.scale * TABLE)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    seen = (corners - [width / 2, height / 2]) * shot.scale + draw.uniform(-1, 1, (4, 2)) * shot.perspective * width * shot.scale
    angle = np.deg2rad(draw.uniform(-8, 8))
    seen = seen @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + [across / 2, down / 2]
    matrix = cv2.getPerspectiveTransform(seen.astype(np.float32), corners.astype(np.float32))

    y, x = np.mgrid[0:down, 0:across].astype(np.float32)
    nx, ny = (x + 0.5) / (across / 2) - 1, (y + 0.5 - down / 2) / (across / 2)
    bent = 1 + shot.lens * (nx * nx + ny * ny)
    at = np.stack([(nx * bent + 1) * across / 2, ny * bent * across / 2 + down / 2, np.ones_like(nx)], -1) @ matrix.T
    px, py = (at[..., i] / at[..., 2] - 0.5 for i in range(2))
    softened = cv2.GaussianBlur(paper, (0, 0), 0.4 / shot.scale)
    picture = cv2.remap(softened, px.astype(np.float32), py.astype(np.float32), cv2.INTER_CUBIC)
    inside = (px >= 0) & (px < width - 1) & (py >= 0) & (py < height - 1)
    picture = np.where(inside[..., None], picture, _table(across, down, draw))
    if shot.moire:
        turn, wave = draw.uniform(0, np.pi), draw.uniform(0.3, 0.9)
        stripes = np.sin((np.cos(turn) * x + np.sin(turn) * y) * wave)[..., None]
        picture = picture * (1 + shot.moire * stripes * np.array([1, 0.6, 0.9]))
    if shot.finger:
        tip, length = seen[draw.integers(4)], shot.finger * width * shot.scale
        axes = (int(length), int(0.6 * length))
        picture = np.ascontiguousarray(picture, np.float32)
        cv2.ellipse(picture, (int(tip[0]), int(tip[1])), axes, draw.uniform(0, 180), 0, 360, (0.8, 0.6, 0.5), -1)
    picture = picture * (1 - shot.vignette * np.clip(nx * nx + ny * ny, 0, 1.5) / 1.5)[..., None]
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.5) + draw.normal(0, 0.01, picture.shape)
    kept = io.BytesIO()
    Image.fromarray(np.rint(255 * picture.clip(0, 1)).astype(np.uint8)).save(kept, "JPEG", quality=shot.quality)
    return Image.open(kept).convert("RGB")


def _table(across: int, down: int, draw: np.random.Generator) -> Samples:
    """What lies around the page: soft colours and some things with edges."""
    import cv2

    table = cv2.resize(draw.random((9, 9, 3)).astype(np.float32), (across, down), interpolation=cv2.INTER_CUBIC).clip(0.1, 0.75)
    for _ in range(12):
        x, y = int(draw.integers(across)), int(draw.integers(down))
        size = int(draw.integers(20, across // 4)), int(draw.integers(5, down // 4))
        cv2.rectangle(table, (x, y), (x + size[0], y + size[1]), draw.random(3).tolist(), -1)
    return np.asarray(table, np.float32)


def rows(codes: list[str], pages: int, seed: int, pictures: Path | None) -> Iterator[str]:
    """A row for each kind of shot."""
    yield "| what is worse | " + " | ".join(codes) + " | seconds a page |"
    yield "|---" * (len(codes) + 2) + "|"
    shots = [("as it is", Shot()), *((f"{name} {value}", attrs.evolve(Shot(), **{name: value})) for name, some in SERIES for value in some)]
    shots.append(("perspective 0.1, lens 0.02, vignette 0.4, moire 0.05, finger 0.05", ALL))
    sizes = {code: full(CODES[code]) for code in codes}
    for title, shot in shots:
        cells, spent = [], 0.0
        for code in codes:
            exact, failed = 0, ""
            for number in range(pages):
                text = text_of(sizes[code], "photograph", seed, number)
                (page,) = CODES[code].encode(text).pages
                picture = taken(page, shot, np.random.default_rng(derive_seed("photograph", seed, number, title)))
                found, seconds = timed_decode(CODES[code], picture)
                spent += seconds
                if found is not None and found != text:
                    raise SystemExit(f"another text: {code}, {title}, number {number}")
                exact += found == text
                if found is None and not failed:
                    failed = reason(code, picture)
                    if pictures:
                        picture.save(pictures / f"{code}-{title.split(',')[0].replace(' ', '-')}.jpg", quality=90)
            cells.append(f"{exact} / {pages}" + (f" ({failed})" if failed else ""))
        yield f"| {title} | " + " | ".join(cells) + f" | {spent / pages / len(codes):.2f} |"


def reason(code: str, picture: Image.Image) -> str:
    """The kind of failure."""
    kinds: dict[str, Any] = {"no frame": "no frame", "no header": "no header", "too many errors": "errors"}
    try:
        CODES[code].decode(Carrier(pages=[picture]))
    except DecodeError as error:
        return next((short for part, short in kinds.items() if part in str(error)), "other")
    return ""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", type=lambda value: value.split(","), default=["camera", "robust", "color4"])
    parser.add_argument("--pages", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="a folder for one picture of each kind that failed")
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    for line in rows(options.codes, options.pages, options.seed, options.pictures):
        print(line, flush=True)


if __name__ == "__main__":
    main()
