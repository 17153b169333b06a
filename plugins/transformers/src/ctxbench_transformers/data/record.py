"""Makes one record, by the same steps as an evaluation's trial."""

from __future__ import annotations

import functools
import hashlib
import io
from typing import Any, cast

import attrs
from PIL import Image

from ctxbench import Augmenter, Codec, Sample, Task, tokens
from ctxbench.config import TokenConfig
from ctxbench.contamination import Hashes, ngrams
from ctxbench.images import page_sha256
from ctxbench.pipeline import ask, augment, draw
from ctxbench.plugin import plugin_work
from ctxbench.session import Session
from ctxbench_transformers.data.plan import Job


@attrs.frozen
class PageFile:
    """A page as it is written: its image as PNG, and the SHA-256 of its pixels."""

    png: bytes
    sha256: str

    @classmethod
    def of(cls, page: Image.Image) -> PageFile:
        """A page's file."""
        out = io.BytesIO()
        page.save(out, "PNG", compress_level=6)
        return cls(out.getvalue(), page_sha256(page))


@attrs.frozen(eq=False)
class Record:
    """One training record, with all that costs time to work out, so that the process which writes it has only to write.

    Attributes:
        text: the user's turn, which follows the pages: what evaluation would send.
        tokens: reference tokens of the prompt's text and of the answer, visual tokens of the pages by formula.
        ngrams: hashes of the context's.
    """

    job: Job
    sample: Sample
    sample_seed: int
    text: str
    pages: tuple[PageFile, ...]
    tokens: dict[str, int]
    ngrams: Hashes

    @functools.cached_property
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
        return finished(job, sample, job.sample_seed, asked.text, pages, counting)


def finished(job: Job, sample: Sample, seed: int, text: str, pages: tuple[Image.Image, ...], counting: TokenConfig) -> Record:
    """A record of its parts."""
    counts = count_tokens(counting, job.system + text, sample.answer, pages)
    return Record(job, sample, seed, text, tuple(map(PageFile.of, pages)), counts, ngrams(sample.context))


def count_tokens(counting: TokenConfig, prompt: str, answer: str, pages: tuple[Image.Image, ...]) -> dict[str, int]:
    """Reference tokens of the texts, and visual tokens of the pages by formula."""
    low, high = counting.min_pixels, counting.max_pixels
    return {
        "text": tokens.count_text(prompt, counting.reference),
        "visual": sum(tokens.visual_tokens(*page.size, family=counting.rule, min_pixels=low, max_pixels=high) for page in pages),
        "answer": tokens.count_text(answer, counting.reference),
    }
