"""The task ``qa``: answer questions about texts."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import attrs

from ctxbench import CtxbenchError, Sample, SampleError, Task, derive_seed, option
from ctxbench.options import Boolean, Optional, String
from ctxbench.tokens import count_text
from ctxbench_documents.corpus import Corpus, look_at
from ctxbench_documents.filling import Filler
from ctxbench_documents.language import language_of
from ctxbench_documents.options import COLUMN, DELIMITERS, LANGUAGES, PATHS, paths_of
from ctxbench_documents.records import Fields, Record, read_records

INSTRUCTIONS = {"en": "Answer with as few words of the context as possible.", "zh": "请用上下文中尽量少的词语回答。"}
ABSENT = {"en": ' If the context does not tell, answer "not given".', "zh": "如果上下文没有说明，请回答“文中没有”。"}
NOT_FOUND = {"en": "not given", "zh": "文中没有"}


@attrs.frozen
class QuestionAnswering(Task):
    """A user's own questions about their own texts, as SQuAD has them: records of a context, a question, and one or more right answers.

    A bucket bounds the length of contexts: records whose context has more reference tokens are left out. With ``distractors`` it is
    filled with the contexts of other records that the same question is not asked about; records with too few of these are left out.
    Without a bucket (``buckets: null``, ``-b none``) every record is asked about its own.

    Attributes:
        path: a file, a folder or a pattern, or a list of them: JSONL, CSV, Parquet, a JSON list, or SQuAD's nested JSON.
        context: the column of contexts.
        question: the column of questions.
        answers: the column of answers: a text, a list of texts, or SQuAD's ``{"text": [...]}``; empty if the context does not tell.
        distractors: fill the bucket with the contexts of other records, the record's own at a random place among them.
        instruction: what follows each question; ``None`` for the usual words in the question's language.
        language: of the question: ``en``, ``zh``, or ``auto`` by the text.
        delimiter: of CSV files: comma, semicolon, tab or pipe.
    """

    metrics: ClassVar[tuple[str, ...]] = ("squad_exact_match", "squad_f1", "exact_match")
    primary_score: ClassVar[str] = "squad_exact_match"
    sized: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    neutral_options: ClassVar[frozenset[str]] = frozenset({"path"})
    """The content decides, wherever it lies: the fingerprint names it."""

    path: tuple[str, ...] = option(PATHS, converter=paths_of)
    context: str = option(COLUMN, "context")
    question: str = option(COLUMN, "question")
    answers: str = option(COLUMN, "answers")
    distractors: bool = option(Boolean(), False)
    instruction: str | None = option(Optional(String()), None)
    language: str = option(String(LANGUAGES), "auto")
    delimiter: str = option(String(DELIMITERS), "comma")
    _corpus: Corpus = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_corpus", look_at(self.path, column=self.context, delimiter=self.delimiter))

    @property
    def config(self) -> dict[str, Any]:
        """The options."""
        return {**super().config, "path": list(self.path)}

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Hash of the files."""
        return self._corpus.fingerprint

    def supply(self, bucket: int) -> int:
        """How many records have a context that fits the bucket; all, without one.

        Raises:
            SampleError: none has, or all contexts together do not fill it.
        """
        return len(self._fitting(bucket))

    def sample(self, bucket: int, seed: int) -> Sample:
        """Record number ``seed``, counted round.

        Raises:
            SampleError: no record fits the bucket, or the files cannot be read.
        """
        fitting = self._fitting(bucket)
        record = fitting[seed % len(fitting)]
        language = self._language(record)
        context, facts = record.context, {"source": record.source, "row": record.row}
        if self.distractors:
            number = derive_seed("qa", bucket, record.context, record.question)
            filled = _filler(self._corpus, self._fields).fill(record, count_text(context), bucket, number)
            context, facts = filled.text, {**facts, "depth": filled.depth, "others": filled.others}
        return Sample(context, self._ask(record), self._answer(record), bucket, language, {**facts, **self._truth(record, language)})

    def solve(self, context: str, question: str) -> str:
        """The record's answer if its context is there whole, else the first of its answers that is left of it; else that there is none."""
        records = _asked(self._corpus, self).get(question, [])
        whole = [record for record in records if record.context in context]
        if whole:
            return self._answer(max(whole, key=lambda record: len(record.context)))
        for record in records:
            for answer in record.answers:
                if answer in record.context and answer in context:
                    return answer
        return next((NOT_FOUND[language] for language, words in ABSENT.items() if question.endswith(words)), "")

    @property
    def _fields(self) -> Fields:
        return Fields(self.context, self.question, self.answers, self.delimiter)

    def _fitting(self, bucket: int) -> tuple[Record, ...]:
        if bucket < 0 or (self.distractors and not bucket):
            raise SampleError("distractors fill a bucket, and there is none; give one, or distractors=false")
        return _fitting(self._corpus, self._fields, bucket, self.distractors)

    def _language(self, record: Record) -> str:
        return language_of(record.question, self.language)

    def _ask(self, record: Record) -> str:
        language = self._language(record)
        wanted = INSTRUCTIONS[language] if self.instruction is None else self.instruction
        absent = ABSENT[language] if _some_absent(self._corpus, self._fields) else ""
        return f"{record.question}\n{wanted}{absent}".strip()

    def _answer(self, record: Record) -> str:
        return record.answers[0] if record.answers else NOT_FOUND[self._language(record)]

    def _truth(self, record: Record, language: str) -> dict[str, Any]:
        if record.answers:
            return {"references": list(record.answers), "answerable": True}
        return {"references": [], "answerable": False, "not_found": NOT_FOUND[language]}


