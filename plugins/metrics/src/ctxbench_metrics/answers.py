"""Scores of a plain answer against the expected text."""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar

import attrs
from rapidfuzz.distance import Levenshtein

from ctxbench import Metric, Sample, Scores, option
from ctxbench.options import Number, Optional
from ctxbench.outcome import assertions, is_refusal
from ctxbench_metrics.extraction import Extracted, after_question, extract_json, extract_text
from ctxbench_metrics.references import references_of, restored
from ctxbench_metrics.statements import Expected, gives

_ANNOUNCED = re.compile(r"\banswers?\b(?: is| are|\W{0,4}:)|答案(?:是|为|\W{0,4}[:：])", re.IGNORECASE)


@attrs.frozen
class HitAt1(Metric):
    """1 if the answer that the prediction gives is the expected one, or says that there is none where there is none; else 0.

    The expected values are ``sample.metadata["answers"]``, or ``[sample.answer]`` without such. The prediction is right if

    - it is the values, joined by commas, when case, Unicode compatibility forms, quotation marks and white space are left aside; or
    - its clauses assert every expected value and no other that could be taken for the answer. A clause that denies ("is not 17") or
      asks asserts nothing. With ``sample.metadata["ordered"]`` the values stand in the expected order. No other value: no
      identifier of the same shape (a number with at least half as many digits, a code or UUID at least half as long), no other bare item
      of a list where the value is a word, none of ``sample.metadata["distractors"]``. And it does not echo the context: it has none of
      its other sentences, and says at most 30 words besides the values and the question's words; or
    - that holds for what follows its last "answer is" or "answer:" (``答案是``).

    A repeated question and thoughts between ``<think>`` tags are left out. An identifier counts with each of its characters, a minus sign
    included, but its grouping does not: 4,821,973 is 4821973 and a UUID needs no hyphens. Words are compared as SQuAD does it.

    If ``sample.metadata["answerable"]`` is false, the prediction must be a short text that says so: ``sample.metadata["not_found"]``,
    or a refusal in English or Chinese, and it must assert no value.
    """

    version: ClassVar[int] = 2

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``hit_at_1``."""
        text = after_question(prediction.rpartition("</think>")[2], sample.question)
        facts = sample.metadata
        others = tuple(facts.get("distractors") or ())
        if facts.get("answerable") is False:
            hit = is_refusal(text, facts.get("not_found")) and not any(
                mentions(part, other) for part in assertions(text) for other in others
            )
        else:
            expected = Expected(_expected(sample, "hit_at_1"), bool(facts.get("ordered")), others, sample.question, sample.context)
            hit = gives(text, expected) or any(gives(part, expected) for part in _final(text))
        return Scores({"hit_at_1": float(hit)}, _how(prediction, sample) if hit else "none")


@attrs.frozen
class Contains(Metric):
    """1 if the prediction mentions every expected answer as a whole word, in any order and whatever else it says; else 0.

    The lenient score: a prediction that lists all candidates, denies the answer or repeats the context has it too; that is RULER's
    ``string_match_all`` (Hsieh et al., 2024) as a yes or no. Case, Unicode compatibility forms and white space do not matter. A whole
    word: ``12`` is not found in ``123``, ``1.12`` or ``a12``, but is in ``代码是12。``: the characters of Chinese, Japanese and Korean
    need no boundary. If ``sample.metadata["answerable"]`` is false, the prediction must be a short text that says so, as for ``hit_at_1``.
    """

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``contains``."""
        if sample.metadata.get("answerable") is False:
            found = is_refusal(prediction, sample.metadata.get("not_found"))
        else:
            found = all(mentions(prediction, answer) for answer in _expected(sample, "contains"))
        return Scores({"contains": float(found)}, _how(prediction, sample) if found else "none")


@attrs.frozen
class ExactMatch(Metric):
    """1 if the prediction, without surrounding white space and code fence, is the expected text, character by character; else 0.

    With ``sample.metadata["references"]``, if it is one of them.
    """

    version: ClassVar[int] = 2

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``exact_match``."""
        expected = {answer.strip() for answer in references_of(sample, "exact_match")}
        found = extract_text(prediction)
        if prediction.strip() in expected:
            return Scores({"exact_match": 1.0}, "raw")
        return Scores({"exact_match": float(found.text in expected)}, found.how)


@attrs.frozen
class CharacterErrorRate(Metric):
    """Levenshtein distance over the number of expected characters; an answer much longer than expected scores above 1.

    Compared is the answer without what surrounds it: where the expected text is a JSON document, the JSON found in the prediction (as
    for ``json_exact_match``; the whole prediction if there is none), else the prediction without white space and, unless the expected
    text begins with one itself, code fence around it.
    With an empty expected text the rate is the number of characters said.

    Attributes:
        cap: the largest rate to report, or ``None`` for no limit.
    """

    version: ClassVar[int] = 2
    higher_is_better: ClassVar[bool] = False

    cap: float | None = option(Optional(Number(above=0)), None)

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``character_error_rate``."""
        expected = sample.answer.strip()
        json = expected.startswith(("{", "["))
        found = extract_json(prediction, expected, sample.question) if json else restored(prediction, expected)
        rate = Levenshtein.distance(found.text, expected) / max(1, len(expected))
        return Scores({"character_error_rate": rate if self.cap is None else min(rate, self.cap)}, found.how)


def _expected(sample: Sample, metric: str) -> tuple[str, ...]:
    answers = sample.metadata.get("answers") or [sample.answer]
    if not isinstance(answers, (list, tuple)) or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise ValueError(f"{metric} needs metadata['answers'] to be a list of strings that are not empty, got {answers!r}")
    return tuple(answers)


def _final(text: str) -> list[str]:
    """What follows the last announcement of an answer."""
    marks = list(_ANNOUNCED.finditer(text))
    return [text[marks[-1].end() :]] if marks else []


def mentions(text: str, answer: str) -> bool:
    """True if an answer occurs in a text as a whole word; see :class:`Contains`."""
    return _has_word(_normal(text), _normal(answer))


def _how(prediction: str, sample: Sample) -> str:
    found: Extracted = extract_text(prediction)
    return found.how if _normal(found.text) == _normal(sample.answer) else "prose"


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _has_word(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not _joined(text, at - 1, word[0], -1) and not _joined(text, end, word[-1], 1):
            return True
        at = text.find(word, at + 1)
    return False


def _joined(text: str, at: int, edge: str, step: int) -> bool:
    """True if the character at ``at`` continues the word whose first or last character is ``edge``."""
    if not 0 <= at < len(text):
        return False
    neighbour = text[at]
    if neighbour == "." and edge.isdigit() and 0 <= at + step < len(text):
        return text[at + step].isdigit()  # a decimal point, not a full stop
    return _in_word(edge) and _in_word(neighbour)


def _in_word(character: str) -> bool:
    return (character.isalnum() or character == "_") and not _unspaced(character)


def _unspaced(character: str) -> bool:
    """Scripts that write words without spaces: Han and kana; and hangul, where particles follow a word directly."""
    code = ord(character)
    return 0x2E80 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7AF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF
