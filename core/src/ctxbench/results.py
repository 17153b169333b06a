"""One finished trial as the store keeps it: a row of ``trials``, its scores, and its pages."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import attrs

Outcome = Literal["correct", "abstained", "truncated", "looping", "unparsable", "confabulated"]
Stage = Literal["sample", "encode", "augment", "channel", "count", "executor", "read", "score"]


@attrs.frozen(kw_only=True)
class RunRecord:
    """One row of ``runs``: one call of :func:`ctxbench.run` that had something to do.

    Attributes:
        config: the config as plain values; ``config_hash`` is the SHA-256 of the part that decides results.
        versions: version of every distribution that offers a part of the experiment.
        environment: what else decides pixels and answers and is in no trial's id: versions of the libraries that these distributions
            build on, Python, the kind of machine, and a hash of the sources of what is installed editable.
        git_revision: commit of the working directory's repository, if it is in one.
        planned: trials that were still to run when it started.
    """

    run_id: str
    name: str
    config_hash: str
    config: dict[str, Any]
    seed: int
    command: str
    started_at: datetime.datetime
    ctxbench_version: str
    versions: dict[str, str]
    environment: dict[str, Any] = attrs.field(factory=dict)
    python: str
    platform: str
    git_revision: str | None
    planned: int


@attrs.frozen
class PageRow:
    """One page image of a trial. Sizes in pixels.

    Attributes:
        encoded_width, encoded_height: as the codec made it.
        width, height: as sent to the model, after augmentation.
        processed_width, processed_height: after the processor's resizing.
        resize_factor: geometric mean of the processor's two scale factors.
        budget_scaled: the processor leaves the page fewer pixels than it has, by more than rounding to its grid does.
        sha256: of the page as sent: mode, size and raw pixels.
        path: PNG file relative to the image folder beside the store, or ``None`` if it was not kept.
    """

    page: int
    encoded_width: int
    encoded_height: int
    width: int
    height: int
    processed_width: int
    processed_height: int
    resize_factor: float
    budget_scaled: bool
    visual_tokens: int
    sha256: str
    path: str | None = None


@attrs.frozen
class ScoreRow:
    """One score of a trial. ``metric`` made it in version ``metric_version``; ``extraction`` says how the answer was found."""

    metric: str
    metric_version: str
    name: str
    value: float
    higher_is_better: bool
    extraction: str | None = None


@attrs.frozen(kw_only=True)
class TrialResult:
    """One row of ``trials``. Every column of the table is a field here, under the same name; times are in seconds."""

    trial_id: str
    cell: str = ""
    variant: str = ""
    seed: int | None = None
    # what was run
    model: str
    adapter: str | None
    model_config: dict[str, Any]
    model_version: str = ""
    model_fingerprint: str
    adapter_fingerprint: str
    model_runtime: dict[str, Any] = attrs.field(factory=dict)
    task: str
    task_config: dict[str, Any]
    task_version: str = ""
    task_fingerprint: str = ""
    bucket: int
    language: str | None
    sample_index: int
    sample_seed: int
    codec: str
    codec_config: dict[str, Any]
    codec_version: str = ""
    codec_fingerprint: str = ""
    augmentation: str
    augmentation_config: dict[str, Any]
    augmentation_version: str = ""
    augmentation_fingerprint: str = ""
    augmentation_seed: int
    # how it ended
    status: Literal["ok", "error"]
    error_stage: Stage | None = None
    error_type: str | None = None
    error_message: str | None = None
    outcome: Outcome | None = None
    primary_score: str | None = None
    score: float | None = None
    finish_reason: str | None = None
    # what was asked and said
    context_sha256: str | None = None
    context_chars: int | None = None
    question: str | None = None
    expected: str | None = None
    prompt: str | None = None
    prediction: str | None = None
    sample_metadata: dict[str, Any] = attrs.field(factory=dict)
    reading_metadata: dict[str, Any] = attrs.field(factory=dict)
    training_overlap: float | None = None
    # what it cost
    token_config: dict[str, Any] = attrs.field(factory=dict)
    context_bytes: int | None = None
    payload_bytes: int | None = None
    reference_tokens: int | None = None
    carrier_text_tokens: int | None = None
    carrier_visual_tokens: int | None = None
    carrier_marker_tokens: int | None = None
    carrier_tokens: int | None = None
    encoded_visual_tokens: int | None = None
    encoded_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    formula_prompt_tokens: int | None = None
    text_prompt_tokens: int | None = None
    token_source: str | None = None
    token_family: str | None = None
    token_flag: str | None = None
    encoded_ratio: float | None = None
    compression_ratio: float | None = None
    prompt_ratio: float | None = None
    cost_usd: float | None = None
    n_pages: int | None = None
    # where it was lost
    channel_ok: bool | None = None
    channel_correct: bool | None = None
    channel_cer: float | None = None
    channel_error: str | None = None
    # time
    encode_seconds: float | None = None
    augment_seconds: float | None = None
    channel_seconds: float | None = None
    read_seconds: float | None = None
    prefill_seconds: float | None = None
    generate_seconds: float | None = None
    score_seconds: float | None = None
    # rows of the other tables
    scores: tuple[ScoreRow, ...] = ()
    pages: tuple[PageRow, ...] = ()


__all__ = ["Outcome", "PageRow", "RunRecord", "ScoreRow", "Stage", "TrialResult"]
