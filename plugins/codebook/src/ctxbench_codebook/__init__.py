"""ctxbench codec: a dense 2D colour code."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import CodecRecord, hookimpl


@hookimpl
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """The codebook codec."""
    summary = "A 2D colour code: frame, pilots, header with CRC, Reed-Solomon; presets bw4, color4, robust, dense, max, aligned."
    yield CodecRecord("codebook", summary, "ctxbench_codebook.codec:Codebook")
