"""ctxbench codecs to compare with: what fewer tokens buy without a code of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import CodecRecord, hookimpl


@hookimpl
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """Truncation, a compressor's output as text, the codebook's dictionary as text, and print at half its size."""
    here = "ctxbench_baselines"
    yield CodecRecord("truncate", "The beginning, the end, or both ends of the context, at a ratio.", f"{here}.truncate:Truncate")
    yield CodecRecord("brotli64", "The context compressed by brotli, as base64 text.", f"{here}.compressed:Brotli64")
    yield CodecRecord(
        "dictionary_text", "The codebook's dictionary codes as text, a word of one token each.", f"{here}.dictionary:DictionaryText"
    )
    yield CodecRecord("half_resolution", "The render codec's pages at half their size.", f"{here}.half:HalfResolution")
