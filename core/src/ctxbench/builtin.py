"""What core itself offers through the hooks that everybody uses."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench.plugin import AugmenterRecord, ExecutorRecord, ModelRecord, hookimpl


@hookimpl
def ctxbench_models() -> Iterable[ModelRecord]:
    yield ModelRecord("channel", "Answers from what the codec's classical decoder recovered.", "ctxbench.models:ChannelModel")
    yield ModelRecord("mock", "Answers at once with a fixed text, to time the harness.", "ctxbench.models:MockModel")


@hookimpl
def ctxbench_augmenters() -> Iterable[AugmenterRecord]:
    yield AugmenterRecord("clean", "Pages as the codec made them.", "ctxbench.augmenters:Clean")


@hookimpl
def ctxbench_executors() -> Iterable[ExecutorRecord]:
    yield ExecutorRecord("local", "Worker processes on this machine.", "ctxbench.executors:LocalExecutor")
