"""The weights that ship: they load by name and answer real prompts. Rates are in docs/results-tiny.md; here only that they read at all."""

from __future__ import annotations

import numpy as np
import pytest

import ctxbench
import ctxbench_tiny
from ctxbench import Prompt, derive_seed, load_plugins
from ctxbench.prompts import compose

RENDER = {"font_size": 11, "line_spacing": 2.55, "margin": 0, "columns": 47}
WORDS = {"preset": "aligned", "symbol": "dictionary", "cell": 4, "columns": 4}
SAMPLES = 12
ADAPTERS = ["codebook", "codebook-dense"]


def _answers(
    codec_name: str, options: dict[str, object], adapter: str | None = None, task_name: str = "needle", level: str = "clean"
) -> tuple[list[str], list[str]]:
    registry = load_plugins()
    task, codec, augmenter = registry.task(task_name), registry.codec(codec_name, **options), registry.augmenter(level)
    model = registry.model("tiny", adapter=adapter, batch_size=SAMPLES)
    rng = np.random.default_rng(0)
    samples = [task.sample(64, derive_seed("test", i)) for i in range(SAMPLES)]
    prompts = []
    for sample in samples:
        carrier = codec.encode(sample.context)
        text = compose(codec.hint("en"), carrier.text, sample.question)
        prompts.append(Prompt([augmenter.apply(page, rng) for page in carrier.pages], text, max_new_tokens=len(sample.answer.encode())))
    return [reading.text for reading in model.read(prompts)], [sample.answer for sample in samples]


def test_wheel_carries_the_base():
    """Weights that git or the wheel leaves out would show only on a user's machine."""
    base = ctxbench_tiny.WEIGHTS / "base"
    names = {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json", "chat_template.jinja"}
    assert names <= {path.name for path in base.iterdir()}
    assert (base / "model.safetensors").stat().st_size < 16_000_000


@pytest.mark.parametrize("name", ADAPTERS)
def test_wheel_carries_the_adapters(name):
    """By the names that the documents use, and small."""
    assert ctxbench_tiny.adapters() == ADAPTERS
    folder = ctxbench_tiny.WEIGHTS / "adapters" / name
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000


@pytest.mark.parametrize(("adapter", "colors"), [("codebook", 2), ("codebook-dense", 4)])
def test_layouts_are_those_that_the_answers_were_measured_on(adapter, colors):
    """What a run fills in for ``-c codebook -c render``: the options under which the tests below see it read."""
    layouts = ctxbench.load_plugins().model("tiny", adapter=adapter).layouts
    assert layouts == {"codebook": {**WORDS, "colors": colors}, "render": RENDER}
    assert ctxbench.load_plugins().model("tiny").layouts == {"render": RENDER}


@pytest.mark.parametrize(("codec", "options", "least"), [("text", {}, 9), ("render", RENDER, 5)])
def test_finds_needles(codec, options, least):
    """Seven random digits cannot be guessed: a wrong tokenizer, template or patch layout gives none."""
    said, right = _answers(codec, options)
    assert sum(a == b for a, b in zip(said, right, strict=True)) >= least


@pytest.mark.parametrize(
    ("colors", "task", "level"),
    [
        (2, "needle", "clean"),
        pytest.param(2, "json_restore", "clean", marks=pytest.mark.long),
        pytest.param(2, "needle", "light", marks=pytest.mark.long),
        pytest.param(4, "json_restore", "clean", marks=pytest.mark.long),
    ],
)
def test_the_base_knows_nothing_of_codes(colors, task, level):
    """What an adapter reads it has learned."""
    said, right = _answers("codebook", {**WORDS, "colors": colors}, task_name=task, level=level)
    assert sum(a == b for a, b in zip(said, right, strict=True)) == 0


@pytest.mark.parametrize(
    ("adapter", "colors", "task", "level", "least"),
    [
        ("codebook", 2, "needle", "clean", 10),
        ("codebook", 2, "json_restore", "clean", 10),
        ("codebook", 2, "needle", "light", 4),
        ("codebook-dense", 4, "json_restore", "clean", 10),
    ],
)
def test_adapters_teach_it_codes(adapter, colors, task, level, least):
    """Neither a number of seven digits nor a document can be guessed."""
    said, right = _answers("codebook", {**WORDS, "colors": colors}, adapter, task, level)
    assert sum(a == b for a, b in zip(said, right, strict=True)) >= least
