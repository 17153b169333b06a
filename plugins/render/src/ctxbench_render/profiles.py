"""``render`` with a profile: pages as other projects print them, or of the size that meets a ratio.

Sources are in ``docs/render.md``. Without a profile and a ratio the codec is :class:`~ctxbench_render.codec.RenderCodec` itself.
"""

from __future__ import annotations

import functools
import inspect
from typing import Annotated, Any, ClassVar

import attrs
import numpy as np

from ctxbench import Carrier, Codec, nearest, option
from ctxbench.options import Boolean, Further, Integer, Number, Optional, String, Value, declared_options
from ctxbench_render.codec import RenderCodec
from ctxbench_render.fitted import FittedCodec
from ctxbench_render.fonts import GlyphSource, Ink
from ctxbench_render.print import PrintCodec

PXPIPE = {"font_size": 7, "columns": 312, "line_spacing": 8 / 7, "margin": 4, "page_height": 728}
GLYPH = {"face": "dejavu-sans", "font_size": 9, "line_height": 10, "width": 595, "height": 842, "margin": 10, "crop": True}
VTCBENCH = {"face": "aileron", "font_size": 16, "line_height": 19, "width": 896, "height": 896, "margin": 0, "crop": False, "jpeg": 85}
PROFILES = ("glyph", "pxpipe", "vtcbench")

RETURN, LIKE_RETURN = "\u21b5", "\u23ce"


