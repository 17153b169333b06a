"""Fonts and glyphs: DejaVu Sans Mono from matplotlib's data, a user's own font, and a fallback that has Chinese."""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ctxbench import ConfigError, EncodeError

Ink = npt.NDArray[np.uint8]  # 0 is paper, 255 is ink


def _package_file(package: str, *parts: str) -> Path | None:
    """A file of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder).joinpath(*parts)
        if path.exists():
            return path
    return None


@functools.lru_cache(maxsize=8)
def _characters(path: Path) -> frozenset[int]:
    """Code points that a font file has glyphs for."""
    from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        with TTFont(str(path), lazy=True, fontNumber=0) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError) as error:
        raise ConfigError(f"font {str(path)!r} cannot be read: {error}") from None


@functools.lru_cache(maxsize=4)
def font_files(font: str | None) -> tuple[Path, ...]:
    """Font files in the order in which they are asked for a character.

    Raises:
        ConfigError: ``font`` is no file, or matplotlib's fonts are not installed.
    """
    files: list[Path | None] = []
    if font is not None:
        if not Path(font).is_file():
            raise ConfigError(f"font {font!r} is no file")
        files.append(Path(font))
    files += [_package_file("matplotlib", "mpl-data", "fonts", "ttf", name) for name in ("DejaVuSansMono.ttf", "DejaVuSans.ttf")]
    files.append(_package_file("noto_cjk_sans_jp_regular", "NotoSansCJKjp-Regular.otf"))
    found = tuple(path for path in files if path is not None)
    if not found:
        raise ConfigError("no font: DejaVu Sans Mono comes with matplotlib; pip install matplotlib")
    return found


@functools.cache
def width(character: str) -> int:
    """Cells that a character takes: 2 if it is wide (Chinese, Japanese, Korean, emoji), 0 if it combines with the one before it."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def inkless(character: str) -> bool:
    """Controls, joiners, direction marks and other characters that stand for something and show nothing."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Co", "Cs", "Cn")


@attrs.frozen
class GlyphSource:
    """Draws characters at one size. Glyphs are drawn once and kept."""

    font: str | None
    size: int
    antialias: bool

    @property
    def cell(self) -> int:
        """Width of a cell in px: the advance of ``0``, rounded."""
        return max(1, round(_load(font_files(self.font)[0], self.size).getlength("0")))

    def missing(self, text: str) -> dict[str, int]:
        """Characters of ``text`` that cannot be drawn, each with its first position; newlines and tabs are layout."""
        found = (c for c in set(text) if c not in "\n\t" and self.file(c) is None)
        return dict(sorted(((c, text.index(c)) for c in found), key=lambda item: item[1]))

    def check(self, text: str) -> None:
        """Refuse what cannot be drawn.

        Raises:
            EncodeError: names the first such character and its position.
        """
        for character, position in self.missing(text).items():
            name = unicodedata.name(character, "a control character" if unicodedata.category(character) == "Cc" else "unnamed")
            what = f"U+{ord(character):04X} ({name}) at character {position}"
            if inkless(character):
                raise EncodeError(f"{what} leaves no ink on a page; remove it, or draw its code with undrawable: escape")
            raise EncodeError(f"no font has {what}; {self._advice(character)}")

    @staticmethod
    def _advice(character: str) -> str:
        wide = unicodedata.east_asian_width(character) in "WF"
        if wide and _package_file("noto_cjk_sans_jp_regular", "NotoSansCJKjp-Regular.otf") is None:
            return "Chinese needs the extra: pip install 'ctxbench-render[cjk]'"
        return "name a font file that has it with the option font, or draw its code with undrawable: escape"

    def file(self, character: str) -> Path | None:
        """The font file that draws a character, or ``None`` if none does."""
        if inkless(character):
            return None
        return next((path for path in font_files(self.font) if ord(character) in _characters(path)), None)

    def ink(self, cluster: str, height: int, baseline: int) -> Ink:
        """Ink of a character with the marks that combine with it, (height, cells * cell) px."""
        return _draw(self, cluster, height, baseline)


@functools.lru_cache(maxsize=16)
def _load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise ConfigError(f"font {str(path)!r} cannot be read: {error}") from None


@functools.lru_cache(maxsize=65536)
def _draw(source: GlyphSource, cluster: str, height: int, baseline: int) -> Ink:
    cells = max(1, width(cluster[0]))
    image = Image.new("L", (cells * source.cell, height), 0)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "L" if source.antialias else "1"
    room = cells * source.cell
    for character in cluster:
        path = source.file(character)
        if path is None:
            continue
        font = _load(path, source.size)
        advance = font.getlength(character)
        if advance > room + 1 and path != font_files(source.font)[0]:  # a fallback font is not made for these cells
            font = _load(path, max(1, int(source.size * room / advance)))
            advance = font.getlength(character)
        shift = 0.0 if width(character) == 0 else max(0.0, (room - advance) / 2)
        draw.text((shift, baseline), character, font=font, fill=255, anchor="ls")
    return np.asarray(image)


@functools.lru_cache(maxsize=4)
def drawable(font: str | None) -> tuple[str, ...]:
    """Every character that the fonts have and that leaves ink, in the order of code points; marks that combine are left out."""
    codes = set().union(*(_characters(path) for path in font_files(font)))
    characters = (chr(code) for code in sorted(codes) if not 0xD800 <= code <= 0xDFFF)
    return tuple(c for c in characters if not inkless(c) and not c.isspace() and width(c))
