"""Questions about texts: flat records, SQuAD's nested JSON, and the forms in which answers are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from ctxbench import CtxbenchError
from ctxbench.texts import Found
from ctxbench_documents.tables import kind_of, read_json, read_rows


@attrs.frozen
class Record:
    """A question about a context.

    Attributes:
        answers: any one of them is right; empty if the context does not tell.
        source, row: the file, and the number of the first row (of SQuAD's JSON: of the question) that says so, from 0.
    """

    context: str
    question: str
    answers: tuple[str, ...]
    source: str
    row: int


@attrs.frozen
class Fields:
    """What the columns are called."""

    context: str = "context"
    question: str = "question"
    answers: str = "answers"
    delimiter: str = "comma"

    @property
    def names(self) -> tuple[str, str, str]:
        """All three."""
        return (self.context, self.question, self.answers)


def read_records(files: Iterable[Found], fields: Fields) -> list[Record]:
    """Every record of some files. Rows that repeat a question about a context are one record, with the answers of all.

    Raises:
        CtxbenchError: a file is broken, lacks a column, or holds something else than text where text belongs.
    """
    found: dict[tuple[str, str], Record] = {}
    for file in files:
        for record in _of_file(file, fields):
            key = (record.context, record.question)
            if key in found:
                answers = dict.fromkeys((*found[key].answers, *record.answers))
                found[key] = attrs.evolve(found[key], answers=tuple(answers))
            else:
                found[key] = record
    return list(found.values())


def _of_file(file: Found, fields: Fields) -> Iterator[Record]:
    if kind_of(file.label) == "document":
        value = read_json(file)
        if isinstance(value, Mapping) and _is_squad(value):
            yield from _squad(file, value)
            return
    for i, row in enumerate(read_rows(file, fields.names, fields.delimiter)):
        where = f"{file.label}: row {i + 1}"
        context, question = (_text(row[name], f"{where}, column {name!r}") for name in (fields.context, fields.question))
        answers = _answers(row[fields.answers], f"{where}, column {fields.answers!r}")
        yield Record(context, question, answers, file.label, i)


def _is_squad(value: Mapping[str, Any]) -> bool:
    data = value.get("data")
    return isinstance(data, list) and any(isinstance(entry, Mapping) and "paragraphs" in entry for entry in data)


def _squad(file: Found, value: Mapping[str, Any]) -> Iterator[Record]:
    """SQuAD 1.1 and 2.0: ``data[].paragraphs[].qas[]``. The answers of a question that is marked as impossible do not count."""
    row = 0
    try:
        for entry in value["data"]:
            for paragraph in entry["paragraphs"]:
                for asked in paragraph["qas"]:
                    where = f"{file.label}: question {row + 1}"
                    context = _text(paragraph["context"], f"{where}, its context")
                    question = _text(asked["question"], f"{where}, its text")
                    impossible = asked.get("is_impossible") is True
                    answers = () if impossible else _answers(asked["answers"], f"{where}, its answers")
                    yield Record(context, question, answers, file.label, row)
                    row += 1
    except (KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CtxbenchError(f"{file.label}: question {row + 1} is not as SQuAD's JSON has it: {what}") from None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise CtxbenchError(f"{where}: expected text, got {_shown(value)}")
    return value.strip()


def _answers(value: Any, where: str) -> tuple[str, ...]:
    """One answer or several: a text, a list, SQuAD's ``{"text": [...]}``, or any of these as JSON in a text. Nothing is no answer.

    A text that begins with a bracket and is no such JSON is an answer itself.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return _answers(json.loads(value), where)
        except (ValueError, RecursionError, CtxbenchError):
            pass
    if isinstance(value, Mapping) and "text" in value:
        value = value["text"]
    items = [] if value is None else value if isinstance(value, (list, tuple)) else [value]
    found: dict[str, None] = {}
    for item in items:
        if isinstance(item, Mapping) and "text" in item:
            item = item["text"]
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            item = str(item)
        if not isinstance(item, str):
            raise CtxbenchError(f"{where}: expected an answer, a list of answers, or SQuAD's answers, got {_shown(value)}")
        if item.strip():
            found[item.strip()] = None
    return tuple(found)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
