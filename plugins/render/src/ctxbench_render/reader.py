"""The decoder: pages in, lines out, or a :class:`~ctxbench.DecodeError` that says which page cannot be read and why.

A page as the codec drew it is looked up cell by cell. A damaged one is fitted with the codec's own glyphs; where they do not explain it
(Chinese, another font), optical character recognition reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ctxbench import DecodeError
from ctxbench_render import ocr, recognise
from ctxbench_render.damaged import read_damaged
from ctxbench_render.exact import read_exactly
from ctxbench_render.registration import find_pose

if TYPE_CHECKING:
    from ctxbench_render.codec import RenderCodec

Lines = list[tuple[str, bool]]

LEAST_SURE = 0.5
"""Share of a page's inked cells that must be read with confidence: a page of which most is not, is not read."""

LEAST_FIT = 0.85
"""Share of the variance of a page's inked cells that the codec's glyphs must account for, or they are not what is on it."""

UNEXPLAINED = 0.03
"""Share of the inked cells that no glyph explains from which recognition is asked as well. ``python -m benchmarks.render_ocr`` prints what
pages come to."""

SMALL = 0.35
"""Area, over that of the page before, of what newlines at the end of a text may leave on a page of their own."""


def read(pages: Sequence[Image.Image], codec: RenderCodec) -> Lines:
    """(text, whether the next line goes on with it) of every line of a carrier.

    Raises:
        DecodeError: there is no page, a page holds nothing that can be recognised, or most of one is below confidence.
    """
    if not pages:
        raise DecodeError("this carrier holds no page")
    lines: Lines = []
    for number, page in enumerate(pages, 1):
        name = f"page {number} of {len(pages)}"
        found = _read(page, codec, name)
        if not any(text or goes_on for text, goes_on in found):
            found = _blank(pages, number - 1, codec, name)
        elif number < len(pages):  # blank lines at its end belong to the text
            found = (found + [("", False)] * codec.lines_on_a_page)[: codec.lines_on_a_page]
        else:
            while found[-1] == ("", False):
                found.pop()
        lines += found
    return lines


def _blank(pages: Sequence[Image.Image], at: int, codec: RenderCodec, name: str) -> Lines:
    """The lines of a page without ink that the codec makes: the page of the empty text, or the last one of a text that ends with newlines.

    Raises:
        DecodeError: it is a canvas on which nothing is written.
    """
    page = pages[at].convert("RGB")
    if len(pages) == 1:
        (empty,) = codec.encode("").pages
        if page.size == empty.size and page.tobytes() == empty.tobytes():
            return []
    elif at == len(pages) - 1 and page.width * page.height <= SMALL * pages[at - 1].width * pages[at - 1].height:
        return [("", False)]
    raise DecodeError(f"{name} ({page.width} x {page.height} px) is blank: nothing recognised")


def _read(page: Image.Image, codec: RenderCodec, name: str) -> Lines:
    """The lines of one page; none, or blank ones, if it has no ink."""
    if min(page.size) < 1:
        return []
    if codec.decoder != "ocr":
        exact = read_exactly(page, codec)
        if exact is not None:
            return exact
    grey = page.convert("L")
    pose = find_pose(grey, codec)
    if pose is None:
        return []
    tried: list[tuple[float, Lines]] = []
    if codec.decoder != "ocr":
        fitted = read_damaged(grey, pose, codec)
        fits = fitted.fit >= LEAST_FIT
        tried.append((fitted.sure if fits else 0.0, fitted.lines))
        if fits and fitted.unexplained <= UNEXPLAINED and fitted.sure >= LEAST_SURE:
            return fitted.lines
    if codec.decoder == "ocr" or (codec.decoder == "auto" and recognise.available()):
        seen = ocr.read_page(grey, pose, codec)
        tried.append((seen.sure, seen.lines))
    sure, lines = max(tried, key=lambda result: result[0])
    _check(sure, lines, codec, name)
    return lines


def _check(sure: float, lines: Lines, codec: RenderCodec, name: str) -> None:
    hint = "" if codec.decoder != "auto" or recognise.available() else f"; {recognise.INSTALL}"
    if not any(text for text, _ in lines):
        raise DecodeError(f"{name}: nothing recognised{hint}")
    if sure < LEAST_SURE:
        raise DecodeError(f"{name}: only {sure:.0%} of what is on it was read with confidence, at least {LEAST_SURE:.0%} must be{hint}")
