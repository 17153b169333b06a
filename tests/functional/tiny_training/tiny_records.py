"""Records of ``tiny``'s training, as small as can be."""

from __future__ import annotations

from typing import Any

from tinytrain import losses
from tinytrain.words import Words

import ctxbench
from ctxbench import Prompt, Sample
from ctxbench.config import ComponentConfig
from ctxbench.pipeline import ask, augment
from ctxbench_transformers.data import Example
from ctxbench_transformers.data.plan import page_seed
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.training.auxiliary import Parts
from ctxbench_transformers.training.examples import Labelled, label

MICRO = {"hidden": 32, "layers": 2, "heads": 2, "theta": 3000.0, "sections": [0, 3, 5]}
SEED = 3
PRINT = {"font_size": 11, "line_spacing": 2.55, "margin": 0, "columns": 47}
TEXT = 'Two lines of print, the first of which is longer than a line of a page:\n  {"id": 40417, "tags": ["a", "b"]}'


def codes(colors: int) -> dict[str, Any]:
    """Options of a page of codes."""
    return {"preset": "aligned", "symbol": "dictionary2", "cell": 4, "colors": colors, "columns": 4}


def example(codec: str, context: str, answer: str | None = None, *, task: str = "copy", level: str = "clean", **options: Any) -> Example:
    """A record as ``ctxbench data build`` would make it."""
    registry = ctxbench.load_plugins()
    sample = Sample(context, "Copy it.", context if answer is None else answer, 64, "en")
    asked = ask(registry.codec(codec, **options), sample)
    pages = augment(asked.carrier.pages, registry.augmenter(level), page_seed(SEED, level))
    return Example("a", task, Prompt(pages, asked.text), sample, codec, ComponentConfig(level, level), SEED)


def labelled(encoder: Encoder, record: Example, words: int = 4) -> tuple[Labelled, dict[str, Any]]:
    """A record in tokens, and what each loss compares with."""
    parts = Parts((losses.Look(words=words), losses.Printed(), losses.WordBits(words=words)), Words())
    made = label(encoder, record, parts)
    return made, dict(zip(("look", "printed", "bits"), made.targets, strict=True))
