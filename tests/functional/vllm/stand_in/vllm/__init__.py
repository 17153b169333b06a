"""A stand-in for vLLM 0.32: the calls that ctxbench_vllm makes, with vLLM's signatures, answered by transformers.

It is here because vLLM weighs gigabytes. ``test_vllm_real.py`` checks these signatures and runs the same prompts where vLLM is installed.
"""

from __future__ import annotations

from typing import Any

from .engine import LLMEngine
from .sampling_params import SamplingParams

made: list[LLM] = []
"""Every instance since the last test."""


class LLM:
    def __init__(
        self,
        model: str,
        *,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        quantization: str | None = None,
        seed: int = 0,
        gpu_memory_utilization: float = 0.92,
        enforce_eager: bool = False,
        mm_processor_kwargs: dict[str, Any] | None = None,
        kv_cache_memory_bytes: int | None = None,
        max_model_len: int | None = None,
        max_num_seqs: int = 256,
        limit_mm_per_prompt: dict[str, int] | None = None,
        generation_config: str = "auto",
        use_tqdm_on_load: bool = True,
        enable_prefix_caching: bool | None = None,
        mm_processor_cache_gb: float = 4,
        enable_lora: bool = False,
        max_loras: int = 1,
        max_lora_rank: int = 16,
        enable_tower_connector_lora: bool = False,
    ) -> None:
        self.arguments = {name: value for name, value in locals().items() if name != "self"}
        if dtype not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"the stand-in wants a dtype, got {dtype!r}")
        self.llm_engine = LLMEngine(self.arguments)
        self.model_config = self.llm_engine.model_config
        made.append(self)


__all__ = ["LLM", "SamplingParams", "made"]