@attrs.frozen
class Pxpipe(RenderCodec):
    """Pages of ``pxpipe``: cells of 5 x 8 px, 312 in a line, at most 1,568 x 728 px.

    Attributes:
        reflow: newlines are drawn as a sign of one cell and lines are filled up, as there; a sign that the text has already is drawn as
            another one and does not come back.
        cell_width: of a cell in px; type of 7 px is 4 px wide.
    """

    name: ClassVar[str] = "pxpipe"

    reflow: bool = option(Boolean(), True)
    cell_width: int = option(Integer(1, 200), 5)

    @cell_width.validator
    def _check(self, _: attrs.Attribute[int], value: object) -> None:
        if self.glyphs.cell > self.cell_width:
            raise ValueError(f"cell_width must be a whole number from {self.glyphs.cell}, the font's own, to 200, got {value!r}")

    @property
    def config(self) -> dict[str, Any]:
        """The options and the name of the profile."""
        return {"profile": self.name, **super().config}

    @property
    def cell(self) -> int:
        """Width of a cell in px."""
        return self.cell_width

    def ink(self, cluster: str) -> Ink:
        """Ink of one character, (line pitch, cells in px), with what a cell is wider than the font on its right.

        The baseline is higher than in other pages, so that an underscore shows in lines as close as these.
        """
        return _in_cells(self.glyphs, cluster, self.pitch, round(self.pitch / 2 + self.font_size * 0.3), self.cell)

    @property
    def bar(self) -> slice:
        """Nowhere, where every line is filled up."""
        return slice(0, 0) if self.reflow else super().bar

    def encode(self, text: str) -> Carrier:
        """See :meth:`RenderCodec.encode`."""
        return super().encode(self._flowing(text))

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes of the pages, without drawing them."""
        return super().page_sizes(self._flowing(text))

    def places(self, text: str) -> list[tuple[int, float, float] | None] | None:
        """See :meth:`RenderCodec.places`."""
        return None if "\r" in text else super().places(self._flowing(text))

    def decode(self, carrier: Carrier) -> str:
        """See :meth:`RenderCodec.decode`."""
        if not self.reflow:
            return super().decode(carrier)
        from ctxbench_render.reader import read
        from ctxbench_render.repertoire import same_script

        lines = [line for line, _ in read(carrier.pages, self)]
        filled = "".join(line + self._lost_spaces(line) for line in lines[:-1])
        return same_script(filled + "".join(lines[-1:]), self).replace(RETURN, "\n")

    def _flowing(self, text: str) -> str:
        if not self.reflow or not isinstance(text, str):
            return text
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text.replace(RETURN, LIKE_RETURN).replace("\n", RETURN)


@functools.lru_cache(maxsize=65536)
def _in_cells(glyphs: GlyphSource, cluster: str, height: int, baseline: int, cell: int) -> Ink:
    glyph = glyphs.ink(cluster, height, baseline)
    return np.pad(glyph, ((0, 0), (0, glyph.shape[1] // glyphs.cell * cell - glyph.shape[1])))


def render(profile: str | None = None, target_ratio: float | None = None, **options: Any) -> Codec:
    """Pages of type.

    Args:
        profile: ``glyph``, ``vtcbench`` or ``pxpipe``, as these projects print; ``None`` is monospace type as the other options say.
        target_ratio: reference tokens of a text over the tokens of its pages; font size and line spacing are chosen to come near it.
        family: the model family whose rule counts the tokens of ``target_ratio``; ``None`` is Qwen2-VL's.
        face: of the profiles ``glyph`` and ``vtcbench``: ``dejavu-sans``, ``aileron``, or the path of a font file.
        line_height: of the profiles ``glyph`` and ``vtcbench``: distance from line to line in px.
        width: of the profiles ``glyph`` and ``vtcbench``: width of a page in px.
        height: of the profiles ``glyph`` and ``vtcbench``: height of a page in px.
        crop: of the profiles ``glyph`` and ``vtcbench``: cut pages on the right and the last one below, a margin after their ink.
        jpeg: of the profiles ``glyph`` and ``vtcbench``: quality, 1 to 95, with which pages are saved as JPEG; ``None`` is without loss.
        reflow: of the profile ``pxpipe``: draw newlines as a sign of one cell and fill lines up.
        cell_width: of the profile ``pxpipe``: width of a cell in px.
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    if target_ratio is not None and profile is not None:
        raise ValueError("target_ratio chooses the size that a profile fixes; give one of the two")
    takes = set(_options(profile, target_ratio is not None))
    wrong = sorted(set(options) - takes)
    if wrong:
        there = f"profile={profile}" if profile else "target_ratio" if target_ratio is not None else "render without a profile"
        raise ValueError(f"{there} has no option {wrong[0]!r}{nearest(wrong[0], takes)}")
    if target_ratio is not None:
        return FittedCodec(target_ratio, **options)
    if profile == "pxpipe":
        return Pxpipe(**{**PXPIPE, **options})
    if profile is not None:
        return PrintCodec(profile, **{**(GLYPH if profile == "glyph" else VTCBENCH), **options})
    return RenderCodec(**options)


def _options(profile: str | None, fitted: bool = False) -> dict[str, inspect.Parameter]:
    """The options of the codec that a profile makes."""
    made = Pxpipe if profile == "pxpipe" else RenderCodec if profile is None else PrintCodec
    found = {name: one for name, one in inspect.signature(made).parameters.items() if name != "profile"}
    return {**found, "family": _FAMILY} if fitted else found


_FAMILY = inspect.Parameter("family", inspect.Parameter.KEYWORD_ONLY, default=None)


def _signature() -> inspect.Signature:
    """The options of monospace type, and ``**options`` for what profiles and ratios take.

    ``profile`` and ``target_ratio`` are among the latter, since pages without them leave them out of their config: stored trials of such
    pages keep their ids.
    """
    found = [one.replace(kind=one.KEYWORD_ONLY) for one in _options(None).values()]
    known = _options(None)
    further: dict[str, Value] = {"target_ratio": Number(0.05, 100), "family": Optional(String())}
    further |= {name: value for made in (PrintCodec, Pxpipe) for name, value in declared_options(made).items() if name not in known}
    further["profile"] = Optional(String(PROFILES))
    options = inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD, annotation=Annotated[Any, Further(**further)])
    return inspect.Signature([*found, options], return_annotation=RenderCodec)


render.__signature__ = _signature()  # type: ignore[attr-defined]
