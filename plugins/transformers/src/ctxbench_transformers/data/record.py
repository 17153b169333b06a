"""Makes one record, by the same steps as an evaluation's trial."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import attrs
from PIL import Image

from ctxbench import Augmenter, Codec, Sample, Task, tokens
from ctxbench.config import TokenConfig
from ctxbench.pipeline import ask, augment, draw
from ctxbench.plugin import plugin_work
from ctxbench.session import Session
from ctxbench_transformers.data.plan import Job


@attrs.frozen(eq=False)
class Record:
    """One training record.

    Attributes:
        text: the user's turn, which follows the pages: what evaluation would send.
        tokens: reference tokens of the prompt's text and of the answer, visual tokens of the pages by formula.
    """

    job: Job
    sample: Sample
    sample_seed: int
    text: str
    pages: tuple[Image.Image, ...]
    tokens: dict[str, int]

    @property
    def context_sha256(self) -> str:
        """SHA-256 of the context, as result rows hold it."""
        return hashlib.sha256(self.sample.context.encode("utf-8")).hexdigest()

    def plain(self) -> dict[str, Any]:
        """Every field but the pages, as JSON values."""
        cell = self.job.cell
        return {
            "id": self.job.id,
            "codec": self.job.codec.label,
            "task": cell.task.label,
            "augmentation": cell.augmentation.label,
            "bucket": cell.bucket,
            "language": self.sample.language,
            "seed": self.sample_seed,
            "system": self.job.system,
            "text": self.text,
            "question": self.sample.question,
            "answer": self.sample.answer,
            "context": self.sample.context,
            "metadata": self.sample.metadata,
            "tokens": self.tokens,
        }


def make_record(job: Job, counting: TokenConfig, session: Session) -> Record:
    """Do a job.

    Raises:
        SampleError, EncodeError: the task or the codec cannot make this one.
        PluginError: what one of them made is not what its interface says.
    """
    cell = job.cell
    task = cast(Task, session.made("task", cell.task.name, cell.task_options()))
    codec = cast(Codec, session.made("codec", job.codec.name, job.codec.options))
    augmenter = cast(Augmenter, session.made("augmenter", cell.augmentation.name, cell.augmentation.options))
    with session.active():
        with plugin_work(f"task {cell.task.label!r}"):
            sample = draw(task, cell.bucket, job.sample_seed)
        with plugin_work(f"codec {job.codec.label!r}"):
            asked = ask(codec, sample, job.prompt)
        with plugin_work(f"augmenter {cell.augmentation.label!r}"):
            pages = augment(asked.carrier.pages, augmenter, job.page_seed)
        return Record(
            job, sample, job.sample_seed, asked.text, pages, count_tokens(counting, job.system + asked.text, sample.answer, pages)
        )


def count_tokens(counting: TokenConfig, prompt: str, answer: str, pages: tuple[Image.Image, ...]) -> dict[str, int]:
    """Reference tokens of the texts, and visual tokens of the pages by formula."""
    low, high = counting.min_pixels, counting.max_pixels
    return {
        "text": tokens.count_text(prompt, counting.reference),
        "visual": sum(tokens.visual_tokens(*page.size, family=counting.rule, min_pixels=low, max_pixels=high) for page in pages),
        "answer": tokens.count_text(answer, counting.reference),
    }
