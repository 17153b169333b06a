"""ctxbench codec: QR, DataMatrix and Aztec symbols."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import CodecRecord, hookimpl


@hookimpl
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """The codebook_external codec."""
    summary = "Standard 2D barcodes: QR, DataMatrix or Aztec, several symbols in sequence."
    yield CodecRecord("codebook_external", summary, "ctxbench_codebook_external.codec:CodebookExternal")
