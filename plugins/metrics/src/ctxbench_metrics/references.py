"""What a prediction is compared with: the right answers of a sample, and the text that a prediction gives."""

from __future__ import annotations

from ctxbench import Sample
from ctxbench_metrics.extraction import Extracted, extract_text


def references_of(sample: Sample, metric: str) -> tuple[str, ...]:
    """Alternatives, any one of which is right: ``sample.metadata["references"]``, or the sample's answer alone.

    Raises:
        ValueError: they are no list of texts.
    """
    found = sample.metadata.get("references") or [sample.answer]
    if not isinstance(found, (list, tuple)) or not all(isinstance(answer, str) for answer in found):
        raise ValueError(f"{metric} needs metadata['references'] to be a list of strings, got {found!r}")
    return tuple(found)


def restored(prediction: str, expected: str) -> Extracted:
    """The text that a prediction gives where a text was to be restored: without a code fence around it, unless the text has one itself."""
    if expected.lstrip().startswith("`"):
        return Extracted("raw", prediction.strip())
    return extract_text(prediction)
