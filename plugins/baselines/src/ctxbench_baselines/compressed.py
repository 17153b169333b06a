"""A general compressor's output as text: how few tokens hold the context's bytes without an image."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import attrs
import brotli

from ctxbench import Carrier, Codec, DecodeError, option, require_text
from ctxbench.options import Integer

MAX_TEXT = 256 * 1024 * 1024  # bytes; a short carrier must not unpack to more than this


@attrs.frozen
class Brotli64(Codec):
    """The context compressed by brotli and written in base64.

    No model reads it; a decoder does. It says what compression alone is worth in tokens.

    Attributes:
        quality: brotli's, 0 to 11; the greater, the smaller and slower.
    """

    quality: int = option(Integer(0, 11), 11)

    def encode(self, text: str) -> Carrier:
        """The text's bytes, compressed, in base64.

        Raises:
            EncodeError: a lone surrogate.
        """
        payload: bytes = brotli.compress(require_text(text).encode("utf-8"), quality=self.quality)
        return Carrier(text=base64.b64encode(payload).decode("ascii"), payload_bytes=len(payload))

    def decode(self, carrier: Carrier) -> str:
        """The text.

        Raises:
            DecodeError: the carrier holds no text, or one that is not whole.
        """
        if carrier.text is None:
            raise DecodeError("a compressed context is base64 text, and this carrier holds none")
        try:
            return _unpack(base64.b64decode(carrier.text.strip(), validate=True)).decode("utf-8")
        except (binascii.Error, brotli.error, ValueError) as error:
            raise DecodeError(f"the carrier's text is no compressed context: {error}") from None

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """No pages."""
        require_text(text)
        return []

    def hint(self, language: str) -> str:
        """Names the code."""
        if language == "zh":
            return "上下文经 brotli 压缩并以 base64 编码，如下。"
        return "The context is the text below, compressed by brotli and written in base64."


def _unpack(payload: bytes) -> bytes:
    unpacker: Any = brotli.Decompressor()
    raw: bytes = unpacker.process(payload, output_buffer_limit=MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:
        raise DecodeError(f"the carrier's text unpacks to more than {MAX_TEXT:,} bytes, the most that is read")
    if not unpacker.is_finished():
        raise DecodeError("the carrier's text is not whole")
    return raw
