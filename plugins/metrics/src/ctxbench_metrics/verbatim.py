"""How a text came back: word errors, exact identifiers, and words that were replaced by other real words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import attrs
from rapidfuzz.distance import Levenshtein

from ctxbench import Metric, Sample, Scores
from ctxbench_metrics.references import restored
from ctxbench_metrics.words import Word, english, is_unspaced, word_list_version, words_of


def _units(text: str) -> list[str]:
    """What a word error rate counts: stretches between white space; each Chinese or Japanese character is one."""
    return "".join(f" {character} " if is_unspaced(character) else character for character in text).split()


@attrs.frozen
class WordErrorRate(Metric):
    """Words that were replaced, left out or added (their least number), over the words expected; more than expected scores above 1.

    Words are what stands between white space, punctuation and case included; each Chinese or Japanese character is one. Compared is the
    prediction without a code fence around it. With no expected words the rate is the number of words said.
    """

    higher_is_better: ClassVar[bool] = False

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``word_error_rate``."""
        found = restored(prediction, sample.answer)
        said, wanted = _units(found.text), _units(sample.answer)
        return Scores({"word_error_rate": Levenshtein.distance(said, wanted) / max(1, len(wanted))}, found.how)


@attrs.frozen
class Identifiers(Metric):
    """Numbers, codes and names, which must be exact to be of use, apart from the words beside them.

    Both texts are taken as bags of words. ``identifier_precision`` is the share of the identifiers said that are expected,
    ``identifier_recall`` the share of the expected ones that are said, character by character; ``number_recall``, ``code_recall`` and
    ``name_recall`` the same of one kind; ``rest_precision`` and ``rest_recall`` those of the words that are none. A score is there only if
    its kind is expected; a precision is 0 where nothing of the kind is said.
    """

    def score(self, prediction: str, sample: Sample) -> Scores:
        """The scores of whatever the expected text has."""
        found = restored(prediction, sample.answer)
        wanted = words_of(sample.answer)
        known = {word.text for word in wanted if word.kind != "word"}
        rest = {word.text for word in wanted if word.kind == "word"}
        # A name at the beginning of a sentence of one text may stand within one of the other.
        said = words_of(found.text)
        said_known = Counter(w.text for w in said if w.text in known or (w.kind != "word" and w.text not in rest))
        said_rest = Counter(w.text for w in said if w.text not in said_known)
        scores: dict[str, float] = {}
        all_known = Counter(w.text for w in wanted if w.text in known)
        all_rest = Counter(w.text for w in wanted if w.text not in known)
        for name, expected, given in (("identifier", all_known, said_known), ("rest", all_rest, said_rest)):
            if expected:
                common = (expected & given).total()
                scores[f"{name}_precision"] = common / max(1, given.total())
                scores[f"{name}_recall"] = common / expected.total()
        kinds = {word.text: word.kind for word in reversed(wanted) if word.kind != "word"}
        for kind in ("number", "code", "name"):
            expected = Counter({text: count for text, count in all_known.items() if kinds[text] == kind})
            if expected:
                scores[f"{kind}_recall"] = (expected & said_known).total() / expected.total()
        if not scores:  # nothing but punctuation
            scores["rest_precision"] = scores["rest_recall"] = float(found.text.strip() == sample.answer.strip())
        return Scores(scores, found.how)


@attrs.frozen
class SemanticCorruption(Metric):
    """Words that were replaced by other real words, which no reader notices, against words that were garbled, which any reader does.

    The two texts are aligned word by word with the fewest replacements, omissions and additions, regardless of case and punctuation.
    A wrong word in the place of an expected one is *real* if

    - a word was expected (or a name): it occurs in the sample's context, or in the English word list, or it is a single Chinese or
      Japanese character;
    - a number was expected: it is a number; a code was expected: it is a code. Nothing in it shows that it is another one.

    Else it is *garbled*. All scores are shares of the expected words.
    """

    higher_is_better: ClassVar[bool] = False

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Which word list."""
        return word_list_version()

    def score(self, prediction: str, sample: Sample) -> Scores:
        """``semantic_corruption``, ``garbled_words``, ``omitted_words`` and ``added_words``."""
        found = restored(prediction, sample.answer)
        wanted, said = words_of(sample.answer), words_of(found.text)
        vocabulary = {word.folded for word in words_of(sample.context)} | {word.folded for word in wanted}
        counts = Counter(_changes(wanted, said, vocabulary))
        names = {"real": "semantic_corruption", "garbled": "garbled_words", "omitted": "omitted_words", "added": "added_words"}
        return Scores({name: counts[kind] / max(1, len(wanted)) for kind, name in names.items()}, found.how)


def _changes(wanted: Sequence[Word], said: Sequence[Word], vocabulary: set[str]) -> list[str]:
    edits = Levenshtein.editops([word.folded for word in wanted], [word.folded for word in said])
    named = {"delete": "omitted", "insert": "added"}
    return [
        named[edit.tag] if edit.tag in named else "real" if _is_real(wanted[edit.src_pos], said[edit.dest_pos], vocabulary) else "garbled"
        for edit in edits
    ]


def _is_real(expected: Word, wrong: Word, vocabulary: set[str]) -> bool:
    if expected.kind in ("number", "code"):
        return wrong.kind == expected.kind
    return is_unspaced(wrong.text) or wrong.folded in vocabulary or wrong.folded.replace("’", "'") in english()
