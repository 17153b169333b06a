"""Scores answers, classifies their outcome, and makes the rows that are stored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import attrs

from ctxbench.contamination import Guard, training_overlap
from ctxbench.engine.accounting import PageCost, TextCounts, account, disagrees, page_cost, page_markers
from ctxbench.engine.failures import Failure, limited
from ctxbench.engine.judge import Judge
from ctxbench.engine.prepare import Prepared, Variant
from ctxbench.outcome import classify
from ctxbench.plan import Cell, Experiment, Trial
from ctxbench.records import Channel, Reading, Sample, TokenUsage
from ctxbench.results import PageRow, TrialResult

MOST_OVERLAPS = 10_000
"""Contexts whose overlap with training data is remembered; several trials ask for each."""


@attrs.frozen
class RowMaker:
    """Makes the rows of one experiment's trials.

    Attributes:
        judges: by task label.
    """

    experiment: Experiment
    judges: dict[str, Judge]
    _guard: Guard = attrs.field(factory=Guard, init=False)
    _overlaps: dict[tuple[str, str], float | None] = attrs.field(factory=dict, init=False)
    _columns: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, experiment: Experiment) -> RowMaker:
        """A row maker for an experiment, with the metrics of each task."""
        return cls(experiment, {task.label: Judge.of(experiment, task) for task in experiment.tasks})

    def failed(self, trial: Trial, prepared: Prepared, failure: Failure, variant: Variant | None = None) -> TrialResult:
        """The row of a trial that an exception ended, with all that was known by then."""
        sample = prepared.sample
        known = self.sample_columns(trial, sample) if sample else {}
        if variant is not None and variant.failure is None:
            channel = self.channel_columns(trial, prepared, variant.channel)
            known |= {"pages": _pages(prepared.encoded, variant, None), "n_pages": len(variant.costs), **channel}
        message = self.experiment.secrets.redact(failure.message)
        error: dict[str, Any] = {"error_stage": failure.stage, "error_type": failure.type, "error_message": message}
        return TrialResult(**self._trial_columns(trial, sample), status="error", **error, **known)

    def finished(self, trial: Trial, prepared: Prepared, variant: Variant, reading: Reading, seconds: float) -> TrialResult:
        """The row of a trial that was read; scoring it may still fail."""
        assert prepared.sample is not None
        assert prepared.counts is not None
        if reading.error is not None:
            return self.failed(trial, prepared, Failure("read", *reading.error), variant)
        judge = self.judges[trial.cell.task.label]
        start = time.perf_counter()
        try:
            with limited(self.experiment.config.run.limits, "score"):
                scores = judge.score(reading.text, prepared.sample)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return attrs.evolve(self.failed(trial, prepared, Failure.of("score", error), variant), prediction=reading.text)
        score_seconds = time.perf_counter() - start
        try:
            encoded, variant = _counted_for(trial, prepared, variant)
            cost = account(
                trial.cell.reader.tokens,
                prepared.counts,
                variant.costs,
                encoded,
                reading.usage,
                disagreement=self._counts_differ(trial, prepared.counts, variant, reading),
            )
        except (TypeError, ValueError) as error:
            return attrs.evolve(self.failed(trial, prepared, Failure.of("count", error), variant), prediction=reading.text)
        primary = judge.primary_row(scores)
        right = primary is not None and primary.value >= 1.0
        extraction = primary.extraction if primary else None
        secrets = self.experiment.secrets
        return TrialResult(
            **self._trial_columns(trial, prepared.sample),
            status="ok",
            outcome=classify(reading.text, reading.finish_reason, right, extraction, prepared.sample),
            primary_score=judge.primary or None,
            score=primary.value if primary else None,
            finish_reason=reading.finish_reason,
            **self.sample_columns(trial, prepared.sample),
            prompt=prepared.text,
            prediction=secrets.redact(reading.text),
            reading_metadata=secrets.redact_all(reading.metadata),
            completion_tokens=reading.usage.completion if reading.usage else None,
            **attrs.asdict(cost, recurse=False),
            cost_usd=reading.cost_usd,
            n_pages=len(variant.costs),
            **self.channel_columns(trial, prepared, variant.channel),
            encode_seconds=prepared.encode_seconds,
            augment_seconds=variant.augment_seconds,
            read_seconds=seconds,
            prefill_seconds=reading.prefill_seconds,
            generate_seconds=reading.generate_seconds,
            score_seconds=score_seconds,
            scores=scores,
            pages=_pages(encoded, variant, reading.usage),
        )

    def channel_columns(self, trial: Trial, prepared: Prepared, channel: Channel | None) -> dict[str, Any]:
        """What the codec's decoder recovered, and whether that would have answered the question."""
        if channel is None:
            return {}
        right = False
        if channel.answer is not None and prepared.sample is not None:
            try:
                right = self.judges[trial.cell.task.label].is_right(channel.answer, prepared.sample)
            except Exception:  # the same metric fails on the model's answer, whose row says so
                right = False
        return {
            "channel_ok": channel.ok,
            "channel_correct": right,
            "channel_cer": channel.cer,
            "channel_error": channel.error,
            "channel_seconds": channel.seconds,
        }

    def sample_columns(self, trial: Trial, sample: Sample) -> dict[str, Any]:
        """The columns that a sample fills, and how much of its context the reader was trained on."""
        sha256 = hashlib.sha256(sample.context.encode("utf-8")).hexdigest()
        return {
            "context_sha256": sha256,
            "context_chars": len(sample.context),
            "question": sample.question,
            "expected": sample.answer,
            "sample_metadata": sample.metadata,
            "training_overlap": self._overlap(trial, sample, sha256),
        }

    def _overlap(self, trial: Trial, sample: Sample, sha256: str) -> float | None:
        reader = trial.cell.reader
        records = reader.model.training_data
        if records == ():
            return 0.0
        key = (reader.identity, sha256)
        if key not in self._overlaps:
            if len(self._overlaps) >= MOST_OVERLAPS:
                self._overlaps.clear()
            self._overlaps[key] = training_overlap(records, sample.context)
        self._guard.check(reader.title, trial.cell.task.label, self._overlaps[key])
        return self._overlaps[key]

    def _trial_columns(self, trial: Trial, sample: Sample | None) -> dict[str, Any]:
        cell = trial.cell
        if cell.id not in self._columns:
            self._columns[cell.id] = _cell_columns(cell)
        return {
            **self._columns[cell.id],
            "trial_id": trial.trial_id,
            "language": sample.language if sample else cell.task.config.get("language"),
            "sample_index": trial.index,
            "sample_seed": trial.sample_seed,
            "augmentation_seed": trial.augmentation_seed,
        }

    def _counts_differ(self, trial: Trial, counts: TextCounts, variant: Variant, reading: Reading) -> bool:
        """True if the model's backend found its own counts at odds, or they differ from the formula of the model's own family.

        A model of another family than the experiment counts by has no formula here to differ from.
        """
        if reading.metadata.get("token_disagreement"):
            return True
        tokens = trial.cell.reader.tokens
        if reading.usage is None or trial.cell.reader.model.family not in (None, tokens.rule):
            return False
        markers = page_markers(tokens, variant.costs)
        return disagrees(reading.usage, variant.costs, markers=markers, text=counts.words + counts.carrier)


