"""ctxbench codec: the context as it is."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import CodecRecord, hookimpl


@hookimpl
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """The text codec."""
    yield CodecRecord("text", "The context as it is.", "ctxbench_text.codec:TextCodec")
