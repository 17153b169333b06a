"""What an experiment varies, and how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ctxbench.config.components import ComponentConfig, named
from ctxbench.config.template import Template
from ctxbench.config.values import POSITIVE, Bucket, Component, Device, Samples, Section, ShardOf, setting
from ctxbench.options import Boolean, Integer, ListOf, Optional, String
from ctxbench.seeds import stable_hash


@attrs.frozen
class TokenConfig:
    """Whose rules count the tokens."""

    family: str | None = setting(
        Optional(String()),
        "Model family whose rule counts visual tokens, options and all (deepseek-ocr:mode=base); null for each model's own, else qwen2-vl.",
        None,
    )
    reference: str = setting(String(), "Model family whose tokenizer counts reference text tokens.", "qwen2-vl")
    min_pixels: int | None = setting(Optional(Integer(1)), "Smallest page in pixels; null for the model's own, else the family's.", None)
    max_pixels: int | None = setting(Optional(Integer(1)), "Largest page in pixels; null for the model's own, else the family's.", None)

    @property
    def rule(self) -> str:
        """The family that counts: ``qwen2-vl`` where none is named."""
        return "qwen2-vl" if self.family is None else self.family


def _limit(stage: str) -> Any:
    return setting(Optional(POSITIVE), f"Seconds that {stage} may take; null for any.", None)


@attrs.frozen
class LimitConfig:
    """How long each stage of a trial may take, in seconds. What takes longer is ended and becomes an error row; nothing else is lost."""

    sample: float | None = _limit("making a sample")
    encode: float | None = _limit("encoding a context")
    augment: float | None = _limit("augmenting the pages of one trial")
    channel: float | None = _limit("the codec's decoder")
    count: float | None = _limit("counting tokens")
    read: float | None = _limit("a model, for each prompt of a batch,")
    score: float | None = _limit("scoring an answer")

    def of(self, stage: str) -> float | None:
        """The limit of a stage, if it has one."""
        return getattr(self, stage, None)


@attrs.frozen
class RunConfig:
    """How the work is done. Nothing here changes a result."""

    executor: ComponentConfig = setting(Component("executor"), "Where the CPU work runs.", factory=lambda: named("local"))
    models_held: int = setting(Integer(1), "Models in memory at once; adapters of one base count once.", 1)
    spool_mb: int = setting(Integer(1), "Megabytes of prepared pages kept for models whose turn is later, and for the decoder.", 2048)
    devices: tuple[str, ...] = setting(
        ListOf(Device(), minimum=0), "Devices with a replica of each model, 0 and 1 for two GPUs; empty for a model in this process.", ()
    )
    limits: LimitConfig = setting(Section(LimitConfig), "Time limits of the stages.", factory=LimitConfig)
    batch_size: int = setting(Integer(1), "Prompts that a model reads at once.", 8)
    channel: bool = setting(Boolean(), "Also decode every page classically, to tell channel loss from reader loss.", True)
    images: str = setting(String(("all", "failures", "none")), "Which page images to keep beside the store.", "none")
    budget: float | None = setting(Optional(POSITIVE), "US dollars that a run may spend; it stops before it passes them.", None)
    fail_fast: bool = setting(Boolean(), "Stop at the first trial that fails.", False)
    shard: str | None = setting(Optional(ShardOf()), "Run one part of the plan, 3/16 for the third of sixteen; null runs all of it.", None)
    retry_errors: bool = setting(Boolean(), "Run stored trials again whose row is an error.", False)


@attrs.frozen
class ExperimentConfig:
    """One experiment. Every combination of the lists is a cell; every cell has ``samples`` trials."""

    name: str = setting(String(), "A name for people.", "experiment")
    seed: int = setting(Integer(0, 2**63 - 1), "All randomness is derived from this number.", 0)
    samples: int = setting(Samples(), "Samples in each cell; all: each that the tasks' data has, once.", 5)
    buckets: tuple[int, ...] = setting(
        ListOf(Bucket()), "Context lengths in reference text tokens; null for whole documents, as they are.", (512,)
    )
    models: tuple[ComponentConfig, ...] = setting(ListOf(Component("model")), "Models that read.", factory=lambda: (named("channel"),))
    adapters: tuple[str | None, ...] = setting(ListOf(Optional(String())), "LoRA adapters; null is the base model.", (None,))
    tasks: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("task")), "What is asked.", factory=lambda: (named("json_restore"), named("needle"))
    )
    codecs: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("codec")),
        "What carries the context.",
        factory=lambda: tuple(named(name) for name in ("text", "render", "codebook", "codebook_external")),
    )
    augmentations: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("augmenter")), "What happens to the pages.", factory=lambda: (named("clean"),)
    )
    metrics: tuple[ComponentConfig, ...] = setting(
        ListOf(Component("metric"), minimum=0), "Scores to compute; empty for each task's own.", factory=tuple
    )
    system: str = setting(String(), "System message of every prompt.", "")
    prompt: str = setting(
        Template(), "Template of the text after the pages, with {hint}, {context} and {question}; empty for the usual one.", ""
    )
    tokens: TokenConfig = setting(Section(TokenConfig), "How tokens are counted.", factory=TokenConfig)
    run: RunConfig = setting(Section(RunConfig), "How the work is done; changes no result.", factory=RunConfig)
    store: str = setting(String(), "DuckDB file that takes the results.", "ctxbench.duckdb")

    def plain(self) -> dict[str, Any]:
        """The config as plain lists, mappings and values: what its YAML would load to."""
        plain: dict[str, Any] = _plain(self)
        return plain | {"samples": self.samples or "all", "buckets": [bucket or None for bucket in self.buckets]}

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of all that decides results (everything but ``run`` and ``store``)."""
        return hash_of(self.plain())


def hash_of(plain: Mapping[str, Any]) -> str:
    """SHA-256 of what decides results in a config's plain values. The usual prompt is left out, as configs had no such key before."""
    left_out = ("run", "store") if plain["prompt"] else ("run", "store", "prompt")
    return stable_hash({key: value for key, value in plain.items() if key not in left_out})


def _plain(value: Any) -> Any:
    if isinstance(value, ComponentConfig):
        return value.plain()
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
