"""The task ``transcribe``: give a text back word for word."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import attrs

from ctxbench import Sample, SampleError, Task, option
from ctxbench.options import Optional, String
from ctxbench_documents.corpus import Corpus, Document, look_at
from ctxbench_documents.cuts import LEAST, Piece, pieces
from ctxbench_documents.language import language_of
from ctxbench_documents.options import COLUMN, DELIMITERS, ENCODING, LANGUAGES, PATHS, paths_of
from ctxbench_documents.payload import KINDS, of_kind

QUESTIONS = {
    "en": "Write out the whole text exactly as it is, word for word. Answer with the text only.",
    "zh": "请逐字原样写出全文。只回答这段文字。",
}


@attrs.frozen
class Excerpt:
    """A piece of a document."""

    document: Document
    piece: Piece

    @property
    def text(self) -> str:
        """The context of its sample."""
        if (self.piece.start, self.piece.end) == (0, len(self.document.text)):
            return self.document.text
        return self.piece.of(self.document.text)


@attrs.frozen
class Transcribe(Task):
    """A piece of a user's own text as the context; the answer is the same text.

    With a bucket, texts are cut into consecutive pieces of at most so many reference tokens, and of three quarters of them at least;
    each piece is a sample. Without one (``buckets: null``, ``-b none``) each text is a sample, as it is.

    Attributes:
        path: a file, a folder (all of its files) or a pattern such as ``notes/**/*.md``, or a list of them; ``s3://`` and ``https://`` too.
        column: read tables (JSONL, CSV, Parquet, JSON) instead of texts, and take each row's text from this column.
        cut: where a piece ends: at the end of a ``line`` or of a ``sentence``.
        language: of the question: ``en``, ``zh``, or ``auto`` by the text.
        encoding: of files that are texts.
        delimiter: of CSV files: comma, semicolon, tab or pipe.
        payload: the texts as they are (``natural``), the ``shuffled`` words of each piece, or as many reference tokens of ``random``
            letters and digits: how much of what comes back was read, and how much guessed?
    """

    metrics: ClassVar[tuple[str, ...]] = (
        "exact_match",
        "character_error_rate",
        "word_error_rate",
        "identifiers",
        "semantic_corruption",
    )
    primary_score: ClassVar[str] = "exact_match"
    sized: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    neutral_options: ClassVar[frozenset[str]] = frozenset({"path"})
    """The content decides, wherever it lies: the fingerprint names it."""

    path: tuple[str, ...] = option(PATHS, converter=paths_of)
    column: str | None = option(Optional(COLUMN), None)
    cut: str = option(String(("line", "sentence")), "line")
    language: str = option(String(LANGUAGES), "auto")
    encoding: str = option(ENCODING, "utf-8")
    delimiter: str = option(String(DELIMITERS), "comma")
    payload: str = option(String(KINDS), "natural")
    _corpus: Corpus = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_corpus", look_at(self.path, self.encoding, self.column, self.delimiter))

    @property
    def config(self) -> dict[str, Any]:
        """The options."""
        return {**super().config, "path": list(self.path)}

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Hash of the files."""
        return self._corpus.fingerprint

    def supply(self, bucket: int) -> int:
        """How many pieces of this length the texts have; texts, without a bucket."""
        return len(self._excerpts(bucket))

    def sample(self, bucket: int, seed: int) -> Sample:
        """Piece number ``seed``, counted round.

        Raises:
            SampleError: no text is long enough, or the files cannot be read.
        """
        excerpts = self._excerpts(bucket)
        excerpt = excerpts[seed % len(excerpts)]
        language = language_of(excerpt.text, self.language)
        context = of_kind(excerpt.text, self.payload)
        place = {"source": excerpt.document.source, "row": excerpt.document.row, "start": excerpt.piece.start, "end": excerpt.piece.end}
        place["payload"] = self.payload
        return Sample(context, QUESTIONS[language], context, bucket, language, place)

    def solve(self, context: str, question: str) -> str:
        """The context."""
        return context

    def _excerpts(self, bucket: int) -> list[Excerpt]:
        return _excerpts(self._corpus, bucket, self.cut)


@functools.lru_cache(maxsize=8)
def _excerpts(corpus: Corpus, bucket: int, cut: str) -> list[Excerpt]:
    if bucket < 0:
        raise SampleError(f"a bucket of {bucket} tokens is no length")
    documents = list(corpus.documents())
    many = len(corpus.files)
    where = corpus.files[0][0].label if many == 1 else f"{many:,} files"
    what = f"the column {corpus.column!r} of {where}" if corpus.column else where
    if not documents:
        raise SampleError(f"{what}: there is no text {'in it' if many == 1 or corpus.column else 'in them'}")
    if not bucket:
        return [Excerpt(document, Piece(0, len(document.text))) for document in documents]
    found = [Excerpt(document, piece) for document in documents for piece in pieces(document.text, bucket, cut)]
    if not found:
        least = f"{LEAST * bucket:.0f}"
        short = f"no text has {least} reference tokens or more, three quarters of the bucket of {bucket}"
        raise SampleError(f"{what}: {short}; take a smaller bucket, or none")
    return found
