"""ctxbench tasks on a user's own data: texts to restore, and questions to answer."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TaskRecord, hookimpl


@hookimpl
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """Verbatim restoration and question answering."""
    here = "ctxbench_documents"
    yield TaskRecord(
        "transcribe", "Give your own texts back word for word: a folder, files, or a table's column.", f"{here}.transcribe:Transcribe"
    )
    yield TaskRecord("qa", "Answer your own questions about your own texts: records as SQuAD has them.", f"{here}.qa:QuestionAnswering")