def _counted_for(trial: Trial, prepared: Prepared, variant: Variant) -> tuple[tuple[PageCost, ...], Variant]:
    """Pages as encoded, and as sent, by the rules of the trial's own model; they came counted by those of the first that shares them."""
    rules = trial.cell.reader.tokens
    if rules == prepared.rules:
        return prepared.encoded, variant

    def again(pages: Sequence[PageCost]) -> tuple[PageCost, ...]:
        return tuple(page_cost(rules, (page.width, page.height)) for page in pages)

    return again(prepared.encoded), attrs.evolve(variant, costs=again(variant.costs))


def _cell_columns(cell: Cell) -> dict[str, Any]:
    reader = cell.reader
    parts = {"task": cell.task, "codec": cell.codec, "augmentation": cell.augmentation}
    columns: dict[str, Any] = {
        "cell": cell.id,
        "variant": cell.variant,
        "seed": cell.seed,
        "model": reader.label,
        "adapter": reader.adapter,
        "model_config": reader.config,
        "model_version": reader.version,
        "model_runtime": reader.runtime,
        "model_fingerprint": reader.model.fingerprint,
        "adapter_fingerprint": reader.model.adapter_fingerprint,
        "bucket": cell.bucket,
    }
    for name, part in parts.items():
        columns |= {name: part.label, f"{name}_config": part.config}
        columns |= {f"{name}_version": part.version, f"{name}_fingerprint": part.fingerprint}
    return columns


def _pages(pages: Sequence[PageCost], variant: Variant, usage: TokenUsage | None) -> tuple[PageRow, ...]:
    rows = []
    for i, (encoded, sent, sha) in enumerate(zip(pages, variant.costs, variant.sha256, strict=True)):
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
