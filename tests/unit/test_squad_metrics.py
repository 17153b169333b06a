"""SQuAD's scores: equal to the rule written plainly, against the best of several answers, and for no answer."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxbench import Sample
from ctxbench_metrics.answers import ExactMatch
from ctxbench_metrics.squad import SquadExactMatch, SquadF1


def sample(*references: str, **more) -> Sample:
    return Sample("context", "Who was it?", references[0], 64, "en", {"references": list(references), **more})


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1, 1),  # articles, case and punctuation do not count
        ("the tall Eiffel tower", ["Eiffel Tower", "Tower of Paris"], 0, 0.8),
        ("Paris", ["London", "in Paris", "Paris"], 1, 1),  # the best of several
        ("tower tower", ["tower"], 0, 2 / 3),  # bags: a word counts as often as it is there
        ("tower tower", ["tower tower Paris"], 0, 0.8),
        ("", ["Paris"], 0, 0),
        ("the", ["a"], 1, 1),  # nothing is left of either
        ("Who was it? Ada", ["Ada"], 1, 1),  # a repeated question is left out
        ("<think>Bob?</think>Ada", ["Ada"], 1, 1),
        ("安娜·莫罗", ["安娜莫罗"], 1, 1),
        ("安娜", ["安娜莫罗"], 0, 2 / 3),  # each character is a word
    ],
)
def test_scores(prediction, references, exact, f1):
    """Rules one by one."""
    assert SquadExactMatch().score(prediction, sample(*references)).values == {"squad_exact_match": exact}
    assert SquadF1().score(prediction, sample(*references)).values == {"squad_f1": pytest.approx(f1)}


def test_no_answer():
    """Where the context does not tell, saying so is right, and naming something is not."""
    absent = Sample("c", "Why?", "not given", 64, "en", {"references": [], "answerable": False, "not_found": "not given"})
    for text, value in (("Not given.", 1), ("The context does not say.", 1), ("", 1), ("Because of rain", 0)):
        assert SquadExactMatch().score(text, absent).values == {"squad_exact_match": value}
        assert SquadF1().score(text, absent).values == {"squad_f1": value}


def test_exact_match_takes_any_reference():
    """Character by character, but any of the right answers will do."""
    assert ExactMatch().score("Moreau", sample("Anna Moreau", "Moreau")).values == {"exact_match": 1}
    assert ExactMatch().score("moreau", sample("Anna Moreau", "Moreau")).values == {"exact_match": 0}


def test_references_must_be_texts():
    """A wrong list is told and not scored."""
    with pytest.raises(ValueError, match="references"):
        SquadF1().score("x", sample("x", 5))


TEXT = st.text(st.sampled_from("abthe AN.,-'\t5é"), max_size=25)


def plain_words(text: str) -> list[str]:
    """SQuAD's normalisation, written as plainly as can be."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return [word for word in re.split(r"\s+", re.sub(r"\b(a|an|the)\b", " ", kept)) if word]


def plain_f1(said: list[str], wanted: list[str]) -> float:
    left, common = list(wanted), 0
    for word in said:
        if word in left:
            left.remove(word)
            common += 1
    if not said or not wanted:
        return float(said == wanted)
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall) if common else 0.0


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
def test_equal_to_the_rule_written_plainly(prediction, references):
    """Exact match and F1 on whatever text without Chinese, by removing words one at a time."""
    said = plain_words(prediction)
    exact = max(said == plain_words(reference) for reference in references)
    best = max(plain_f1(said, plain_words(reference)) for reference in references)
    assert SquadExactMatch().score(prediction, sample(*references)).values["squad_exact_match"] == exact
    assert SquadF1().score(prediction, sample(*references)).values["squad_f1"] == pytest.approx(best)