@functools.lru_cache(maxsize=8)
def _records(corpus: Corpus, fields: Fields) -> tuple[Record, ...]:
    for file, sha256 in corpus.files:
        corpus.read(file, sha256)
    try:
        found = read_records([file for file, _ in corpus.files], fields)
    except CtxbenchError as error:
        raise SampleError(str(error)) from None
    if not found:
        where = corpus.files[0][0].label if len(corpus.files) == 1 else f"{len(corpus.files):,} files"
        raise SampleError(f"{where}: there are no records")
    return tuple(found)


@functools.lru_cache(maxsize=8)
def _filler(corpus: Corpus, fields: Fields) -> Filler:
    return Filler.of(_records(corpus, fields))


@functools.lru_cache(maxsize=32)
def _fitting(corpus: Corpus, fields: Fields, bucket: int, fill: bool) -> tuple[Record, ...]:
    records = _records(corpus, fields)
    if not bucket:
        return records
    filler = _filler(corpus, fields)
    lengths = dict(filler.contexts)
    found = tuple(record for record in records if lengths[record.context] <= bucket)
    if not found:
        shortest = min(lengths.values())
        raise SampleError(f"no record has a context of {bucket} reference tokens or fewer; the shortest has {shortest}")
    if fill:
        others = filler.others()
        found = tuple(record for record in found if lengths[record.context] + others[record.question] >= bucket)
        if not found:
            most = max(others[record.question] + lengths[record.context] for record in records)
            why = f"a record's context and those that the same question is not asked about have {most} reference tokens at most"
            raise SampleError(f"{why}, too few to fill a bucket of {bucket}")
    return found


@functools.lru_cache(maxsize=8)
def _some_absent(corpus: Corpus, fields: Fields) -> bool:
    return any(not record.answers for record in _records(corpus, fields))


@functools.lru_cache(maxsize=8)
def _asked(corpus: Corpus, task: QuestionAnswering) -> dict[str, list[Record]]:
    """Records by the question as a prompt has it."""
    found: dict[str, list[Record]] = {}
    for record in _records(corpus, task._fields):
        found.setdefault(task._ask(record), []).append(record)
    return found
