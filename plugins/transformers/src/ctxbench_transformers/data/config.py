"""What ``ctxbench data build`` makes."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import ConfigError, stable_hash
from ctxbench.config import Component, ComponentConfig, Section, Template, TokenConfig, named, setting
from ctxbench.options import Integer, ListOf, String
from ctxbench_transformers.settings import Number, plain


@attrs.frozen
class DataConfig:
    """Training data. Every codec gets ``samples`` records, spread over the tasks, buckets, languages and augmentations by weight."""

    name: str = setting(String(), "A name for people.", "training data")
    seed: int = setting(Integer(0), "All randomness is derived from this number; evaluation never draws what training draws.", 0)
    samples: int = setting(Integer(1), "Training records for each codec.", 500)
    validation: float = setting(Number(0, 1), "Validation records as a share of the training records.", 0.1)
    codecs: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("codec")), "What carries the context.", factory=lambda: (named("codebook"),)
    )
    tasks: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("task")), "What is asked.", factory=lambda: (named("json_restore"), named("needle"))
    )
    task_weights: tuple[float, ...] = setting(ListOf(Number(0), minimum=0), "Share of each task; empty for equal shares.", factory=tuple)
    buckets: tuple[int, ...] = setting(ListOf(Integer(1)), "Context lengths in reference text tokens.", (512,))
    bucket_weights: tuple[float, ...] = setting(ListOf(Number(0), minimum=0), "Share of each bucket; empty for equal.", factory=tuple)
    languages: tuple[str, ...] = setting(
        ListOf(String(("en", "zh")), minimum=0), "Languages of the contexts; empty for what the tasks say.", factory=tuple
    )
    augmentations: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("augmenter")), "What happens to the pages.", factory=lambda: (named("clean"),)
    )
    augmentation_weights: tuple[float, ...] = setting(
        ListOf(Number(0), minimum=0), "Share of each augmentation; empty for equal.", factory=tuple
    )
    system: str = setting(String(), "System message of every prompt.", "")
    prompt: str = setting(
        Template(), "Template of the text after the pages, with {hint}, {context} and {question}; empty for the usual one.", ""
    )
    prompts: tuple[str, ...] = setting(
        ListOf(Template(), minimum=0),
        "Several such templates: each record draws one; an empty text is the usual one.",
        factory=tuple,
    )
    tokens: TokenConfig = setting(Section(TokenConfig), "How the records' tokens are counted.", factory=lambda: TokenConfig("qwen2-vl"))
    format: str = setting(String(("jsonl", "parquet")), "jsonl: lines and PNG files. parquet: images inside the table.", "jsonl")
    output: str = setting(String(), "Folder that takes the data.", "data")

    def __attrs_post_init__(self) -> None:
        for what in ("task", "bucket", "augmentation"):
            values, weights = getattr(self, f"{what}s"), getattr(self, f"{what}_weights")
            if weights and len(weights) != len(values):
                raise ConfigError(f"{what}_weights: {len(weights)} weights for {len(values)} {what}s")
            if weights and not sum(weights):
                raise ConfigError(f"{what}_weights: all are 0")
        for key in ("codecs", "tasks", "augmentations"):
            labels = [component.label for component in getattr(self, key)]
            twice = next((label for label in labels if labels.count(label) > 1), None)
            if twice is not None:
                raise ConfigError(f"{key}: two have the label {twice!r}; give one a 'label' of its own")
        check_wording(self.prompt, self.prompts)

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates that records draw from."""
        return self.prompts or (self.prompt,)

    def plain(self) -> dict[str, Any]:
        """The config as its YAML would load."""
        return plain(self)  # type: ignore[no-any-return]

    @property
    def hash(self) -> str:
        """SHA-256 of what decides the records (everything but the name, the format and the place).

        ``prompt`` and ``prompts`` are left out where they are not set, as configs had no such keys before.
        """
        unset = [key for key in ("prompt", "prompts") if not getattr(self, key)]
        left_out = ("name", "format", "output", *unset)
        return stable_hash({key: value for key, value in self.plain().items() if key not in left_out})


def check_wording(prompt: str, prompts: tuple[str, ...]) -> None:
    """Refuse two answers to one question.

    Raises:
        ConfigError: both are set.
    """
    if prompt and prompts:
        raise ConfigError("prompts: prompt is set as well; put all templates into prompts")
