"""RULER's two scores, from 0 to 1 where RULER prints percent."""

from __future__ import annotations

import re

import attrs

from ctxbench import Metric, Sample

_CONTROL = re.compile(r"[\x00-\x1f]")


def said(prediction: str) -> str:
    """A prediction as RULER compares it: control characters are line breaks, nothing stands around it, and case does not count."""
    return _CONTROL.sub("\n", prediction.strip()).strip().lower()


def _references(sample: Sample) -> list[str]:
    references = sample.metadata.get("answers") or [sample.answer]
    if not isinstance(references, (list, tuple)) or not all(isinstance(one, str) for one in references):
        raise ValueError(f"RULER's scores need metadata['answers'] to be a list of strings, got {references!r}")
    return [one.lower() for one in references]


@attrs.frozen
class All(Metric):
    """The share of ``sample.metadata["answers"]`` that occur in the prediction, anywhere and as parts of words too."""

    def score(self, prediction: str, sample: Sample) -> dict[str, float]:
        """``string_match_all``."""
        text, references = said(prediction), _references(sample)
        return {"string_match_all": sum(one in text for one in references) / len(references)}


@attrs.frozen
class Part(Metric):
    """1 if any of ``sample.metadata["answers"]`` occurs in the prediction, anywhere and as part of a word too; else 0."""

    def score(self, prediction: str, sample: Sample) -> dict[str, float]:
        """``string_match_part``."""
        text = said(prediction)
        return {"string_match_part": float(any(one in text for one in _references(sample)))}
