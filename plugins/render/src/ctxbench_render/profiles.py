"""``render`` with a profile: pages as other projects print them, or of the size that meets a ratio.

Sources are in ``docs/render.md``. Without a profile and a ratio the codec is :class:`~ctxbench_render.codec.RenderCodec` itself.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import attrs
import numpy as np

from ctxbench import Carrier, Codec
from ctxbench_render.codec import RenderCodec
from ctxbench_render.fonts import Ink
from ctxbench_render.fitted import FittedCodec
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

    reflow: bool = attrs.field(default=True, validator=attrs.validators.instance_of(bool))
    cell_width: int = attrs.field(default=5)

    @cell_width.validator
    def _check(self, _: attrs.Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not self.glyphs.cell <= value <= 200:
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
        glyph = self.glyphs.ink(cluster, self.pitch, round(self.pitch / 2 + self.font_size * 0.3))
        cells = glyph.shape[1] // self.glyphs.cell
        return np.pad(glyph, ((0, 0), (0, cells * self.cell - glyph.shape[1])))

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


def render(profile: str | None = None, target_ratio: float | None = None, **options: Any) -> Codec:
    """Pages of type.

    Args:
        profile: ``glyph``, ``vtcbench`` or ``pxpipe``, as these projects print; ``None`` is monospace type as the other options say.
        target_ratio: reference tokens of a text over the tokens of its pages; font size and line spacing are chosen to come near it.
            The option ``family`` names the rule that counts, ``qwen2-vl`` unless given.
        **options: of :class:`RenderCodec`; with ``glyph`` and ``vtcbench``, of :class:`~ctxbench_render.print.PrintCodec`.
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    if target_ratio is not None:
        if profile is not None:
            raise ValueError("target_ratio chooses the size that a profile fixes; give one of the two")
        return FittedCodec(target_ratio, **options)
    if profile == "pxpipe":
        return Pxpipe(**{**PXPIPE, **options})
    if profile == "glyph":
        return PrintCodec(profile, **{**GLYPH, **options})
    if profile == "vtcbench":
        return PrintCodec(profile, **{**VTCBENCH, **options})
    return RenderCodec(**options)


def _signature() -> inspect.Signature:
    """That of the factory with the options of monospace type in it, for ``ctxbench plugins show``."""
    own = [one for one in inspect.signature(render).parameters.values() if one.kind is not one.VAR_KEYWORD]
    more = inspect.signature(RenderCodec).parameters.values()
    keyword = [one.replace(kind=one.KEYWORD_ONLY) for one in (*own, *more)]
    return inspect.Signature(keyword, return_annotation=RenderCodec)


render.__signature__ = _signature()  # type: ignore[attr-defined]
