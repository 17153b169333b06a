"""ctxbench codec: monospace pages."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import CodecRecord, hookimpl


@hookimpl
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """The render codec."""
    yield CodecRecord("render", "Monospace pages, as a reader would see the text.", "ctxbench_render.profiles:render")
