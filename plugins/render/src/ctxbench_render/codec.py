"""The codec: text as pages of monospace type."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import attrs
import numpy as np
from PIL import Image

from ctxbench import CapacityError, Carrier, Codec, option, require_text
from ctxbench.options import Boolean, Integer, Number, Optional, String
from ctxbench_render.fonts import GlyphSource, Ink
from ctxbench_render.layout import Line, break_lines, cells

GRID = 28  # px; pages are whole visual tokens of Qwen2-VL
MIN_SIDE = 56  # px; a smaller page would be scaled up by the processor
COLUMNS = 108  # at 7 px a cell and a margin of 14 px a page of 784 px, 28 visual tokens
MAX_PAGES = 1024  # 2.7 GB of default pages; more is a mistake or belongs in several documents
MAX_SIDE = 3584  # px; 3584 x 3584 px is the largest page that Qwen2-VL's processor leaves as it is


@attrs.frozen
class RenderCodec(Codec):
    """Monospace pages, dark on white, read from left to right and top to bottom.

    A line that is too long goes on in the next one; a bar in the right margin marks where it does, so that the break can be told from a
    newline. Wide characters take two cells, combining marks none. A tab is space up to the next multiple of ``tab`` cells; ``\\r\\n`` and
    ``\\r`` are drawn as newlines are. Right-to-left text is drawn in the order of its characters, from left to right and without joining
    forms, as on a terminal. A character that no font has (emoji, as a rule) or that leaves no ink (control characters, joiners, direction
    marks, the byte order mark) is refused, or drawn as its code: ``<U+200D>``.

    Attributes:
        font: path of a font file; ``None`` is DejaVu Sans Mono.
        font_size: in px.
        columns: cells in a line, which sets the page's width; ``None`` is at most 108 and no wider than the longest line needs.
        line_spacing: line pitch over font size.
        margin: white border in px.
        page_height: longest page in px.
        antialias: grey edges, or black and white only.
        tab: cells between tab stops.
        wrap: where a line is broken: ``char``, when it is full, or ``word``, before the last space that fits, if there is one in its
            second half.
        undrawable: ``error``, or ``escape`` to draw the code of what cannot be drawn.
        decoder: what :meth:`decode` reads with: ``grid``, this codec's own glyphs; ``ocr``, optical character recognition; ``auto``, the
            glyphs, and recognition where they do not explain a page. Pages are the same.
    """

    version: ClassVar[int] = 2
    fidelity: ClassVar[Literal["exact", "approximate"]] = "approximate"

    font: str | None = option(Optional(String()), None)
    font_size: int = option(Integer(5, 200), 12)
    columns: int | None = option(Optional(Integer(2, 500)), None)
    line_spacing: float = option(Number(0.8, 5.0), 1.15)
    margin: int = option(Integer(0, 400), 14)
    page_height: int = option(Integer(56, MAX_SIDE), 1120)
    antialias: bool = option(Boolean(), True)
    tab: int = option(Integer(1, 16), 4)
    wrap: str = option(String(("char", "word")), "char")
    undrawable: str = option(String(("error", "escape")), "error")
    decoder: str = option(String(("auto", "grid", "ocr")), "auto")

    def __attrs_post_init__(self) -> None:
        if self.tab > self.limit:
            raise ValueError(f"tab {self.tab} is wider than a line of {self.limit} columns")
        if self.width > MAX_SIDE:
            raise ValueError(f"{self.limit} columns of {self.cell} px make a page wider than {MAX_SIDE} px; lower columns or font_size")
        if self.lines_on_a_page < 1:
            raise ValueError(f"page_height {self.page_height} px holds no line of {self.pitch} px; raise it or lower font_size")

    @property
    def glyphs(self) -> GlyphSource:
        """Where glyphs come from."""
        return GlyphSource(self.font, self.font_size, self.antialias)

    @property
    def cell(self) -> int:
        """Width of a cell in px."""
        return self.glyphs.cell

    @property
    def limit(self) -> int:
        """The most cells that a line may have."""
        return COLUMNS if self.columns is None else self.columns

    @property
    def pitch(self) -> int:
        """Distance from line to line in px."""
        return max(1, round(self.font_size * self.line_spacing))

    @property
    def width(self) -> int:
        """Width in px of the widest page."""
        return self._width(self.limit)

    def _width(self, cells: int) -> int:
        return max(MIN_SIDE, GRID * math.ceil((cells * self.cell + 2 * self.margin) / GRID))

    @property
    def lines_on_a_page(self) -> int:
        """Lines that the longest page holds."""
        return (self.page_height // GRID * GRID - 2 * self.margin) // self.pitch

    def height(self, count: int) -> int:
        """Height in px of a page of ``count`` lines."""
        return max(MIN_SIDE, GRID * math.ceil((count * self.pitch + 2 * self.margin) / GRID))

    def encode(self, text: str) -> Carrier:
        """The text as pages.

        Raises:
            EncodeError: a lone surrogate, or a character that cannot be drawn; the message names it and its position.
            CapacityError: more than 1,024 pages would be needed.
        """
        pages = self._pages(text)
        width = self._fitted_width(pages)
        return Carrier(pages=[self._draw(page, width) for page in pages], payload_bytes=len(text.encode("utf-8")))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        pages = self._pages(text)
        width = self._fitted_width(pages)
        return [(width, self.height(len(page))) for page in pages]

    def places(self, text: str) -> list[tuple[int, float, float] | None] | None:
        """See :meth:`ctxbench.Codec.places`; ``None`` for a text that is not drawn character by character as it is."""
        if "\r" in text or (self.undrawable == "escape" and self.glyphs.missing(text)):
            return None
        pages = self._pages(text)
        width = self._fitted_width(pages)
        found: list[tuple[int, float, float] | None] = []
        for number, page in enumerate(pages):
            height = self.height(len(page))
            for row, line in enumerate(page):
                y = (self.margin + (row + 0.5) * self.pitch) / height
                for cell, cluster in line.clusters:
                    x = (self.margin + (cell + cells(cluster) / 2) * self.cell) / width
                    found += [None if cluster.isspace() else (number, x, y)] * len(cluster)
                found += [] if line.continued else [None]  # the newline
        return found[: len(text)]

    def decode(self, carrier: Carrier) -> str:
        """What is read on the pages; see :mod:`ctxbench_render.reader`.

        Tabs come back as spaces, and spaces and blank lines at the end of the text are lost, since they leave no ink.

        Raises:
            DecodeError: there is no page, a page is blank or holds nothing that can be read with confidence, or the extra ``ocr`` is needed
                and not installed.
        """
        from ctxbench_render.reader import read
        from ctxbench_render.repertoire import same_script

        lines = read(carrier.pages, self)
        text = "".join(line + (self._lost_spaces(line) if goes_on else "\n") for line, goes_on in lines).removesuffix("\n")
        return same_script(text, self)

    def _lost_spaces(self, line: str) -> str:
        """Spaces at the end of a line that goes on. One cell is free without a space where a wide character did not fit."""
        if self.wrap == "word":  # the space stands at the start of the next line
            return ""
        free = self.limit - cells(line)
        return " " * free if free > 1 or cells(line) == len(line) else ""

    def hint(self, language: str) -> str:
        """Says that the images show the text."""
        return "上面的图像显示了上下文的文字。" if language == "zh" else "The images above show the text of the context."

    def _pages(self, text: str) -> list[list[Line]]:
        text = require_text(text).replace("\r\n", "\n").replace("\r", "\n")
        if self.undrawable == "escape":
            text = text.translate({ord(c): f"<U+{ord(c):04X}>" for c in self.glyphs.missing(text)})
        self.glyphs.check(text)
        made = break_lines(text, self.limit, self.tab, self.wrap == "word")
        size = self.lines_on_a_page
        pages = math.ceil(len(made) / size)
        if pages > MAX_PAGES:
            raise CapacityError(f"the text needs {pages:,} pages, and {MAX_PAGES:,} is the most; split it, or use larger pages")
        return [made[i : i + size] for i in range(0, len(made), size)] or [[]]

    def _fitted_width(self, pages: list[list[Line]]) -> int:
        """Width in px of every page of a text: what its longest line needs, unless ``columns`` is given or a line was broken."""
        widest = max((line.cells for page in pages for line in page), default=0)
        if self.columns is not None or any(line.continued for page in pages for line in page):
            return self.width
        return self._width(widest)

    def _draw(self, page: list[Line], width: int) -> Image.Image:
        paper = np.zeros((self.height(len(page)), width), np.uint8)
        for row, line in enumerate(page):
            top = self.margin + row * self.pitch
            for cell, cluster in line.clusters:
                if cluster.isspace():
                    continue
                ink = self.ink(cluster)
                left = self.margin + cell * self.cell
                area = paper[top : top + self.pitch, left : left + ink.shape[1]]
                np.maximum(area, ink[: area.shape[0], : area.shape[1]], out=area)
            if line.continued:
                paper[top + 2 : top + self.pitch - 2, self.bar] = 255
        return Image.fromarray(255 - paper).convert("RGB")

    def ink(self, cluster: str) -> Ink:
        """Ink of one character with its combining marks, (line pitch, cells in px)."""
        baseline = round(self.pitch / 2 + self.font_size * 0.36)  # capitals, 0.73 em high, stand in the middle of the line
        return self.glyphs.ink(cluster, self.pitch, baseline)

    @property
    def bar(self) -> slice:
        """Columns in px of the mark of a line that goes on."""
        middle = self.margin + self.limit * self.cell + max(2, self.margin // 2)
        middle = min(middle, self.width - 2)
        return slice(middle - 1, middle + 1)
