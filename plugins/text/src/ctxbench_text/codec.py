"""The carrier that every other is compared with: the context itself."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ctxbench import Carrier, Codec, DecodeError, plain_text_hint, require_text


@attrs.frozen
class TextCodec(Codec):
    """The context stands in the prompt as text."""

    verbatim: ClassVar[bool] = True

    def encode(self, text: str) -> Carrier:
        """A carrier that holds the text itself."""
        return Carrier(text=require_text(text), payload_bytes=len(text.encode("utf-8")))

    def decode(self, carrier: Carrier) -> str:
        """The carrier's text.

        Raises:
            DecodeError: the carrier holds pages instead.
        """
        if carrier.text is None:
            raise DecodeError(f"the text codec reads text, and this carrier holds {len(carrier.pages)} pages and no text")
        return carrier.text

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """No pages."""
        require_text(text)
        return []

    def hint(self, language: str) -> str:
        """The context follows as text."""
        return plain_text_hint(language)
