"""Makes one record, by the same steps as an evaluation's trial."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any, cast

import attrs
import numpy as np
from PIL import Image

from ctxbench import Augmenter, Codec, Component, Sample, Task, canonical_json, load_plugins, tokens
from ctxbench.config import TokenConfig
from ctxbench.engine.prompts import compose
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


def page_sha256(page: Image.Image) -> str:
    """SHA-256 of a page's mode, size and raw pixels."""
    return hashlib.sha256(f"{page.mode} {page.width}x{page.height}\n".encode() + page.tobytes()).hexdigest()


@functools.lru_cache(maxsize=256)
def _component(kind: str, name: str, options: str) -> Component:
    return load_plugins().make(kind, name, **json.loads(options))


def component(kind: str, name: str, options: dict[str, Any]) -> Component:
    """A component, made once a process."""
    return _component(kind, name, canonical_json(options))


def make_record(job: Job, counting: TokenConfig) -> Record:
    """Do a job.

    Raises:
        SampleError, EncodeError: the task or the codec cannot make this one.
    """
    cell = job.cell
    task = cast(Task, component("task", cell.task.name, cell.task_options()))
    codec = cast(Codec, component("codec", job.codec.name, job.codec.options))
    augmenter = cast(Augmenter, component("augmenter", cell.augmentation.name, cell.augmentation.options))
    sample = task.sample(cell.bucket, job.sample_seed)
    carrier = codec.encode(sample.context)
    text = compose(codec.hint(sample.language), carrier.text, sample.question)
    pages = tuple(augmenter.apply(page, np.random.default_rng(job.page_seed(i))) for i, page in enumerate(carrier.pages))
    return Record(job, sample, job.sample_seed, text, pages, _tokens(counting, job.system + text, sample.answer, pages))


def _tokens(counting: TokenConfig, prompt: str, answer: str, pages: tuple[Image.Image, ...]) -> dict[str, int]:
    low, high = counting.min_pixels, counting.max_pixels
    return {
        "text": tokens.count_text(prompt, counting.reference),
        "visual": sum(tokens.visual_tokens(*page.size, family=counting.rule, min_pixels=low, max_pixels=high) for page in pages),
        "answer": tokens.count_text(answer, counting.reference),
    }
