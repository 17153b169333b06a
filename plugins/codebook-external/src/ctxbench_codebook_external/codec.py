"""The codec: text over as many standard symbols as it needs, on pages that waste few visual tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
from PIL import Image

from ctxbench import CapacityError, Carrier, Codec, DecodeError, option, require_text
from ctxbench.options import Integer, String
from ctxbench_codebook_external import symbols
from ctxbench_codebook_external.chunks import HEADER, Chunk, join, missing, pack, split
from ctxbench_codebook_external.symbol_reader import LADDER, grey_of, read_symbols
from ctxbench_codebook_external.symbols import Modules, Size

GRID = 28  # px; pages are whole visual tokens of Qwen2-VL
MIN_SIDE = 56  # px; a smaller page would be scaled up by the processor
MAX_PAGES = 1024  # 1.8 GB of full v40 pages at 4 px a module; more is a mistake or belongs in several documents


@attrs.frozen
class CodebookExternal(Codec):
    """QR, DataMatrix or Aztec symbols.

    Attributes:
        format: ``qr``, ``datamatrix`` or ``aztec``.
        error: QR's level of error correction, ``L``, ``M``, ``Q`` or ``H``; the others keep their writer's.
        module: side of a module in px.
        border: quiet zone around each symbol in modules.
        max_version: largest QR version to use, 1 to 40.
        layout: ``single``, one symbol a page, or ``tiled``, as many as fit.
        page: longest side of a tiled page in px.
        compression: ``none`` or ``zlib``.
    """

    version = 1

    format: str = option(String(("qr", "datamatrix", "aztec")), "qr")
    error: str = option(String(("L", "M", "Q", "H")), "L")
    module: int = option(Integer(1, 32), 4)
    border: int = option(Integer(0, 16), 4)
    max_version: int = option(Integer(1, 40), 40)
    layout: str = option(String(("single", "tiled")), "single")
    page: int = option(Integer(56, 3584), 980)
    compression: str = option(String(("none", "zlib")), "none")

    def encode(self, text: str) -> Carrier:
        """The text as pages of symbols.

        Raises:
            EncodeError: a lone surrogate.
            CapacityError: more than 1,024 pages or 65,535 symbols would be needed, or a symbol does not fit a tiled page.
        """
        payload, flags = pack(require_text(text), self.compression == "zlib")
        parts = split(payload, flags, self._capacities(len(payload)))
        self._check_pages(parts)
        made = [self._symbol(part) for part in parts]
        return Carrier(pages=[self._page(group) for group in self._groups(made)], payload_bytes=len(payload))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages; for QR without drawing them."""
        if self.format != "qr":
            return super().page_sizes(text)
        payload, _ = pack(require_text(text), self.compression == "zlib")
        sizes = [self._qr_size(capacity + HEADER.size).modules for capacity in self._capacities(len(payload))]
        blank = [np.zeros((side, side), np.bool_) for side in sizes]
        return [self._canvas(group)[:2] for group in self._groups(blank)]

    def decode(self, carrier: Carrier) -> str:
        """The text of the pages, in any order and orientation; see :mod:`~ctxbench_codebook_external.symbol_reader` for what is tried.

        Raises:
            DecodeError: no symbol, missing symbols (named), symbols of several documents, a checksum that differs, or a picture full of
                patterns that no page has.
        """
        if not carrier.pages:
            raise DecodeError("this carrier holds no page")
        greys = [grey_of(page) for page in carrier.pages]
        found: list[list[Chunk]] = [[] for _ in greys]
        for step in LADDER:
            for i, grey in enumerate(greys):
                if not found[i] or self.layout == "tiled":
                    seen = step(grey)
                    if seen is not grey or step is LADDER[0]:  # a page that is too large to be enlarged has been looked at
                        found[i] += read_symbols(seen, self.format)
            chunks = [chunk for page in found for chunk in page]
            if missing(chunks) == [] or len({chunk.document for chunk in chunks}) > 1:
                break
        return join(chunks)

    def hint(self, language: str) -> str:
        """Names the symbols."""
        name = {"qr": "QR code", "datamatrix": "Data Matrix", "aztec": "Aztec code"}[self.format]
        if language == "zh":
            return f"上下文编码在上面图像的 {name} 二维码中。"
        return f"The context is encoded in the {name} symbols in the images above."

    # ---- how many symbols, of which size

    def _capacities(self, length: int) -> list[int]:
        """Data bytes of each symbol, such that the pages cost the fewest visual tokens."""
        if self.format != "qr":
            limit = {"datamatrix": symbols.DATAMATRIX_BYTES, "aztec": symbols.AZTEC_BYTES}[self.format] - HEADER.size
            count = max(1, math.ceil(length / limit))
            return _even(length, count)
        best: tuple[float, list[int]] | None = None
        for size in symbols.qr_sizes(self.error)[: self.max_version]:
            room = size.capacity - HEADER.size
            if room < 1:
                continue
            count = max(1, math.ceil(length / room))
            if count > MAX_PAGES * 64:
                continue
            capacities = [room] * (count - 1) + [length - room * (count - 1)]
            cost = self._tokens(size) * (count - 1) + self._tokens(self._qr_size(capacities[-1] + HEADER.size))
            if best is None or (cost, count) < (best[0], len(best[1])):
                best = cost, capacities
        if best is None:
            raise CapacityError(
                f"{length:,} bytes need more symbols of QR version {self.max_version}-{self.error} than a document may have"
            )
        return best[1]

    def _qr_size(self, needed: int) -> Size:
        """The smallest version that holds ``needed`` bytes."""
        return next(size for size in symbols.qr_sizes(self.error) if size.capacity >= needed)

    def _tokens(self, size: Size) -> float:
        side = (size.modules + 2 * self.border) * self.module
        if self.layout == "single":
            return max(MIN_SIDE, GRID * math.ceil(side / GRID)) ** 2 / GRID**2
        return (side / GRID) ** 2

    def _check_pages(self, parts: Sequence[bytes]) -> None:
        """Refuse too many pages before the first is drawn."""
        fit = 1
        if self.layout == "tiled" and self.format == "qr":
            side = (self._qr_size(len(parts[0])).modules + 2 * self.border) * self.module
            fit = max(1, self.page // side) ** 2
        pages = math.ceil(len(parts) / fit)
        if pages > MAX_PAGES:
            raise CapacityError(f"the text needs {pages:,} pages, and {MAX_PAGES:,} is the most; split it, or use larger pages or symbols")

    # ---- drawing

    def _symbol(self, part: bytes) -> Modules:
        if self.format == "qr":
            return symbols.qr(part, self._qr_size(len(part)), self.error)
        return symbols.zxing(part, self.format)

    def _groups(self, made: Sequence[Modules]) -> list[list[Modules]]:
        """The symbols of each page."""
        if self.layout == "single":
            return [[modules] for modules in made]
        side = self._cell(made)
        if side > self.page:
            raise CapacityError(f"a symbol of {side} px does not fit a page of {self.page} px; lower module or max_version")
        fit = (self.page // side) ** 2
        return [list(made[i : i + fit]) for i in range(0, len(made), fit)]

    def _cell(self, group: Sequence[Modules]) -> int:
        return (max(int(max(modules.shape)) for modules in group) + 2 * self.border) * self.module

    def _canvas(self, group: Sequence[Modules]) -> tuple[int, int, int]:
        """(width, height, columns) of a page."""
        side = self._cell(group)
        columns = min(len(group), max(1, self.page // side)) if self.layout == "tiled" else 1
        if self.layout == "tiled" and len(group) < columns * columns:
            columns = min(columns, math.ceil(math.sqrt(len(group))))
        rows = math.ceil(len(group) / columns)
        return _up(columns * side), _up(rows * side), columns

    def _page(self, group: Sequence[Modules]) -> Image.Image:
        width, height, columns = self._canvas(group)
        page = np.full((height, width), 255, np.uint8)
        side = self._cell(group)
        rows = math.ceil(len(group) / columns)
        top, left = (height - rows * side) // 2, (width - columns * side) // 2
        for i, modules in enumerate(group):
            drawn = np.where(modules, 0, 255).astype(np.uint8).repeat(self.module, 0).repeat(self.module, 1)
            y = top + i // columns * side + (side - drawn.shape[0]) // 2
            x = left + i % columns * side + (side - drawn.shape[1]) // 2
            page[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
        return Image.fromarray(page).convert("RGB")


def _up(side: int) -> int:
    return max(MIN_SIDE, GRID * math.ceil(side / GRID))


def _even(length: int, count: int) -> list[int]:
    """``length`` split into ``count`` nearly equal parts."""
    return [length // count + (i < length % count) for i in range(count)]
