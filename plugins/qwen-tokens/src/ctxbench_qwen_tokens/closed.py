"""Claude and Gemini, by what their makers publish. Visual tokens only: neither tokenizers nor markers are published."""

from __future__ import annotations

import bisect
import math
from typing import Any, ClassVar

import attrs

from ctxbench import ImageTokens, TokenCounter, option
from ctxbench.options import String


@attrs.frozen
class Claude(TokenCounter):
    """A token for each 28 x 28 px, begun ones included. A page beyond the limits is scaled down to the largest size within them.

    Attributes:
        tier: ``high`` (Opus 4.7, Sonnet 5, Fable 5 and later: 2,576 px and 4,784 tokens) or ``standard`` (before them: 1,568 px and
            1,568 tokens).
    """

    PATCH: ClassVar[int] = 28
    LARGEST: ClassVar[int] = 8000
    TIERS: ClassVar[dict[str, tuple[int, int]]] = {"high": (2576, 4784), "standard": (1568, 1568)}

    source: str = attrs.field(
        default="Anthropic, Vision, resolution and token cost; Coordinates and bounding boxes, how Claude resizes and pads images"
        " (platform.claude.com/docs/en/build-with-claude/vision)",
        init=False,
    )
    tier: str = option(String(TIERS), "high")

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"tier": self.tier}

    def image(self, width: int, height: int) -> ImageTokens:
        """Tokens after scaling; the padding to whole squares on the right and below is counted, and is no content.

        Raises:
            ValueError: a side is longer than 8,000 px, which the API rejects (2,000 px in a request of more than 20 images).
        """
        if max(width, height) > self.LARGEST:
            raise ValueError(f"a {width} x {height} px image is longer than {self.LARGEST} px, which the API rejects")
        w, h = self._fitted(width, height)
        return ImageTokens(self._squares(w) * self._squares(h), w, h, (w, h) != (width, height))

    def _squares(self, side: int) -> int:
        return math.ceil(side / self.PATCH)

    def _fits(self, width: int, height: int) -> bool:
        edge, most = self.TIERS[self.tier]
        return max(width, height) <= edge and self._squares(width) * self._squares(height) <= most

    def _fitted(self, width: int, height: int) -> tuple[int, int]:
        if self._fits(width, height):
            return width, height
        if height > width:
            h, w = self._fitted(height, width)
            return w, h

        def short(long: int) -> int:
            return max(1, round(long / (width / height)))

        # Both sides grow with the longer one, so that sizes that fit come before those that do not.
        fitting = bisect.bisect_left(range(1, width), True, key=lambda long: not self._fits(long, short(long)))
        return fitting, short(fitting)


@attrs.frozen
class GeminiTiles(TokenCounter):
    """Gemini 2: 258 tokens for a page of at most 384 px on both sides, and else for each of its tiles.

    A tile's side is the page's shorter side divided by 1.5, but 256 to 768 px; each is enlarged to 768 px, so that no page loses
    pixels. The guide calls the formula rough.
    """

    source: str = attrs.field(
        default="Google, Gemini API, Image understanding, Token calculation (ai.google.dev/gemini-api/docs/image-understanding);"
        " limits of a tile as Vertex AI's guide gives them",
        init=False,
    )

    TOKENS: ClassVar[int] = 258

    @property
    def config(self) -> dict[str, Any]:
        """No options."""
        return {}

    def image(self, width: int, height: int) -> ImageTokens:
        """258 tokens, once or for each tile."""
        if max(width, height) <= 384:
            return ImageTokens(self.TOKENS, width, height)
        tile = max(256, min(768, int(min(width, height) / 1.5)))
        tiles = math.ceil(width / tile) * math.ceil(height / tile)
        return ImageTokens(self.TOKENS * tiles, round(width * 768 / tile), round(height * 768 / tile))


@attrs.frozen
class GeminiResolution(TokenCounter):
    """Gemini 3: every image has the tokens that ``media_resolution`` allots, which are the most that it costs.

    How a page is resized is not published: its own size is reported, and no loss of pixels is flagged.

    Attributes:
        media_resolution: ``low`` (280 tokens), ``medium`` (560), ``high`` (1,120, the default for images) or ``ultra_high`` (2,240).
    """

    TOKENS: ClassVar[dict[str, int]] = {"low": 280, "medium": 560, "high": 1120, "ultra_high": 2240}

    source: str = attrs.field(
        default="Google, Gemini API, Media resolution, Token counts (ai.google.dev/gemini-api/docs/media-resolution)", init=False
    )
    media_resolution: str = option(String(TOKENS), "high")

    @property
    def config(self) -> dict[str, Any]:
        """The option that a config may set."""
        return {"media_resolution": self.media_resolution}

    def image(self, width: int, height: int) -> ImageTokens:
        """The setting's tokens, whatever the page."""
        return ImageTokens(self.TOKENS[self.media_resolution], width, height)


def claude(tier: str = "high") -> Claude:
    """Claude's rule since 2026."""
    return Claude(tier=tier)


def gemini_2_5() -> GeminiTiles:
    """Gemini 2.0 and 2.5."""
    return GeminiTiles()


def gemini_3(media_resolution: str = "high") -> GeminiResolution:
    """Gemini 3."""
    return GeminiResolution(media_resolution=media_resolution)
