"""ctxbench models read by vLLM in process: continuous batching, LoRA requests, and counts that are checked."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import ModelRecord, hookimpl

__version__ = "0.1.0"


@hookimpl
def ctxbench_models() -> Iterable[ModelRecord]:
    """The model ``vllm``."""
    yield ModelRecord("vllm", "vllm:<hub id or folder>: a local vision-language model, read by vLLM.", "ctxbench_vllm.model:VLLMModel")
