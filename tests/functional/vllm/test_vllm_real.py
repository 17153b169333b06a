"""The real vLLM, where it is installed: the calls that the other tests' stand-in answers, and the same prompts as there."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable

import pytest

from ctxbench import Prompt, load_plugins
from ctxbench_tiny.model import base_folder

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.filterwarnings("default"),  # what vLLM and its dependencies warn of is not ours
]


def takes(function: Callable[..., object], *names: str) -> bool:
    """Whether a function can be called with these keyword arguments."""
    parameters = inspect.signature(function).parameters
    return all(name in parameters for name in names)


def test_the_interface_is_what_is_used() -> None:
    """A release of vLLM that renames one of these breaks the plugin; the stand-in would not notice."""
    import vllm
    from vllm.distributed import cleanup_dist_env_and_memory
    from vllm.engine.arg_utils import EngineArgs
    from vllm.lora.request import LoRARequest
    from vllm.model_executor.model_loader.utils import get_model_cls
    from vllm.outputs import CompletionOutput, RequestOutput
    from vllm.renderers import BaseRenderer
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.llm_engine import LLMEngine

    own = ("model", "dtype", "trust_remote_code", "seed", "tensor_parallel_size", "gpu_memory_utilization", "enforce_eager", "quantization")
    more = ("max_num_seqs", "max_model_len", "generation_config", "use_tqdm_on_load", "enable_prefix_caching", "mm_processor_cache_gb")
    loras = ("enable_lora", "max_loras", "max_lora_rank", "enable_tower_connector_lora", "limit_mm_per_prompt", "mm_processor_kwargs")
    assert takes(EngineArgs, *own, *more, *loras)
    sampling = ("max_tokens", "stop_token_ids", "temperature", "top_p", "top_k", "repetition_penalty", "seed", "detokenize", "output_kind")
    assert takes(vllm.SamplingParams, *sampling)
    assert takes(LLMEngine.add_request, "request_id", "prompt", "params", "lora_request")
    assert takes(BaseRenderer.render_cmpl, "prompts")
    assert takes(LoRARequest, "lora_name", "lora_int_id", "lora_path")
    assert takes(RequestOutput, "request_id", "prompt_token_ids", "outputs", "finished")
    assert takes(CompletionOutput, "token_ids", "finish_reason")
    assert all(callable(getattr(LLMEngine, name)) for name in ("step", "abort_request", "add_lora"))
    assert RequestOutputKind.FINAL_ONLY
    assert callable(get_model_cls)
    assert callable(cleanup_dist_env_and_memory)


def test_answers_and_counts_are_those_of_hf(prompts: tuple[Prompt, ...]) -> None:
    """Text, finish and usage row by row, of trained weights: several pages, none, and a system message, beside each other."""
    registry, folder = load_plugins(), str(base_folder())
    alone = registry.model("hf", reference=folder, device="cpu", dtype="float32", batch_invariant=True)
    expected = [(r.text, r.finish_reason, r.usage) for r in alone.read(prompts)]
    alone.close()
    options = {"enforce_eager": True, "max_num_seqs": 3, "max_model_len": 2048, "engine": {"kv_cache_memory_bytes": 1 << 28}}
    model = registry.model("vllm", reference=folder, dtype="float32", limit_mm_per_prompt={"image": 3}, **options)
    found = model.read(prompts)
    model.close()
    assert [r.error for r in found] == [None] * 4
    assert [(r.text, r.finish_reason, r.usage) for r in found] == expected
