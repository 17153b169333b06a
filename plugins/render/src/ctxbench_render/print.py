"""The codec of the profiles ``glyph`` and ``vtcbench``: proportional type on pages of one size."""

from __future__ import annotations

import io
import math
from typing import ClassVar, Literal

import attrs
import numpy as np
from PIL import Image

from ctxbench import CapacityError, Carrier, Codec, option, require_text
from ctxbench.options import Boolean, Integer, Optional, String
from ctxbench_render import faces
from ctxbench_render.codec import MAX_PAGES, MAX_SIDE
from ctxbench_render.faces import Typeface
from ctxbench_render.fonts import Ink
from ctxbench_render.layout import clusters


@attrs.frozen
class PrintCodec(Codec):
    """Proportional type, black on white, broken at spaces, as a document is printed.

    A space at which a line is broken is not drawn, and nothing tells such a break from a newline: :meth:`decode` takes a line whose
    successor's first word would not have fitted for broken. Characters stand at whole px, without kerning.

    Attributes:
        profile: the name of the profile whose defaults these are.
        face: ``dejavu-sans``, ``aileron``, or the path of a font file; what it lacks comes from DejaVu Sans, and Chinese from the extra.
        font_size: in px.
        line_height: distance from line to line in px.
        width: of a page in px.
        height: of a page in px.
        margin: white border in px.
        crop: cut pages on the right and the last one below, a margin after their ink.
        jpeg: quality, 1 to 95, with which pages are saved as JPEG; ``None`` is without loss.
        antialias: grey edges, or black and white only.
        undrawable: ``error``, or ``escape`` to draw the code of what cannot be drawn.
        tab: spaces that a tab is drawn as.
    """

    version: ClassVar[int] = 1
    fidelity: ClassVar[Literal["exact", "approximate"]] = "approximate"

    profile: str = option(String(("glyph", "vtcbench")))
    face: str = option(String())
    font_size: int = option(Integer(5, 200))
    line_height: int = option(Integer(5, 400))
    width: int = option(Integer(56, MAX_SIDE))
    height: int = option(Integer(56, MAX_SIDE))
    margin: int = option(Integer(0, 400))
    crop: bool = option(Boolean())
    jpeg: int | None = option(Optional(Integer(1, 95)), None)
    antialias: bool = option(Boolean(), True)
    undrawable: str = option(String(("error", "escape")), "error")
    tab: int = option(Integer(1, 16), 4)

    def __attrs_post_init__(self) -> None:
        faces.fingerprint(self.face)  # a face that is not there is refused now
        if self.lines_on_a_page < 1:
            raise ValueError(f"a page of {self.height} px holds no line of {self.line_height} px between margins of {self.margin} px")
        if self.limit < 2 * self.font_size:
            raise ValueError(f"lines of {self.limit} px are too short for type of {self.font_size} px; lower margin or font_size")

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the face's font file."""
        return faces.fingerprint(self.face)

    @property
    def type(self) -> Typeface:
        """Where glyphs come from."""
        return Typeface(self.face, self.font_size, self.antialias, self.line_height)

    @property
    def limit(self) -> int:
        """Width in px of the longest line."""
        return self.width - 2 * self.margin

    @property
    def lines_on_a_page(self) -> int:
        """Lines that a page holds."""
        return (self.height - 2 * self.margin) // self.line_height

    def encode(self, text: str) -> Carrier:
        """The text as pages.

        Raises:
            EncodeError: a lone surrogate, or a character that cannot be drawn; the message names it and its position.
            CapacityError: more than 1,024 pages would be needed.
        """
        pages = self._pages(text)
        drawn = [self._draw(page, *size) for page, size in zip(pages, self._sizes(pages), strict=True)]
        return Carrier(pages=drawn, payload_bytes=len(text.encode("utf-8")))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        return self._sizes(self._pages(text))

    def decode(self, carrier: Carrier) -> str:
        """What is read on the pages; see :mod:`ctxbench_render.print_reader`.

        Tabs come back as spaces, and spaces at the end of a line and blank lines at the end of the text are lost.

        Raises:
            DecodeError: there is no page, a page is blank, or what is on it is not this type.
        """
        from ctxbench_render.print_reader import read

        return read(carrier.pages, self)

    def hint(self, language: str) -> str:
        """Says that the images show the text."""
        return "上面的图像显示了上下文的文字。" if language == "zh" else "The images above show the text of the context."

    def measure(self, text: str) -> int:
        """Width of a text in px."""
        face = self.type
        return sum(face.width(cluster) for cluster in clusters(text))

    def _pages(self, text: str) -> list[list[str]]:
        text = require_text(text).replace("\r\n", "\n").replace("\r", "\n")
        if self.undrawable == "escape":
            text = text.translate({ord(c): f"<U+{ord(c):04X}>" for c in self.type.missing(text)})
        self.type.check(text)
        made = [line for paragraph in text.replace("\t", " " * self.tab).split("\n") for line in self.wrapped(paragraph)]
        size = self.lines_on_a_page
        if math.ceil(len(made) / size) > MAX_PAGES:
            raise CapacityError(
                f"the text needs {math.ceil(len(made) / size):,} pages, and {MAX_PAGES:,} is the most; split it, or use larger pages"
            )
        return [made[i : i + size] for i in range(0, len(made), size)]

    def wrapped(self, paragraph: str) -> list[str]:
        """The lines of a paragraph: each is as long as words fit, and a word that is longer than a line is cut where it is full."""
        face, limit = self.type, self.limit
        lines, current, used = [], "", 0
        for word in _words(paragraph):
            if word != " " and current.endswith(" ") and current.strip() and used + self.measure(word) > limit:
                lines.append(current[:-1])
                current, used = "", 0
            for cluster in clusters(word):
                size = face.width(cluster)
                if used + size > limit and cluster != " ":
                    lines.append(current)
                    current, used = "", 0
                current, used = current + cluster, used + size
        return [*lines, current]

    def _sizes(self, pages: list[list[str]]) -> list[tuple[int, int]]:
        if not self.crop:
            return [(self.width, self.height)] * len(pages)
        sizes = []
        for number, page in enumerate(pages, 1):
            widest = max(self.measure(line.rstrip()) for line in page)
            height = self.height if number < len(pages) else len(page) * self.line_height + 2 * self.margin
            sizes.append((min(self.width, max(56, widest + 2 * self.margin)), min(self.height, max(56, height))))
        return sizes

    def _draw(self, page: list[str], width: int, height: int) -> Image.Image:
        face = self.type
        paper = np.zeros((height, width), np.uint8)
        for row, line in enumerate(page):
            top, left = self.margin + row * self.line_height, self.margin
            for cluster in clusters(line.rstrip()):
                ink: Ink = face.glyph(cluster)[:, : max(0, width - left)]
                paper[top : top + self.line_height, left : left + ink.shape[1]] = ink
                left += ink.shape[1]
        image = Image.fromarray(255 - paper).convert("RGB")
        if self.jpeg is None:
            return image
        saved = io.BytesIO()
        image.save(saved, "JPEG", quality=self.jpeg, optimize=True)
        return Image.open(saved).convert("RGB")


def _words(paragraph: str) -> list[str]:
    """The paragraph in words and single spaces."""
    parts: list[str] = []
    for i, word in enumerate(paragraph.split(" ")):
        if i:
            parts.append(" ")
        if word:
            parts.append(word)
    return parts
