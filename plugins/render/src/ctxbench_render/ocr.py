"""Optical character recognition of rendered pages with rapidocr.

Recognition models read words and lose spaces, so both ways below take the layout from the pixels and only the characters from the model:
a *clean* page is cut into its lines and cells, which are known exactly; a *damaged* page is turned upright first, its lines found by a
text detector, and its character width estimated from them.
"""

from __future__ import annotations

import functools
import logging
import os
import statistics
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from ctxbench import DecodeError

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Grey = npt.NDArray[np.uint8]
INK = 128  # grey level below which a pixel of a clean page is ink


@functools.lru_cache(maxsize=1)
def _engine() -> Any:
    """The OCR engine, one for each process.

    Raises:
        DecodeError: rapidocr is not installed.
    """
    try:
        from rapidocr import RapidOCR  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise DecodeError("reading rendered pages needs OCR: pip install 'ctxbench-render[ocr]'") from None
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": 0.0,
            "Global.max_side_len": 4000,
            "Det.limit_type": "max",
            "Det.limit_side_len": 2016,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def read_page(page: Image.Image, codec: RenderCodec) -> tuple[str, bool]:
    """(text, whether its last line goes on) of one page."""
    grey = np.asarray(page.convert("L"))
    if _is_clean(grey, codec):
        return _read_clean(grey, codec)
    return _read_damaged(grey, codec), False


def _is_clean(grey: Grey, codec: RenderCodec) -> bool:
    """The page has this codec's width and nothing but paper around and, at first sight, between its lines."""
    if grey.shape[1] != codec.width or grey.shape[0] % 28:
        return False
    edge = max(1, codec.margin // 2)
    border = np.concatenate([grey[:edge].ravel(), grey[-edge:].ravel(), grey[:, :edge].ravel()])
    return bool((border == 255).all())


# ---- clean pages


def _read_clean(grey: Grey, codec: RenderCodec) -> tuple[str, bool]:
    rows = (grey.shape[0] - 2 * codec.margin) // codec.pitch
    left, cell = codec.margin, codec.glyphs.cell
    strips = [grey[codec.margin + i * codec.pitch : codec.margin + (i + 1) * codec.pitch] for i in range(rows)]
    inked = [_inked_cells(strip[:, left : left + codec.columns * cell], cell) for strip in strips]
    filled = [i for i, cells in enumerate(inked) if cells.any()]
    if not filled:
        return "", False
    texts = dict(zip(filled, _recognise([_crop(strips[i], inked[i], left, cell) for i in filled]), strict=True))
    out, continued = [], False
    for i in range(filled[-1] + 1):
        line = _place(texts.get(i, ""), inked[i])
        continued = bool((strips[i][:, codec.bar] < INK).mean() > 0.5)
        out.append(line.ljust(codec.columns) if continued else line + "\n")
    return "".join(out).removesuffix("\n"), continued


def _inked_cells(strip: Grey, cell: int) -> npt.NDArray[np.bool_]:
    """Which cells of a line hold ink. The outermost columns of a cell may hold a neighbour's edge, so they do not count."""
    cells = (strip < 200).any(0).reshape(-1, cell)
    return np.asarray(cells[:, 1:-1].any(1) if cell > 4 else cells.any(1))


def _crop(strip: Grey, inked: npt.NDArray[np.bool_], left: int, cell: int) -> Grey:
    """The inked part of a line, with a cell of paper at each end."""
    first, last = int(inked.argmax()), len(inked) - int(inked[::-1].argmax())
    start, end = left + first * cell - cell, left + last * cell + cell
    return np.pad(strip, ((2, 2), (cell, cell)), constant_values=255)[:, start + cell : end + cell]


def _place(text: str, inked: npt.NDArray[np.bool_]) -> str:
    """The recognised characters on the inked cells; where their number differs, word by word with the spaces of the model."""
    characters = "".join(text.split())
    cells = np.flatnonzero(inked)
    if len(cells) == 0:
        return ""
    if len(characters) == len(cells):
        line = [" "] * (int(cells[-1]) + 1)
        for position, character in zip(cells, characters, strict=True):
            line[position] = character
        return "".join(line)
    return " " * int(cells[0]) + text.strip()


def _recognise(crops: list[Grey]) -> list[str]:
    """The text of each crop."""
    engine = _engine()
    results = [engine(np.repeat(crop[:, :, None], 3, 2), use_det=False, use_cls=False, use_rec=True) for crop in crops]
    return [str(result.txts[0]) if result.txts else "" for result in results]


# ---- damaged pages


@attrs.frozen
class _Box:
    """A piece of text that the detector found: left, right and middle in px of the upright page."""

    left: float
    right: float
    middle: float
    height: float
    text: str


def _read_damaged(grey: Grey, codec: RenderCodec) -> str:
    boxes = _detect(_upright(grey))
    if not boxes:
        return ""
    return _compose(boxes, codec)


def _upright(grey: Grey) -> Grey:
    """The page turned by the angle at which its lines are sharpest in the row sums (projection profile; Postl, 1986)."""
    small = Image.fromarray(grey)
    small.thumbnail((500, 500))
    base = 255 - np.asarray(small, np.float32)

    def sharpness(angle: float) -> float:
        turned = Image.fromarray(base).rotate(angle, Image.Resampling.BILINEAR)
        rows = np.asarray(turned).sum(1)
        return float(((rows[1:] - rows[:-1]) ** 2).sum())

    best = max(np.arange(-20, 20.5, 1.0), key=sharpness)
    best = max(np.arange(best - 1, best + 1.05, 0.1), key=sharpness)
    if abs(best) < 0.05:
        return grey
    return np.asarray(Image.fromarray(grey).rotate(float(best), Image.Resampling.BICUBIC, expand=True, fillcolor=255))


def _detect(grey: Grey) -> list[_Box]:
    result = _engine()(np.repeat(grey[:, :, None], 3, 2), use_det=True, use_cls=False, use_rec=True)
    if result.boxes is None:
        return []
    found = []
    for corners, text in zip(np.asarray(result.boxes, float), result.txts, strict=True):
        x, y = corners[:, 0], corners[:, 1]
        found.append(_Box(float(x.min()), float(x.max()), float(y.mean()), float(y.max() - y.min()), str(text)))
    return found


def _compose(boxes: list[_Box], codec: RenderCodec) -> str:
    """Lines from boxes: a box belongs to a line if its middle is near; gaps become spaces by the estimated width of a cell."""
    boxes = sorted(boxes, key=lambda box: box.middle)
    height = statistics.median(box.height for box in boxes)
    rows: list[list[_Box]] = []
    for box in boxes:
        if rows and box.middle - statistics.mean(b.middle for b in rows[-1]) < height * 0.5:
            rows[-1].append(box)
        else:
            rows.append([box])
    wide = [(box.right - box.left) / len(box.text) for box in boxes if len(box.text) >= 8]
    cell = statistics.median(wide) if wide else height / 2
    left = min(box.left for box in boxes)
    end = left + codec.columns * cell
    text = ""
    for row in rows:
        line = ""
        for box in sorted(row, key=lambda b: b.left):
            gap = round((box.left - left) / cell) - len(line)
            line += " " * max(0, gap) + box.text
        full = row and max(box.right for box in row) > end - 1.5 * cell
        text += line + ("" if full else "\n")
    return text.removesuffix("\n")
