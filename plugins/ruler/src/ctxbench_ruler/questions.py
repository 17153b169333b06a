"""RULER's questions: SQuAD's and HotpotQA's, among paragraphs that distract."""

from __future__ import annotations

import random
from typing import ClassVar

import attrs

from ctxbench import option
from ctxbench.options import String
from ctxbench.tokens import count_text
from ctxbench_ruler import data
from ctxbench_ruler.data import Question
from ctxbench_ruler.task import Draft, RulerTask
from ctxbench_ruler.templates import QUESTIONS

FORM = "Document {i}:\n{piece}"
JOINT = "\n\n"
CANDIDATES = 150
"""Documents of which one that fits is added at the end."""

FILE = {"squad": data.SQUAD, "hotpotqa": data.HOTPOTQA}


@attrs.frozen
class QuestionAnswering(RulerTask):
    """Answer a question from one of many documents.

    Attributes:
        dataset: ``squad`` or ``hotpotqa``.
    """

    metrics: ClassVar[tuple[str, ...]] = ("string_match_part",)
    primary_score: ClassVar[str] = "string_match_part"
    name: ClassVar[str] = "qa"

    dataset: str = option(String(FILE))

    def __attrs_post_init__(self) -> None:
        data.path(FILE[self.dataset])

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the data."""
        return data.fingerprint(FILE[self.dataset])

    @property
    def corpus(self) -> data.Corpus:
        """Questions and documents, read once a process."""
        return data.corpus(FILE[self.dataset])

    def least(self, bucket: int) -> int:
        """The documents that belong to the question."""
        return 1 if self.dataset == "squad" else 10

    def most(self) -> int | None:
        """Every document."""
        return len(self.corpus.documents)

    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """See :meth:`RulerTask.draft`. A unit is a document."""
        return self.asked(rng, rng.choice(self.corpus.questions), units, rng.getrandbits(32))

    def asked(self, rng: random.Random, question: Question, units: int, order: int) -> Draft:
        """A draft of ``units`` documents, which the seed ``order`` shuffles."""
        numbers = list(range(len(self.corpus.documents))) if units >= self.most_documents else self._numbers(rng, question, units)
        first = self.corpus.documents[question.own[0]]
        pieces = [self.corpus.documents[i] for i in numbers]
        random.Random(order).shuffle(pieces)
        place = pieces.index(first) if len(question.own) == 1 else None
        return Draft(QUESTIONS.format(query=question.text), tuple(pieces), question.answers, joint=JOINT, form=FORM, asked=place)

    @property
    def most_documents(self) -> int:
        """How many there are."""
        return len(self.corpus.documents)

    def _numbers(self, rng: random.Random, question: Question, units: int) -> list[int]:
        own, related = list(question.own), list(question.related)
        if units - len(own) <= len(related):
            return own + rng.sample(related, max(0, units - len(own)))
        near = {*own, *related}
        others = [i for i in range(self.most_documents) if i not in near]
        return own + related + rng.sample(others, units - len(own) - len(related))

    def adjusted(self, draft: Draft, rng: random.Random, missing: int) -> Draft:
        """One document more, of those drawn the one that leaves least missing, anywhere among the others."""
        drawn = [self.corpus.documents[i] for i in rng.sample(range(self.most_documents), min(CANDIDATES, self.most_documents))]
        each = count_text(JOINT + FORM.format(i=len(draft.pieces) + 1, piece=""))
        fitting = {text: each + count_text(text) for text in drawn if text not in draft.pieces}
        best = max((text for text in fitting if fitting[text] <= missing), key=fitting.__getitem__, default=None)
        if best is None:
            return draft
        place = rng.randint(0, len(draft.pieces))
        asked = None if draft.asked is None else draft.asked + (place <= draft.asked)
        return attrs.evolve(draft, pieces=(*draft.pieces[:place], best, *draft.pieces[place:]), asked=asked)

    def answer(self, draft: Draft) -> str:
        """The first of the accepted answers."""
        return draft.answers[0]

    def solve(self, context: str, question: str) -> str:
        """The data's answer to the question if the context holds it, and for yes or no the sentences that it follows from; else nothing.

        White space may have been lost, added or turned into line breaks.
        """
        squeezed = "".join(context.split())
        asked = question.rpartition("Question: ")[2].removesuffix(" Answer:")
        for known in self.corpus.by_text.get(asked, []):
            yes_or_no = known.answers[0] in ("yes", "no")
            needed = known.support if yes_or_no else known.answers[:1]
            if needed and all("".join(part.split()) in squeezed for part in needed):
                return known.answers[0]
        return ""


def squad(dataset: str = "squad") -> QuestionAnswering:
    """RULER's ``qa_1``."""
    return QuestionAnswering(dataset)


def hotpotqa(dataset: str = "hotpotqa") -> QuestionAnswering:
    """RULER's ``qa_2``."""
    return QuestionAnswering(dataset)
