"""``render`` with ``target_ratio``: the size of the type follows from the text."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from PIL import Image

from ctxbench import Carrier, Codec, DecodeError, require_text, tokens
from ctxbench_render.codec import RenderCodec
from ctxbench_render.registration import Spectrum, ink_points, is_clean, text_angle

WIDTH = 784  # px, that of a default page, less its margins: as many cells of any size as fit
SIZES = range(5, 33)
"""Font sizes in px that are tried."""

SPACINGS = (1.0, 1.1, 1.2, 1.3, 1.5)
"""Line pitches over the font size."""

SCALES = (0.66, 1.45)
STEP = 0.004
CANDIDATES = 3
"""Sizes with which a page is read that none reads exactly."""


@attrs.frozen
class Fit:
    """The type that was chosen for a text.

    Attributes:
        codec: that draws it.
        requested: the ratio that was asked for.
        reached: reference tokens of the text over the tokens of its pages, markers included.
    """

    codec: RenderCodec
    requested: float
    reached: float


@attrs.frozen
class FittedCodec(Codec):
    """Monospace pages whose font size and line spacing are chosen for each text, so that its pages cost the wanted share of its tokens.

    Attributes:
        target_ratio: reference tokens of a text over the tokens of its pages, markers included.
        family: the rule that counts the tokens of a page.
        options: of :class:`RenderCodec`, but for ``font_size``, ``line_spacing`` and ``columns``, which are chosen.
    """

    version: ClassVar[int] = RenderCodec.version
    fidelity: ClassVar[Literal["exact", "approximate"]] = "approximate"

    target_ratio: float
    family: str = tokens.REFERENCE
    options: dict[str, Any] = attrs.field(factory=dict, hash=False)

    def __init__(self, target_ratio: float, family: str = tokens.REFERENCE, **options: Any) -> None:
        if isinstance(target_ratio, bool) or not isinstance(target_ratio, (int, float)) or not 0.05 <= target_ratio <= 100:
            raise ValueError(f"target_ratio must be a number from 0.05 to 100, got {target_ratio!r}")
        for name in ("font_size", "line_spacing", "columns"):
            if options.pop(name, None) is not None:
                raise ValueError(f"{name} is chosen to meet target_ratio; give one of the two")
        RenderCodec(**options)
        tokens.counter(family)
        self.__attrs_init__(float(target_ratio), family, options)  # type: ignore[attr-defined]

    @property
    def config(self) -> dict[str, Any]:
        """The ratio, the rule, and the options of the type, as they were given."""
        return {"target_ratio": self.target_ratio, "family": self.family, **self.options}

    def fit(self, text: str) -> Fit:
        """The type that comes nearest to the ratio; of two as near, the larger one.

        Raises:
            EncodeError, CapacityError: as the codec would at every size.
        """
        count = tokens.count_text(require_text(text), tokens.REFERENCE)
        cost = functools.lru_cache(maxsize=None)(lambda codec: self._cost(codec, text))
        low, high = SIZES[0], SIZES[-1]
        while high - low > 1:  # the largest type whose lines at their closest still meet the ratio
            middle = (low + high) // 2
            low, high = (middle, high) if count >= self.target_ratio * cost(self._typed(middle, SPACINGS[0])) else (low, middle)
        near = [codec for codec in self._all() if low - 2 <= codec.font_size <= high]
        best = min(near, key=lambda codec: (abs(math.log(max(1, count) / cost(codec) / self.target_ratio)), -codec.font_size, codec.pitch))
        return Fit(best, self.target_ratio, count / cost(best))

    def encode(self, text: str) -> Carrier:
        """The text as pages.

        Raises:
            EncodeError, CapacityError: as :meth:`RenderCodec.encode`.
        """
        return self.fit(text).codec.encode(text)

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        return self.fit(text).codec.page_sizes(text)

    def places(self, text: str) -> list[tuple[int, float, float] | None] | None:
        """See :meth:`RenderCodec.places`."""
        return self.fit(text).codec.places(text)

    def decode(self, carrier: Carrier) -> str:
        """What is read on the pages with the type that fits them, which the pixels tell.

        Raises:
            DecodeError: as :meth:`RenderCodec.decode`.
        """
        if not carrier.pages:
            raise DecodeError("this carrier holds no page")
        from ctxbench_render.exact import read_exactly

        page = max(carrier.pages, key=lambda page: page.width * page.height).convert("RGB")
        for codec in self._clean(page):
            if read_exactly(page, codec) is not None:
                return codec.decode(carrier)
        errors = []
        for codec in self._likely(page):
            try:
                return codec.decode(carrier)
            except DecodeError as error:
                errors.append(error)
        raise errors[0] if errors else DecodeError("page 1 is blank: nothing recognised")

    def hint(self, language: str) -> str:
        """As of the monospace codec."""
        return RenderCodec().hint(language)

    def _typed(self, size: int, spacing: float) -> RenderCodec:
        return _typed(size, spacing, tuple(sorted(self.options.items())))

    def _cost(self, codec: RenderCodec, text: str) -> int:
        counter = tokens.counter(self.family)
        pages = [counter.image(*size) for size in codec.page_sizes(text)]
        return sum(page.tokens for page in pages) + counter.overhead(pages)

    def _all(self) -> list[RenderCodec]:
        """Every type in whose lines an underscore shows: the closest ones of some sizes cut it off."""
        every = (self._typed(size, spacing) for size in SIZES for spacing in SPACINGS)
        return [codec for codec in every if codec.ink("_").any()]

    def _clean(self, page: Image.Image) -> list[RenderCodec]:
        """The types whose lines and margins the page's ink does not contradict."""
        grey = page.convert("L")
        return [codec for codec in self._all() if is_clean(grey, codec)]

    def _likely(self, page: Image.Image) -> list[RenderCodec]:
        """The types whose cells and lines a damaged page's ink repeats with, at a scale near 1; the likeliest first."""
        x, y, weight = ink_points(page.convert("L"))
        if len(x) < 8:
            return []
        angle = text_angle(x, y, weight)
        across = Spectrum.of(x * math.cos(angle) + y * math.sin(angle), weight)
        upright = Spectrum.of(y * math.cos(angle) - x * math.sin(angle), weight)
        scales = np.exp(np.arange(math.log(SCALES[0]), math.log(SCALES[1]), STEP))

        def score(codec: RenderCodec) -> float:
            found = across.at(codec.cell * scales) + upright.at(codec.pitch * scales)
            return float((found - 0.1 * np.abs(np.log(scales))).max())

        return sorted(self._all(), key=score, reverse=True)[:CANDIDATES]


@functools.lru_cache(maxsize=256)
def _typed(size: int, spacing: float, options: tuple[tuple[str, Any], ...]) -> RenderCodec:
    given = dict(options)
    first = RenderCodec(font_size=size, line_spacing=spacing, columns=16, **given)
    columns = max(16, (WIDTH - 2 * first.margin) // first.cell)
    # As many columns as the page has may be fewer in a text of short lines, as without a ratio.
    return _Fitting(font_size=size, line_spacing=spacing, columns=min(columns, 500), **given)


@attrs.frozen
class _Fitting(RenderCodec):
    """Type in a page that is no wider than its longest line needs, though its columns are given."""

    def _fitted_width(self, pages: Any) -> int:
        widest = max((line.cells for page in pages for line in page), default=0)
        return self.width if any(line.continued for page in pages for line in page) else self._width(widest)
