"""Proportional type: DejaVu Sans (of matplotlib), which has Verdana's proportions, and Aileron (of Pillow), which has Helvetica's."""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path

import attrs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ctxbench import ConfigError
from ctxbench_render.fonts import GlyphSource, Ink, font_files, inkless, width

FACES = ("dejavu-sans", "aileron")


@functools.cache
def _content(face: str) -> tuple[bytes, ...]:
    """The font files that are asked for a character, in this order: the face, DejaVu Sans, and what has Chinese.

    Raises:
        ConfigError: there is no such file.
    """
    others = [path for path in font_files(None) if path.name != "DejaVuSansMono.ttf"]
    sans = [path.read_bytes() for path in others]
    if face == "dejavu-sans":
        return tuple(sans)
    if face == "aileron":
        font = ImageFont.load_default(16)
        if not isinstance(font, ImageFont.FreeTypeFont) or not isinstance(font.path, io.BytesIO):
            raise ConfigError("this Pillow has no FreeType and cannot draw its font Aileron: pip install --force-reinstall pillow")
        return (font.path.getvalue(), *sans)
    if not Path(face).is_file():
        raise ConfigError(f"face must be one of {', '.join(FACES)} or a font file, got {face!r}")
    return (Path(face).read_bytes(), *sans)


@functools.cache
def fingerprint(face: str) -> str:
    """Hash of the face's own font file."""
    return f"{face} {hashlib.sha256(_content(face)[0]).hexdigest()[:16]}"


@functools.lru_cache(maxsize=8)
def _characters(face: str, number: int) -> frozenset[int]:
    from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        with TTFont(io.BytesIO(_content(face)[number]), lazy=True, fontNumber=0) as font:
            return frozenset(font.getBestCmap() or ())
    except TTLibError as error:
        raise ConfigError(f"font {face!r} cannot be read: {error}") from None


@functools.lru_cache(maxsize=16)
def _load(face: str, number: int, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(io.BytesIO(_content(face)[number]), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise ConfigError(f"font {face!r} cannot be read: {error}") from None


@attrs.frozen
class Typeface(GlyphSource):
    """A face at one size and line height. Each character has its own width in whole px and leaves no ink beside it."""

    line_height: int

    def number(self, character: str) -> int | None:
        """Which font file draws a character, or ``None`` if none does."""
        face = str(self.font)
        if inkless(character):
            return None
        return next((i for i in range(len(_content(face))) if ord(character) in _characters(face, i)), None)

    def file(self, character: str) -> Path | None:
        """Something, if the character can be drawn; the fonts need not be files."""
        return None if self.number(character) is None else Path(str(self.font))

    @property
    def baseline(self) -> int:
        """Of a line, in px below its top: capitals, 0.73 em high, stand in its middle."""
        return round(self.line_height / 2 + self.size * 0.36)

    def glyph(self, cluster: str) -> Ink:
        """Ink of a character with the marks that combine with it, (line height, width) px."""
        return _glyph(self, cluster)

    def width(self, text: str) -> int:
        """Width of a cluster in px."""
        return int(_glyph(self, text).shape[1])


@functools.lru_cache(maxsize=65536)
def _glyph(face: Typeface, cluster: str) -> Ink:
    number = face.number(cluster[0])
    font = _load(str(face.font), number or 0, face.size)
    left, _, right, _ = font.getbbox(cluster, anchor="ls")
    shift = max(0, -int(left))
    advance = max(1, round(font.getlength(cluster)), int(right) + shift if not cluster.isspace() else 0)
    image = Image.new("L", (advance, face.line_height), 0)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "L" if face.antialias else "1"
    for mark in (cluster[:1], *cluster[1:]):
        file = face.number(mark)
        if file is not None and not mark.isspace():
            at = shift if width(mark) else shift + _load(str(face.font), number or 0, face.size).getlength(cluster[0])
            draw.text((at, face.baseline), mark, font=_load(str(face.font), file, face.size), fill=255, anchor="ls")
    return np.asarray(image)
