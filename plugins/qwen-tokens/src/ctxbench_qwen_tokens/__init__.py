"""ctxbench token counters: Qwen's tokenizer and the visual-token rules of model families."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TokenCounterRecord, hookimpl
from ctxbench_qwen_tokens.bpe import count, decode, encode

__all__ = ["count", "decode", "encode"]


@hookimpl
def ctxbench_token_counters() -> Iterable[TokenCounterRecord]:
    """Families whose rule for visual tokens is published."""
    here = "ctxbench_qwen_tokens"
    yield TokenCounterRecord("qwen2-vl", "Qwen2-VL: 28 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen2_vl")
    yield TokenCounterRecord("qwen2.5-vl", "Qwen2.5-VL: 28 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen2_5_vl")
    yield TokenCounterRecord("qwen3-vl", "Qwen3-VL: 32 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen3_vl")
    yield TokenCounterRecord("llava-1.5", "LLaVA-1.5: every image is 576 tokens.", f"{here}.others:llava_1_5")
    yield TokenCounterRecord("pixtral", "Pixtral: 16 px patches and one token at the end of each row.", f"{here}.others:pixtral")
    yield TokenCounterRecord("idefics3", "Idefics3: 364 px tiles of 169 tokens and one overview.", f"{here}.tiles:idefics3")
    yield TokenCounterRecord("smolvlm", "SmolVLM 256M and 500M: 512 px tiles of 64 tokens and one overview.", f"{here}.tiles:smolvlm")
    yield TokenCounterRecord(
        "internvl2", "InternVL 2: up to 12 tiles of 448 px, 256 tokens each, and one overview.", f"{here}.tiles:internvl2"
    )
    yield TokenCounterRecord("gpt-4o", "GPT-4o, high detail: 85 tokens and 170 for each 512 px tile.", f"{here}.others:gpt_4o")
