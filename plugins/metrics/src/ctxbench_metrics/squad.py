"""SQuAD's exact match and F1, against the best of several right answers (Rajpurkar et al., 2016)."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import ClassVar

import attrs

from ctxbench import Metric, Sample, Scores
from ctxbench.outcome import is_refusal
from ctxbench_metrics.extraction import after_question, extract_text
from ctxbench_metrics.references import references_of
from ctxbench_metrics.words import is_unspaced

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation))
_PUNCTUATION_UNSPACED = str.maketrans(dict.fromkeys("。，、；：？！“”‘’（）《》〈〉「」『』【】…—·"))


def normalized(text: str) -> str:
    """Lower case, no punctuation, no articles, single blanks; of Chinese punctuation none either."""
    plain = text.lower().translate(_PUNCTUATION).translate(_PUNCTUATION_UNSPACED)
    return " ".join(_ARTICLE.sub(" ", plain).split())


def tokens(text: str) -> list[str]:
    """The words of a normalised text; each Chinese or Japanese character is one."""
    return "".join(f" {character} " if is_unspaced(character) else character for character in normalized(text)).split()


def f1(prediction: str, reference: str) -> float:
    """Harmonic mean of the shares of tokens that the two have in common, as bags; equal emptiness is 1."""
    said, wanted = tokens(prediction), tokens(reference)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def _said(prediction: str, sample: Sample) -> str:
    text = after_question(prediction.rpartition("</think>")[2], sample.question)
    return extract_text(text).text


def _absent(text: str, sample: Sample) -> float:
    return float(not normalized(text) or is_refusal(text, sample.metadata.get("not_found")))


@attrs.frozen
class SquadExactMatch(Metric):
    """1 if the prediction is one of the right answers once both are normalised; else 0.

    The right answers are ``sample.metadata["references"]``, or ``[sample.answer]``. A repeated question, thoughts between ``<think>`` tags
    and a code fence are left out first. If ``sample.metadata["answerable"]`` is false, right is an empty prediction or one that says so.
    """

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``squad_exact_match``."""
        text = _said(prediction, sample)
        if sample.metadata.get("answerable") is False:
            return Scores({"squad_exact_match": _absent(text, sample)})
        hit = any(normalized(text) == normalized(answer) for answer in references_of(sample, "squad_exact_match"))
        return Scores({"squad_exact_match": float(hit)}, "raw" if hit else "none")


@attrs.frozen
class SquadF1(Metric):
    """F1 of the words that prediction and right answer have in common, as bags; the best over several right answers.

    As for ``squad_exact_match``; each Chinese or Japanese character counts as a word.
    """

    version: ClassVar[int] = 1

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``squad_f1``."""
        text = _said(prediction, sample)
        if sample.metadata.get("answerable") is False:
            return Scores({"squad_f1": _absent(text, sample)})
        best = max(f1(text, answer) for answer in references_of(sample, "squad_f1"))
        return Scores({"squad_f1": best}, "raw" if best else "none")
