"""The second half of a trial: scores, outcome, and the row for the store."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

import attrs

from ctxbench.engine.accounting import account, disagrees
from ctxbench.engine.prepare import Failure, Prepared, Variant
from ctxbench.interfaces import Metric, Task
from ctxbench.outcome import classify
from ctxbench.plan import Experiment, Part, Trial, metric_version
from ctxbench.records import Reading, Sample, Scores, TokenUsage
from ctxbench.results import PageRow, ScoreRow, TrialResult


@attrs.frozen
class Judge:
    """The metrics of one task, and the score that decides *correct*."""

    metrics: tuple[tuple[Part, str, Metric], ...]
    primary: str

    @classmethod
    def of(cls, experiment: Experiment, part: Part) -> Judge:
        """The judge of a task as the experiment configures it."""
        registry = experiment.registry
        made = [(metric, cast(Metric, metric.make(registry))) for metric in experiment.metrics[part.label]]
        primary = cast(Task, part.make(registry)).primary_score
        return cls(tuple((p, metric_version(registry, p, metric), metric) for p, metric in made), primary)

    def score(self, prediction: str, sample: Sample) -> tuple[ScoreRow, ...]:
        """Every score of a prediction."""
        rows: list[ScoreRow] = []
        for part, version, metric in self.metrics:
            found = metric.score(prediction, sample)
            scores = found if isinstance(found, Scores) else Scores(found)
            rows += [
                ScoreRow(part.label, version, name, float(value), metric.higher_is_better, scores.extraction)
                for name, value in scores.values.items()
            ]
        return tuple(rows)

    def primary_value(self, rows: tuple[ScoreRow, ...]) -> float | None:
        """The value of the score that decides *correct*."""
        return next((row.value for row in rows if row.name == self.primary), None)


def failed(trial: Trial, prepared: Prepared, failure: Failure, variant: Variant | None = None) -> TrialResult:
    """The row of a trial that an exception ended, with all that was known by then."""
    sample = prepared.sample
    known = _sample_columns(sample) if sample else {}
    if variant is not None and variant.failure is None:
        known |= {"pages": _pages(prepared, variant, None), "n_pages": len(variant.pages), **_channel_columns(variant)}
    error: dict[str, Any] = {"error_stage": failure.stage, "error_type": failure.type, "error_message": failure.message}
    return TrialResult(**_trial_columns(trial, sample), status="error", **error, **known)


def finished(
    trial: Trial, experiment: Experiment, judge: Judge, prepared: Prepared, variant: Variant, reading: Reading, seconds: float
) -> TrialResult:
    """The row of a trial that was read; scoring it may still fail."""
    assert prepared.sample is not None
    assert prepared.counts is not None
    if reading.error is not None:
        return failed(trial, prepared, Failure("read", *reading.error), variant)
    start = time.perf_counter()
    try:
        scores = judge.score(reading.text, prepared.sample)
    except Exception as error:
        return attrs.evolve(failed(trial, prepared, Failure.of("score", error), variant), prediction=reading.text)
    score_seconds = time.perf_counter() - start
    value = judge.primary_value(scores)
    extraction = next((row.extraction for row in scores if row.name == judge.primary), None)
    outcome = classify(reading.text, reading.finish_reason, value is not None and value >= 1.0, extraction, prepared.sample)
    cost = account(
        experiment.config.tokens,
        prepared.counts,
        variant.costs,
        prepared.encoded,
        reading.usage,
        disagreement=_counts_differ(trial, experiment, variant, reading),
    )
    return TrialResult(
        **_trial_columns(trial, prepared.sample),
        status="ok",
        outcome=outcome,
        primary_score=judge.primary or None,
        score=value,
        finish_reason=reading.finish_reason,
        **_sample_columns(prepared.sample),
        prompt=prepared.text,
        prediction=reading.text,
        reading_metadata=reading.metadata,
        completion_tokens=reading.usage.completion if reading.usage else None,
        **attrs.asdict(cost),
        n_pages=len(variant.pages),
        **_channel_columns(variant),
        encode_seconds=prepared.encode_seconds,
        augment_seconds=variant.augment_seconds,
        read_seconds=seconds,
        prefill_seconds=reading.prefill_seconds,
        generate_seconds=reading.generate_seconds,
        score_seconds=score_seconds,
        scores=scores,
        pages=_pages(prepared, variant, reading.usage),
    )


def _counts_differ(trial: Trial, experiment: Experiment, variant: Variant, reading: Reading) -> bool:
    """True if the model's backend found its own counts at odds, or they differ from the formula of the model's own family.

    A model of another family than the experiment counts by has no formula here to differ from.
    """
    if reading.metadata.get("token_disagreement"):
        return True
    same = trial.reader.model.family in (None, experiment.config.tokens.family)
    return same and reading.usage is not None and disagrees(reading.usage, variant.costs)


def _trial_columns(trial: Trial, sample: Sample | None) -> dict[str, Any]:
    return {
        "trial_id": trial.trial_id,
        "model": trial.reader.label,
        "adapter": trial.reader.adapter,
        "model_config": trial.reader.config,
        "model_fingerprint": trial.reader.model.fingerprint,
        "adapter_fingerprint": trial.reader.model.adapter_fingerprint,
        "task": trial.task.label,
        "task_config": trial.task.config,
        "bucket": trial.bucket,
        "language": sample.language if sample else trial.task.config.get("language"),
        "sample_index": trial.index,
        "sample_seed": trial.sample_seed,
        "codec": trial.codec.label,
        "codec_config": trial.codec.config,
        "augmentation": trial.augmentation.label,
        "augmentation_config": trial.augmentation.config,
        "augmentation_seed": trial.augmentation_seed,
    }


def _sample_columns(sample: Sample) -> dict[str, Any]:
    return {
        "context_sha256": hashlib.sha256(sample.context.encode("utf-8")).hexdigest(),
        "context_chars": len(sample.context),
        "question": sample.question,
        "expected": sample.answer,
        "sample_metadata": sample.metadata,
    }


def _channel_columns(variant: Variant) -> dict[str, Any]:
    channel = variant.channel
    if channel is None:
        return {}
    return {
        "channel_ok": channel.ok,
        "channel_cer": channel.cer,
        "channel_error": channel.error,
        "channel_seconds": channel.seconds,
    }


def _pages(prepared: Prepared, variant: Variant, usage: TokenUsage | None) -> tuple[PageRow, ...]:
    rows = []
    for i, (encoded, sent, sha) in enumerate(zip(prepared.encoded, variant.costs, variant.sha256, strict=True)):
        visual = usage.pages[i] if usage and len(usage.pages) == len(variant.costs) else sent.tokens.tokens
        rows.append(
            PageRow(
                page=i,
                encoded_width=encoded.width,
                encoded_height=encoded.height,
                width=sent.width,
                height=sent.height,
                processed_width=sent.tokens.width,
                processed_height=sent.tokens.height,
                resize_factor=sent.resize_factor,
                budget_scaled=sent.tokens.budget_scaled,
                visual_tokens=visual,
                sha256=sha,
            )
        )
    return tuple(rows)
